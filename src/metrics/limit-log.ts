import { type About, type CountedLimit, hitKey, type LimitHits } from '../limits/limit-hits.js';
import type { Log } from '../log.js';

/** Between two polls: the delay of the first line. */
const pollMilliseconds = 1000;

interface Entry {
  readonly limit: CountedLimit;
  readonly instanceId: number | undefined;
  readonly about: About | undefined;
  /** since the last line of it */
  times: number;
  /** on the clock */
  quietUntil: number;
}

/** Names an instance for the log. */
type NameOf = (instanceId: number) => { readonly project: string; readonly name: string } | undefined;

/**
 * Log lines about limits that were reached. First line per instance and limit within a second, then one per interval;
 * at most `mostLines` per interval, the rest summed in one: a flood cannot fill the disk.
 */
export class LimitLog {
  readonly #limitHits: LimitHits;
  readonly #nameOf: NameOf;
  readonly #log: Log;
  readonly #poll: () => void;
  readonly #clock: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #unnamed = new Set<number | undefined>();
  #unnamedTimes = 0;
  #written = 0;
  #intervalEnds = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  static readonly intervalMilliseconds = 10_000;
  /** per interval, without the line for the rest */
  static readonly mostLines = 20;

  /** poll: brings limitHits up to date; clock: milliseconds */
  constructor(limitHits: LimitHits, nameOf: NameOf, log: Log, poll: () => void, clock = () => performance.now()) {
    this.#limitHits = limitHits;
    this.#nameOf = nameOf;
    this.#log = log;
    this.#poll = poll;
    this.#clock = clock;
  }

  run(): void {
    this.#timer = setInterval(() => this.write(), pollMilliseconds);
    this.#timer.unref();
  }

  /** Writes every pending line, due or not. */
  stop(): void {
    clearInterval(this.#timer);
    for (const entry of this.#entries.values()) entry.quietUntil = Number.NEGATIVE_INFINITY;
    this.write();
    this.#writeRest();
  }

  /** Writes the lines whose time has come. */
  write(): void {
    this.#poll();
    for (const hit of this.#limitHits.takeRecent()) this.#add(hit);
    const now = this.#clock();
    if (now >= this.#intervalEnds) this.#begin(now);
    for (const [key, entry] of [...this.#entries]) {
      if (now < entry.quietUntil) continue;
      // An entry that got a line moves to the end, so that the others come first the next time.
      if (entry.times === 0 || this.#tell(entry)) this.#entries.delete(key);
      if (entry.times === 0) continue;
      this.#entries.set(key, { ...entry, times: 0, quietUntil: now + LimitLog.intervalMilliseconds });
    }
  }

  #add({ limit, instanceId, about, times }: Omit<Entry, 'quietUntil'>): void {
    const key = hitKey(limit, instanceId, about);
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.times += times;
    else this.#entries.set(key, { limit, instanceId, about, times, quietUntil: Number.NEGATIVE_INFINITY });
  }

  #begin(now: number): void {
    this.#writeRest();
    this.#written = 0;
    this.#intervalEnds = now + LimitLog.intervalMilliseconds;
  }

  /** False: there were too many lines, and it is one of the rest. */
  #tell({ limit, instanceId, about, times }: Entry): boolean {
    if (this.#written++ < LimitLog.mostLines) {
      const { project, name: instance } = (instanceId === undefined ? undefined : this.#nameOf(instanceId)) ?? {};
      this.#log.warn({ limit, project, instance, ...about, times }, 'limit reached');
      return true;
    }
    this.#unnamed.add(instanceId);
    this.#unnamedTimes += times;
    return false;
  }

  #writeRest(): void {
    if (this.#unnamedTimes === 0) return;
    this.#log.warn({ instances: this.#unnamed.size, times: this.#unnamedTimes }, 'limits reached by more instances');
    this.#unnamed.clear();
    this.#unnamedTimes = 0;
  }
}
