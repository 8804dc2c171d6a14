import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { FollowedFleet } from '../api/types.js';
import type { FleetSetting } from '../config/fleet-setting.js';
import { Fault } from '../errors.js';
import { EtcdConnection } from '../etcd/etcd-connection.js';
import type { Registry } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Limits } from '../limits/limits.js';
import type { Log } from '../log.js';
import type { Store } from '../store/store.js';
import { FleetApply } from './fleet-apply.js';
import { FleetKeys } from './fleet-keys.js';
import { FleetWatch, hasSeen, readAll } from './fleet-watch.js';
import { type FleetState, type Held, heldOf, heldSentences } from './held.js';
import { HostStatus, NameTaken } from './host-status.js';
import type { Mark, Mirror } from './mirror.js';

/** Under this name the store keeps what is to be known after a restart. */
const stateName = 'etcd';
const tellMilliseconds = 1000;
/** Refused values that are named, in the status and to operators. */
const mostShown = 20;
/** Between two attempts, at most; which moment of it is left to chance, so that hosts do not come all at once. */
const longestPause = 10_000;
/** A connection that lasted for this long was no failure. */
const lastedMilliseconds = 2000;

/** Keeps this host's part of a fleet in the registry. While etcd is away, what it has said last goes on being served. */
export class FleetSync {
  readonly asked = { all: 0, one: 0 };
  readonly #setting: FleetSetting;
  readonly #keys: FleetKeys;
  readonly #registry: Registry;
  readonly #store: Store;
  readonly #limits: Limits;
  readonly #log: Log;
  readonly #apply: FleetApply;
  readonly #status: HostStatus;
  readonly #stopping = new AbortController();
  #state: FleetState;
  #saved = '';
  #connection: EtcdConnection | undefined;
  #connected = false;
  #saidAway = '';
  #failures = 0;
  #turn = Math.floor(Math.random() * 64);
  #done: Promise<void> = Promise.resolve();

  private constructor(
    setting: FleetSetting,
    registry: Registry,
    running: RunningInstances,
    store: Store,
    limits: Limits,
    log: Log,
    state: FleetState,
  ) {
    this.#setting = setting;
    this.#keys = new FleetKeys(setting.prefix);
    this.#registry = registry;
    this.#store = store;
    this.#limits = limits;
    this.#log = log;
    this.#state = state;
    this.#apply = new FleetApply(registry, running, log, () => this.#save());
    this.#status = new HostStatus(this.#keys, setting.host, state.daemon, registry, () => ({
      applied: this.#state.revision, // what is known after a restart as well
      held: this.held === undefined ? '' : heldSentences[this.held],
      refused: this.#apply.refused(mostShown),
    }));
  }

  static async prepared(
    setting: FleetSetting,
    registry: Registry,
    running: RunningInstances,
    store: Store,
    limits: Limits,
    log: Log,
  ): Promise<FleetSync> {
    const text = await store.loadSourceState(stateName);
    const nothing = { cluster: '', revision: '0', markKey: '', markRevision: '0', instances: 0, older: false };
    const state: FleetState = text === undefined ? { ...nothing, daemon: randomUUID() } : JSON.parse(text);
    return new FleetSync(setting, registry, running, store, limits, log, state);
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
    await this.#done;
    await this.#apply.stop();
    await this.#save();
    const connection = this.#connection;
    if (connection === undefined) return;
    if (!isHandover) await this.#status.leave(connection).catch(() => undefined);
    connection.close();
  }

  /**
   * What etcd says now is right, whatever is missing in it.
   * @returns what was held back
   * @throws Fault not-found, when nothing is held back
   */
  async accept(): Promise<string> {
    const { held } = this;
    if (held === undefined) throw new Fault('not-found', 'Nothing is held back: what etcd says is applied.');
    this.#state = { ...this.#state, older: false };
    await this.#apply.release();
    await this.#save();
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
    const isSame = now.cluster_id === (mirror?.cluster ?? this.#state.cluster);
    const mark = this.#mark();
    const isOlder =
      isSame &&
      (BigInt(now.revision) < this.#known() || (mark !== undefined && !(await hasSeen(connection, mark, now))));
    if (mirror !== undefined && isSame && !isOlder && !this.#apply.isIncomplete) return;
    this.asked.all++;
    const read = await readAll(connection, this.#keys, this.#setting.host, this.#limits);
    const left = this.#countNamed(read);
    const held = heldOf(this.#state, { cluster: read.cluster, isOlder, left });
    if (held === 'older') this.#state = { ...this.#state, older: true };
    this.#log.info({ source: 'etcd', instances: read.instances.size }, 'source read');
    this.#apply.mirrored(read, held, this.#state.instances);
    await this.#apply.idle();
    await this.#save();
  }

  /** Instances that are stored, and that the fleet names. */
  #countNamed(mirror: Mirror): number {
    let count = 0;
    for (const { source, project, name } of this.#registry.instances())
      if (source === 'etcd' && mirror.names(project, name)) count++;
    return count;
  }

  #known(): bigint {
    const newest = this.#apply.mirror?.newest ?? 0n;
    const applied = BigInt(this.#state.revision);
    return newest > applied ? newest : applied;
  }

  #mark(): Mark | undefined {
    const { markKey: key, markRevision: revision } = this.#state;
    return this.#apply.mirror?.mark ?? (key === '' ? undefined : { key, revision });
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
        await this.#save();
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

  /** While something is held back, what was followed before is what the store goes on knowing. */
  async #save(): Promise<void> {
    const { mirror, held, applied } = this.#apply;
    if (mirror !== undefined && held === undefined && BigInt(applied) > 0n) {
      const { cluster, mark } = mirror;
      const instances = this.#countNamed(mirror);
      const marked = { markKey: mark?.key ?? '', markRevision: mark?.revision ?? '0' };
      this.#state = { ...this.#state, cluster, revision: applied, ...marked, instances };
    }
    const text = JSON.stringify(this.#state);
    if (text === this.#saved) return;
    await this.#store.putSourceState(stateName, text);
    this.#saved = text;
  }
}
