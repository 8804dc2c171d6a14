import type { Change } from '../model/changes.js';
import { type LimitFault, limitFaultOf } from './limit-fault.js';
import { type LimitName, limitDeclarations } from './limits.js';

/** Limits without an option of their own; docs/limits.md says what they are. */
const others = [
  'descriptors',
  'held-connections',
  'merged-document',
  'metrics-connections',
  'request-head',
  'sent-ahead',
  'unidentified',
] as const;

/** The limits that count hits. `request-burst` counts as `requests-per-second`; the log tells of `source-seconds`. */
export type CountedLimit = Exclude<LimitName, 'request-burst' | 'source-seconds'> | (typeof others)[number];

/** All of them. */
export const countedLimits = [...Object.keys(limitDeclarations), ...others].filter(
  (name) => name !== 'request-burst' && name !== 'source-seconds',
) as readonly CountedLimit[];

/** What in an instance it was about; shown in the log. */
export type About = Readonly<Record<string, string>>;

interface Hit {
  readonly limit: CountedLimit;
  readonly about: About | undefined;
  /** the instance that caused it; undefined: an operator, a caller of no instance, or all together */
  readonly instanceId: number | undefined;
  times: number;
}

const none: ReadonlyMap<CountedLimit, number> = new Map();

/** How often each limit was reached, and by which instance; a hit costs one addition. */
export class LimitHits {
  readonly #totals = new Map<CountedLimit, number>();
  readonly #last = new Map<CountedLimit, number>();
  readonly #ofInstances = new Map<number, Map<CountedLimit, number>>();
  readonly #countedFaults = new WeakSet<LimitFault>();
  #recent = new Map<string, Hit>();

  add(limit: CountedLimit, instanceId?: number, times = 1, about?: About): void {
    this.#totals.set(limit, this.total(limit) + times);
    this.#last.set(limit, Date.now());
    if (instanceId !== undefined) this.#addOf(instanceId, limit, times);
    const key = hitKey(limit, instanceId, about);
    const known = this.#recent.get(key);
    if (known === undefined) this.#recent.set(key, { limit, instanceId, about, times });
    else known.times += times;
  }

  /** Adds the limit behind a failure, if there is one; once, although an operation and its answer fail with one fault. */
  addFault(error: unknown): void {
    const fault = limitFaultOf(error);
    if (fault === undefined || this.#countedFaults.has(fault)) return;
    this.#countedFaults.add(fault);
    this.add(fault.limit);
  }

  /** Since the start of the daemon, of an instance that is not deleted. */
  of(instanceId: number): ReadonlyMap<CountedLimit, number> {
    return this.#ofInstances.get(instanceId) ?? none;
  }

  /** Since the start of the daemon, by instance, as `of`. */
  get ofInstances(): ReadonlyMap<number, ReadonlyMap<CountedLimit, number>> {
    return this.#ofInstances;
  }

  /** Goes on from what another daemon has counted of an instance; of a limit that is none any more nothing is kept. */
  goOnFrom(instanceId: number, hits: Readonly<Record<string, number>>): void {
    for (const limit of countedLimits) {
      const times = hits[limit] ?? 0;
      if (times > 0) this.#addOf(instanceId, limit, times);
    }
  }

  /** Forgets the instances that these changes delete. */
  deliver(changes: readonly Change[]): void {
    for (const { before, after } of changes) if (before && after === undefined) this.#ofInstances.delete(before.id);
  }

  /** Since the start of the daemon. */
  total(limit: CountedLimit): number {
    return this.#totals.get(limit) ?? 0;
  }

  /** Milliseconds since 1970; 0: never. */
  last(limit: CountedLimit): number {
    return this.#last.get(limit) ?? 0;
  }

  /** What was added since the last call. */
  takeRecent(): Iterable<Hit> {
    const recent = this.#recent;
    this.#recent = new Map();
    return recent.values();
  }

  #addOf(instanceId: number, limit: CountedLimit, times: number): void {
    const hits = this.#ofInstances.get(instanceId) ?? new Map<CountedLimit, number>();
    hits.set(limit, (hits.get(limit) ?? 0) + times);
    this.#ofInstances.set(instanceId, hits);
  }
}

/** The hits that have a line of the log in common. */
export function hitKey(limit: CountedLimit, instanceId: number | undefined, about: About | undefined): string {
  return `${limit} ${instanceId} ${about === undefined ? '' : JSON.stringify(about)}`;
}
