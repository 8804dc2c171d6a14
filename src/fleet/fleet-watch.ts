import type { EtcdConnection } from '../etcd/etcd-connection.js';
import type { Header, KeyValue, WatchEvent, WatchResponse } from '../etcd/etcd-messages.js';
import type { Limits } from '../limits/limits.js';
import type { FleetKeys } from './fleet-keys.js';
import { isFew } from './held.js';
import { type Mark, Mirror, type RangeName, type Subject } from './mirror.js';

/** The ranges by the ids of their watches, 1 and 2. */
const ranges: readonly RangeName[] = ['instances', 'shared'];

/** How often etcd is asked how far it is, so that little has to be read again once it has forgotten old revisions. */
const progressMilliseconds = 60_000;
/** How often while one range may be behind the other: etcd does not answer while it is itself. */
const confirmMilliseconds = 500;

/** Progress of etcd before 3.5.8 can be ahead of its events (etcd #15220). */
const firstTrusted = [3, 5, 8];

export interface Told {
  /** both watches have begun: whatever happens from here on is told */
  began(): void;
  /** changes, in order. before: how many instances there were, where one transaction has taken more than half of them away */
  changed(subjects: readonly Subject[], before: number | undefined): void;
  /** of neither range anything is missing that is older than the newest change */
  confirmed(): void;
}

/** Everything of this host, as it is at one revision. */
export async function readAll(
  connection: EtcdConnection,
  keys: FleetKeys,
  host: string,
  limits: Limits,
): Promise<Mirror> {
  const header = await connection.now(keys.instances(host));
  const mirror = new Mirror(keys, host, limits, header);
  const taking = (range: RangeName) => (kv: KeyValue) => void mirror.take(range, kv, false);
  await connection.range(keys.shared, taking('shared'), header.revision);
  await connection.range(keys.instances(host), taking('instances'), header.revision);
  return mirror;
}

/** Is this revision of etcd's history the one that was seen? false as well: it is not kept any more */
export async function hasSeen(connection: EtcdConnection, { key, revision }: Mark, now: Header): Promise<boolean> {
  if (BigInt(now.revision) < BigInt(revision)) return false;
  try {
    return (await connection.get(key, revision))?.mod_revision === revision;
  } catch (error) {
    if (isOutOfRange(error)) return true; // compacted: the revisions alone have to do
    throw error;
  }
}

/** gRPC's OUT_OF_RANGE, which etcd answers for compacted and for future revisions. */
function isOutOfRange(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === 11;
}

/** Follows what is in a mirror already, from where it is; resolves never, and rejects when it is over. */
export class FleetWatch {
  readonly #mirror: Mirror;
  readonly #told: Told;
  readonly #trustsProgress: boolean;
  readonly #parts: Record<RangeName, WatchEvent[]> = { instances: [], shared: [] };
  #created = 0;
  /** the newest change, when nothing older was missing */
  #confirmed = 0n;
  /** asks etcd how far both ranges are */
  #ask: () => void = () => undefined;

  /** version: of the member of etcd */
  constructor(mirror: Mirror, version: string, told: Told) {
    this.#mirror = mirror;
    this.#told = told;
    this.#trustsProgress = isTrusted(version);
    this.#confirmed = mirror.isWhole ? mirror.newest : 0n;
  }

  run(
    connection: EtcdConnection,
    prefixes: Readonly<Record<RangeName, string>>,
    stopping: AbortSignal,
  ): Promise<never> {
    const { done } = this.#mirror;
    const watched = ranges.map((name, index) => ({
      id: String(index + 1),
      prefix: prefixes[name],
      from: String(done[name] + 1n),
    }));
    return new Promise((_, reject) => {
      const fail = (error: Error): void => {
        clearInterval(timer);
        clearInterval(confirming);
        stopping.removeEventListener('abort', stop);
        reject(error);
      };
      const watching = connection.watch(watched, (response) => this.#take(response), fail);
      const stop = (): void => {
        watching.end();
        fail(new Error('stopped'));
      };
      const timer = setInterval(() => watching.progress(), progressMilliseconds);
      this.#ask = () => (this.#trustsProgress ? watching.progress() : void this.#compare(connection, prefixes));
      const confirming = setInterval(() => this.#mirror.newest > this.#confirmed && this.#ask(), confirmMilliseconds);
      stopping.addEventListener('abort', stop);
    });
  }

  #take({ header, watch_id: id, created, fragment, events }: WatchResponse): void {
    if (header.cluster_id !== this.#mirror.cluster) throw new Error('another cluster of etcd answers');
    if (created) {
      if (++this.#created === ranges.length) this.#told.began();
      return; // its revision is ahead of what it has to tell
    }
    const range = ranges[Number(id) - 1];
    if (range === undefined || events.length === 0) {
      this.#progress(range === undefined ? ranges : [range], header);
      return;
    }
    const part = this.#parts[range];
    for (const event of events) part.push(event);
    if (fragment) return;
    this.#parts[range] = [];
    this.#complete(range, part);
  }

  #progress(done: readonly RangeName[], { revision }: Header): void {
    if (!this.#trustsProgress) return;
    for (const range of done) {
      if (this.#parts[range].length === 0) this.#mirror.done[range] = BigInt(revision);
    }
    if (this.#mirror.isWhole) this.#confirm();
  }

  /** Where progress says nothing: a range with nothing newer in it than what is here is not behind. */
  async #compare(connection: EtcdConnection, prefixes: Readonly<Record<RangeName, string>>): Promise<void> {
    const { done, newest } = this.#mirror;
    for (const range of ranges) {
      if (done[range] >= newest) continue;
      const there = await connection.newest(prefixes[range]).catch(() => undefined);
      if (there === undefined || BigInt(there) > done[range]) return;
    }
    if (this.#mirror.newest === newest) this.#confirm();
  }

  #confirm(): void {
    this.#confirmed = this.#mirror.newest;
    this.#told.confirmed();
  }

  #complete(range: RangeName, events: readonly WatchEvent[]): void {
    const before = this.#mirror.instances.size;
    const gone = new Map<string, number>();
    const subjects: Subject[] = [];
    for (const { type, kv } of events) {
      const subject = this.#mirror.take(range, kv, type === 'DELETE');
      if (subject !== undefined) subjects.push(subject);
      if (range === 'instances' && type === 'DELETE') gone.set(kv.mod_revision, (gone.get(kv.mod_revision) ?? 0) + 1);
      this.#mirror.done[range] = BigInt(kv.mod_revision);
    }
    // One that is deleted alone is meant, even if it is the last one.
    const isMassive = [...gone.values()].some((count) => count > 1 && isFew(before - count, before));
    this.#told.changed(subjects, isMassive ? before : undefined);
    if (this.#mirror.isWhole) this.#confirm();
    else this.#ask();
  }
}

function isTrusted(version: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [index, least] of firstTrusted.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}
