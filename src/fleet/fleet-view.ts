import { setTimeout as pause } from 'node:timers/promises';
import { Turn } from '../concurrency/turn.js';
import type { EtcdSetting } from '../config/fleet-setting.js';
import { Fault } from '../errors.js';
import { EtcdConnection } from '../etcd/etcd-connection.js';
import type { KeyValue, WatchResponse } from '../etcd/etcd-messages.js';
import type { Limits } from '../limits/limits.js';
import type { Log } from '../log.js';
import type { FleetKeys } from './fleet-keys.js';
import { type PartOfFleet, readPart } from './fleet-part.js';
import { FleetRegistry } from './fleet-registry.js';
import { FleetStore, type Overtaken } from './fleet-store.js';
import { KnownKeys } from './known-keys.js';
import type { SeenHosts } from './seen-hosts.js';
import { type Described, describedBy, type SeenKey, titleOf } from './seen-keys.js';
import { ViewMerge } from './view-merge.js';

/** Keys that are merged in one transaction; requests are answered between two of them. */
const atOnce = 1000;
const longestPause = 10_000;

/** The whole fleet, as its etcd has it, in memory: read once and then followed. Nothing of it is kept on a disk. */
export class FleetView {
  readonly registry: FleetRegistry;
  readonly #part: PartOfFleet | undefined;
  readonly #setting: EtcdSetting;
  readonly #keys: FleetKeys;
  readonly #hosts: SeenHosts;
  readonly #limits: Limits;
  readonly #log: Log;
  readonly #known = new KnownKeys();
  readonly #stopping = new AbortController();
  /** by key: what was seen and is not merged yet */
  readonly #pending = new Map<string, SeenKey>();
  /** by key: what cannot be used, which something else may change */
  readonly #refused = new Map<string, { readonly seen: SeenKey; readonly why: string }>();
  #merging: Promise<void> | undefined;
  #connection: EtcdConnection | undefined;
  #away = 'it has not been asked yet';
  #isThere = false;
  #turn: number;
  #done: Promise<void> = Promise.resolve();

  /** part: all that is to be read; left out: the whole fleet */
  constructor(
    setting: EtcdSetting,
    keys: FleetKeys,
    hosts: SeenHosts,
    limits: Limits,
    log: Log,
    part: PartOfFleet | undefined,
  ) {
    this.#part = part;
    this.#setting = setting;
    this.#keys = keys;
    this.#hosts = hosts;
    this.#limits = limits;
    this.#log = log;
    this.#turn = Math.floor(Math.random() * setting.endpoints.length);
    const store = new FleetStore(keys, this.#known, () => this.connection, {
      uses: (profile) => this.registry.uses(profile),
      whyNot: (key) => this.#refused.get(key)?.why,
    });
    this.registry = new FleetRegistry(store, (error) => this.#overtaken(error));
    registered(this.registry, log);
  }

  /** @throws Fault fleet-away */
  get connection(): EtcdConnection {
    if (this.#connection !== undefined && this.#isThere) return this.#connection;
    throw new Fault('fleet-away', `No member of the fleet's etcd answers: ${this.#away}`);
  }

  /** '0': nothing is known of it */
  revisionOf(key: string): string {
    return this.#known.revisionOf(key);
  }

  /**
   * Reads everything; it is followed until `stop`.
   * @throws Fault fleet-away, when no member answers
   */
  async open(): Promise<void> {
    await this.registry.load();
    for (let attempt = 1; ; attempt++) {
      try {
        const from = await this.#readAll();
        this.#done = this.#follow(from);
        return;
      } catch (error) {
        this.#lost(error as Error);
        if (attempt >= this.#setting.endpoints.length) {
          throw new Fault('fleet-away', `No member of the fleet's etcd answers: ${this.#away}`, error);
        }
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#connection?.hurry();
    await this.#done;
    await this.#merging;
    await this.registry.stop();
    this.#connection?.close();
  }

  /** @returns the revision from which on it is to be followed */
  async #readAll(): Promise<bigint> {
    const connection = this.#connect();
    await this.#merging;
    this.#pending.clear();
    this.#refused.clear();
    const { revision } = await connection.now(this.#keys.shared);
    const seen = new Set<string>();
    const take = (kv: KeyValue): void => {
      seen.add(kv.key.toString());
      this.#see(kv, false);
    };
    this.#hosts.beginRead();
    const { shared, places, hosts, statuses } = this.#keys;
    const whole = this.#part === undefined ? [shared, places, hosts, statuses] : [shared];
    for (const prefix of whole) await connection.range(prefix, take, revision);
    if (this.#part !== undefined) for (const kv of await readPart(connection, this.#keys, this.#part)) take(kv);
    this.#hosts.endRead();
    for (const key of this.#known.keys()) if (!seen.has(key)) this.#see(goneAt(key, revision), true);
    this.#known.doubt();
    await this.#merge();
    this.#known.instancesUpTo = revision;
    this.#isThere = true;
    return BigInt(revision) + 1n;
  }

  /** What is followed. What a part of it misses is found out by a transaction of etcd, and read then. */
  get #prefixes(): readonly string[] {
    const { shared, places, hosts, statuses } = this.#keys;
    return this.#part === undefined ? [shared, places, hosts, statuses] : [shared, statuses];
  }

  #connect(): EtcdConnection {
    const { endpoints } = this.#setting;
    this.#connection?.close();
    this.#connection = new EtcdConnection(endpoints[this.#turn++ % endpoints.length] as string, this.#setting);
    return this.#connection;
  }

  /** Until it is stopped. After a failure everything is read again: endpoints are few, and keep no history. */
  async #follow(first: bigint): Promise<void> {
    const { signal } = this.#stopping;
    let from: bigint | undefined = first;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        from ??= await this.#readAll();
        if (this.#away !== '') this.#log.info('the fleet is followed');
        this.#away = '';
        failures = 0;
        await this.#watch(from, signal);
      } catch (error) {
        this.#lost(error as Error);
      }
      from = undefined;
      const longest = failures < this.#setting.endpoints.length ? 100 : Math.min(1000 * 2 ** failures, longestPause);
      await pause(Math.random() * longest, undefined, { signal }).catch(() => undefined);
    }
  }

  #lost(error: Error): void {
    this.#isThere = false;
    if (this.#stopping.signal.aborted) return;
    if (this.#away === '') this.#log.warn({ err: error }, 'etcd is away');
    this.#away = error.message;
  }

  #watch(from: bigint, signal: AbortSignal): Promise<never> {
    const ranges = this.#prefixes.map((prefix, index) => ({ id: String(index + 1), prefix, from: String(from) }));
    const hostsId = String(this.#prefixes.indexOf(this.#keys.hosts) + 1);
    return new Promise((_, reject) => {
      const stop = (): void => {
        watching.end();
        reject(new Error('stopped'));
      };
      const fail = (error: Error): void => {
        signal.removeEventListener('abort', stop);
        reject(error);
      };
      const watching = this.connection.watch(ranges, (response) => this.#told(response, hostsId), fail);
      signal.addEventListener('abort', stop);
    });
  }

  #told({ events, fragment, watch_id: id }: WatchResponse, hostsId: string): void {
    for (const { type, kv } of events) this.#see(kv, type === 'DELETE');
    if (events.length === 0 || fragment) return;
    const revision = events.at(-1)?.kv.mod_revision ?? '0';
    void this.#merge().then(() => {
      if (id === hostsId && BigInt(revision) > BigInt(this.#known.instancesUpTo)) this.#known.instancesUpTo = revision;
    });
  }

  #overtaken({ found, revision }: Overtaken): void {
    for (const { key, kv } of found) this.#see(kv ?? goneAt(key, revision), kv === undefined);
    void this.#merge();
  }

  #see(kv: KeyValue, isGone: boolean): void {
    const key = kv.key.toString();
    if (key.startsWith(this.#keys.statuses)) {
      this.#hosts.take(key.slice(this.#keys.statuses.length), kv, isGone);
      return;
    }
    const waiting = this.#pending.get(key);
    if (waiting !== undefined && BigInt(waiting.kv.mod_revision) > BigInt(kv.mod_revision)) return;
    this.#pending.set(key, { key, kv, isGone });
  }

  /** Until nothing waits. */
  #merge(): Promise<void> {
    this.#merging ??= this.#mergeAll()
      .catch((error: unknown) => this.#log.error({ err: error }, 'changes of the fleet could not be taken in'))
      .finally(() => {
        this.#merging = undefined;
      });
    return this.#merging;
  }

  async #mergeAll(): Promise<void> {
    await undefined; // not before #merging is set
    while (this.#pending.size > 0) {
      const seen = [...this.#pending.values()];
      this.#pending.clear();
      const waiting = this.#inOrder([...seen, ...this.#again(seen)]);
      for (let first = 0; first < waiting.length; first += atOnce)
        await this.#mergeSome(waiting.slice(first, first + atOnce));
    }
  }

  /** What is refused for what something else is: it may be right now. */
  #again(seen: readonly SeenKey[]): SeenKey[] {
    const mayFree = seen.some(({ key, isGone }) => isGone || key.startsWith(this.#keys.shared));
    return mayFree ? [...this.#refused.values()].map((refused) => refused.seen) : [];
  }

  /** Projects, profiles, instances that are gone, instances: each finds what it needs. What goes of the rest, goes last. */
  #inOrder(seen: readonly SeenKey[]): [SeenKey, Described | undefined][] {
    const rank = ([{ isGone }, described]: [SeenKey, Described | undefined]): number => {
      if (described === undefined) return 0;
      if (described.kind === 'instance') return isGone ? 3 : 4;
      const order = described.kind === 'project' ? 1 : 2;
      return isGone ? 7 - order : order;
    };
    const all = seen.map((each): [SeenKey, Described | undefined] => [each, describedBy(this.#keys, each.key)]);
    return all.sort((a, b) => rank(a) - rank(b));
  }

  async #mergeSome(some: readonly [SeenKey, Described | undefined][]): Promise<void> {
    await this.registry.taken(async (transaction) => {
      const merge = new ViewMerge(transaction, this.#hosts, this.#limits);
      const turn = new Turn();
      for (const [seen, described] of some) {
        const isAgain = this.#refused.get(seen.key)?.seen === seen;
        if (!this.#isNews(seen) && !isAgain) continue;
        const why = described && (await merge.merge(described, seen).catch((error: unknown) => this.#failed(error)));
        if (described !== undefined) this.#note(seen, described, why);
        await turn.end();
      }
    });
  }

  /** One key that cannot be merged keeps no other from it. */
  #failed(error: unknown): string {
    this.#log.error({ err: error }, 'a key of the fleet could not be taken in');
    return (error as Error).message;
  }

  /** Our own changes are known already when etcd tells of them. */
  #isNews({ key, kv, isGone }: SeenKey): boolean {
    return isGone ? this.#known.remove(key, kv.mod_revision) : this.#known.put(key, kv.mod_revision);
  }

  #note(seen: SeenKey, described: Described, why: string | undefined): void {
    const known = this.#refused.get(seen.key)?.why;
    if (why === undefined) this.#refused.delete(seen.key);
    else this.#refused.set(seen.key, { seen, why });
    if (why !== undefined && why !== known)
      this.#log.warn({ subject: titleOf(described), reason: why }, 'cannot be used');
  }
}

function goneAt(key: string, revision: string): KeyValue {
  return { key: Buffer.from(key), value: Buffer.alloc(0), create_revision: '0', mod_revision: revision };
}

function registered(registry: FleetRegistry, log: Log): void {
  registry.on('notTold', (error) => log.error({ err: error }, 'operators were not told of a change'));
}
