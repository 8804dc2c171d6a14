import { setTimeout as pause } from 'node:timers/promises';
import type { FollowedFleet } from '../api/types.js';
import type { FleetSetting } from '../config/fleet-setting.js';
import { Fault } from '../errors.js';
import { EtcdConnection } from '../etcd/etcd-connection.js';
import type { IdentityKeys } from '../identity/identity-keys.js';
import type { Images } from '../images/image-library.js';
import type { Registry } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Limits } from '../limits/limits.js';
import type { Log } from '../log.js';
import type { Store } from '../store/store.js';
import { FleetApply } from './fleet-apply.js';
import { FleetImages } from './fleet-images.js';
import { FleetKeys } from './fleet-keys.js';
import { FleetWatch, hasSeen, readAll } from './fleet-watch.js';
import { type Held, heldSentences } from './held.js';
import { HostStatus, NameTaken } from './host-status.js';
import { KeptState } from './kept-state.js';

const tellMilliseconds = 1000;
/** Refused values that are named, in the status and to operators. */
const mostShown = 20;
/** Between two attempts, at most; which moment of it is left to chance, so that hosts do not come all at once. */
const longestPause = 10_000;
/** A connection that lasted for this long was no failure. */
const lastedMilliseconds = 2000;

/** What of the daemon a fleet is followed with. */
export interface FleetParts {
  readonly registry: Registry;
  readonly running: RunningInstances;
  readonly store: Store;
  readonly images: Images;
  readonly identityKeys: Pick<IdentityKeys, 'published'>;
  readonly limits: Limits;
  readonly log: Log;
}

/** Keeps this host's part of a fleet in the registry. While etcd is away, what it has said last goes on being served. */
export class FleetSync {
  readonly asked = { all: 0, one: 0 };
  /** when everything was read last, milliseconds since 1970; undefined: not yet */
  lastRead: number | undefined;
  readonly #setting: FleetSetting;
  readonly #keys: FleetKeys;
  readonly #limits: Limits;
  readonly #log: Log;
  readonly #apply: FleetApply;
  readonly #kept: KeptState;
  readonly #images: FleetImages;
  readonly #status: HostStatus;
  readonly #stopping = new AbortController();
  #connection: EtcdConnection | undefined;
  #connected = false;
  #saidAway = '';
  #failures = 0;
  #turn = Math.floor(Math.random() * 64);
  #done: Promise<void> = Promise.resolve();

  /** state: as `KeptState.load` has read it for this apply */
  constructor(setting: FleetSetting, parts: FleetParts, apply: FleetApply, kept: KeptState, images: FleetImages) {
    this.#images = images;
    this.#setting = setting;
    this.#keys = new FleetKeys(setting.prefix);
    this.#limits = parts.limits;
    this.#log = parts.log;
    this.#apply = apply;
    this.#kept = kept;
    this.#status = new HostStatus(this.#keys, setting.host, kept.daemon, parts.registry, {
      host: () => ({
        applied: kept.revision, // what is known after a restart as well
        held: this.held === undefined ? '' : heldSentences[this.held],
        refused: apply.refused(mostShown),
        later: apply.later.slice(0, mostShown),
      }),
      keys: () => JSON.stringify(parts.identityKeys.published()),
    });
  }

  static async prepared(setting: FleetSetting, parts: FleetParts): Promise<FleetSync> {
    let kept: KeptState | undefined;
    const { registry, running, store, images, log } = parts;
    const fleetImages = await FleetImages.load(images, store, log);
    images.origin = fleetImages;
    const save = async (): Promise<void> => kept?.save();
    const apply = new FleetApply(setting.host, registry, running, log, save, (mirror) => fleetImages.merged(mirror));
    kept = await KeptState.load(store, registry, apply);
    return new FleetSync(setting, parts, apply, kept, fleetImages);
  }

  /** Is etcd there, and tells what happens? */
  get connected(): boolean {
    return this.#connected;
  }

  /** How old what is served may be, seconds; 0: it is what etcd says. */
  get age(): number {
    return this.#apply.age;
  }

  /** As operators of this host see it. */
  get shown(): FollowedFleet {
    const { applied } = this.#apply;
    return {
      host: this.#setting.host,
      endpoints: this.#setting.endpoints,
      connected: this.#connected,
      away: this.#connected ? '' : this.#saidAway,
      age_seconds: Math.round(this.age),
      applied,
      held: this.held === undefined ? '' : heldSentences[this.held],
      refused: this.#apply.refused(mostShown),
      refused_count: this.refused,
      later: this.#apply.later.slice(0, mostShown),
    };
  }

  /** undefined: what etcd says is applied */
  get held(): Held | undefined {
    return this.#apply.held;
  }

  /** How many values are not as the fleet says, since they cannot be read or applied. */
  get refused(): number {
    return this.#apply.refusedCount;
  }

  run(): void {
    this.#done = this.#run();
  }

  /** Nothing is written by it afterwards. isHandover: the next process goes on under the name of this host */
  async stop(isHandover: boolean): Promise<void> {
    this.#stopping.abort();
    this.#connection?.hurry(); // it may hang, and what is asked of it is not needed any more
    await this.#done;
    await this.#apply.stop();
    await this.#images.stop();
    await this.#kept.save();
    if (!isHandover && this.#connection !== undefined)
      await this.#status.leave(this.#connection).catch(() => undefined);
    this.#connection?.close();
  }

  /**
   * What etcd says now is right, whatever is missing in it.
   * @returns what was held back
   * @throws Fault not-found, when nothing is held back
   */
  async accept(): Promise<string> {
    const { held } = this;
    if (held === undefined) throw new Fault('not-found', 'Nothing is held back: what etcd says is applied.');
    this.#kept.accepted();
    await this.#apply.release();
    await this.#kept.save();
    this.#log.warn({ reason: heldSentences[held] }, 'what etcd says is accepted');
    return heldSentences[held];
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const began = performance.now();
      try {
        await this.#follow();
      } catch (error) {
        this.#isAway(error as Error);
      }
      this.#failures = performance.now() - began > lastedMilliseconds ? 0 : this.#failures + 1;
      await pause(this.#pauseMilliseconds(), undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  /** Each member is tried at once; then hosts that all lost theirs come back in no order. */
  #pauseMilliseconds(): number {
    const more = this.#failures - this.#setting.endpoints.length;
    return Math.random() * (more < 0 ? 100 : Math.min(1000 * 2 ** more, longestPause));
  }

  /** Said once, and again when etcd has been there in between. */
  #isAway(error: Error): void {
    if (this.#stopping.signal.aborted || this.#saidAway === error.message) return;
    if (this.#saidAway !== '' && !(error instanceof NameTaken)) return;
    this.#saidAway = error.message;
    this.#log.warn({ source: 'etcd', err: error }, 'the source is away; its last state is served');
  }

  /** Until the connection ends, or fails. */
  async #follow(): Promise<void> {
    const { endpoints } = this.#setting;
    this.#connection?.close();
    const connection = new EtcdConnection(endpoints[this.#turn++ % endpoints.length] as string, this.#setting);
    this.#connection = connection;
    const leaving = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, leaving.signal]);
    let telling: Promise<void> | undefined;
    try {
      await this.#status.claim(connection);
      await this.#read(connection);
      telling = this.#tell(connection, signal, () => leaving.abort());
      await this.#watch(connection, signal);
    } finally {
      this.#connected = false;
      this.#apply.isBehind();
      leaving.abort();
      await telling;
    }
  }

  /** Everything anew, unless it goes on from what has been read. */
  async #read(connection: EtcdConnection): Promise<void> {
    const now = await connection.now(this.#keys.instances(this.#setting.host));
    const { mirror } = this.#apply;
    const { cluster, seen, mark, instances } = this.#kept;
    const isSame = now.cluster_id === cluster;
    const isOlder =
      isSame && (BigInt(now.revision) < seen || (mark !== undefined && !(await hasSeen(connection, mark, now))));
    if (mirror !== undefined && isSame && !isOlder && !this.#apply.isIncomplete) return;
    this.asked.all++;
    const read = await readAll(connection, this.#keys, this.#setting.host, this.#limits);
    this.lastRead = Date.now();
    this.#log.info({ source: 'etcd', instances: read.instances.size }, 'source read');
    this.#apply.mirrored(read, this.#kept.heldOf(read, isOlder), instances);
    await this.#apply.idle();
    await this.#kept.save();
  }

  async #watch(connection: EtcdConnection, signal: AbortSignal): Promise<void> {
    const { mirror } = this.#apply;
    if (mirror === undefined) return;
    const version = await connection.version().catch(() => '');
    const watch = new FleetWatch(mirror, version, {
      began: () => {
        this.#connected = true;
        if (this.#saidAway !== '') this.#log.info({ etcd: connection.endpoint, version }, 'the source is back');
        this.#saidAway = '';
        this.#apply.isFollowed();
      },
      changed: (subjects, before) => this.#apply.changed(subjects, before),
      confirmed: () => this.#apply.confirmed(),
    });
    const prefixes = { instances: this.#keys.instances(this.#setting.host), shared: this.#keys.shared };
    try {
      await watch.run(connection, prefixes, signal);
    } catch (error) {
      if ((error as Error).name === 'Compacted') this.#apply.isIncomplete = true;
      throw error;
    }
  }

  async #tell(connection: EtcdConnection, signal: AbortSignal, leave: () => void): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#kept.save();
        await this.#status.tell(connection);
      } catch (error) {
        if (error instanceof NameTaken) {
          this.#log.error({ err: error }, 'another daemon has the name of this host');
          leave();
        } else this.#log.debug({ err: error }, 'status not told');
      }
      await pause(tellMilliseconds, undefined, { signal }).catch(() => undefined);
    }
  }
}
