import { type LimitName, limitDeclarations } from './limits.js';

/** Limits without an option of their own; docs/limits.md says what they are. */
const others = ['descriptors', 'merged-document', 'sent-ahead', 'unidentified'] as const;

/** What can be reached while the daemon serves: a burst shows in the rate, and `source-seconds` in its source's lines. */
export type CountedLimit = Exclude<LimitName, 'request-burst' | 'source-seconds'> | (typeof others)[number];

/** All of them. */
export const countedLimits = [...Object.keys(limitDeclarations), ...others].filter(
  (name) => name !== 'request-burst' && name !== 'source-seconds',
) as readonly CountedLimit[];

interface Reached {
  readonly limit: CountedLimit;
  /** whose doing it was; undefined: an operator's, a stranger's, everybody's */
  readonly instanceId: number | undefined;
  times: number;
}

/** How often each limit was reached, and by whom; counted where it happens, which costs no more than that. */
export class LimitHits {
  readonly #totals = new Map<CountedLimit, number>();
  readonly #last = new Map<CountedLimit, number>();
  #recent = new Map<string, Reached>();

  add(limit: CountedLimit, instanceId?: number, times = 1): void {
    this.#totals.set(limit, this.total(limit) + times);
    this.#last.set(limit, Date.now());
    const key = `${limit} ${instanceId}`;
    const known = this.#recent.get(key);
    if (known === undefined) this.#recent.set(key, { limit, instanceId, times });
    else known.times += times;
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
  takeRecent(): Iterable<Reached> {
    const recent = this.#recent;
    this.#recent = new Map();
    return recent.values();
  }
}
