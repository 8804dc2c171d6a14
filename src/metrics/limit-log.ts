import type { CountedLimit, LimitHits } from '../limits/limit-hits.js';
import type { Log } from '../log.js';

/** How often it is looked: so late is the first line at most. */
const lookMilliseconds = 1000;

interface Entry {
  readonly limit: CountedLimit;
  readonly instanceId: number | undefined;
  /** since the last line of it */
  times: number;
  /** on the clock */
  quietUntil: number;
}

/** Names an instance for the log. */
type NameOf = (instanceId: number) => { readonly project: string; readonly name: string } | undefined;

/**
 * Lines of who has reached which limit. Of an instance and a limit the first comes within a second, then one in each
 * interval; of all together so many in an interval, and one for the rest: a flood cannot fill the disk.
 */
export class LimitLog {
  readonly #limitHits: LimitHits;
  readonly #nameOf: NameOf;
  readonly #log: Log;
  readonly #look: () => void;
  readonly #clock: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #unnamed = new Set<number | undefined>();
  #unnamedTimes = 0;
  #written = 0;
  #intervalEnds = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  static readonly intervalMilliseconds = 10_000;
  /** in an interval, besides the one for the rest */
  static readonly mostLines = 20;

  /** look: brings `reached` up to date; clock: milliseconds */
  constructor(limitHits: LimitHits, nameOf: NameOf, log: Log, look: () => void, clock = () => performance.now()) {
    this.#limitHits = limitHits;
    this.#nameOf = nameOf;
    this.#log = log;
    this.#look = look;
    this.#clock = clock;
  }

  run(): void {
    this.#timer = setInterval(() => this.write(), lookMilliseconds);
    this.#timer.unref();
  }

  /** Writes what is left to be said. */
  stop(): void {
    clearInterval(this.#timer);
    for (const entry of this.#entries.values()) entry.quietUntil = Number.NEGATIVE_INFINITY;
    this.write();
    this.#writeRest();
  }

  /** Writes the lines whose time has come. */
  write(): void {
    this.#look();
    for (const { limit, instanceId, times } of this.#limitHits.takeRecent()) this.#add(limit, instanceId, times);
    const now = this.#clock();
    if (now >= this.#intervalEnds) this.#begin(now);
    for (const [key, entry] of [...this.#entries]) {
      if (now < entry.quietUntil) continue;
      // Who has a line goes to the end: the others come first the next time.
      if (entry.times === 0 || this.#tell(entry)) this.#entries.delete(key);
      if (entry.times === 0) continue;
      this.#entries.set(key, { ...entry, times: 0, quietUntil: now + LimitLog.intervalMilliseconds });
    }
  }

  #add(limit: CountedLimit, instanceId: number | undefined, times: number): void {
    const key = `${limit} ${instanceId}`;
    const entry = this.#entries.get(key);
    if (entry !== undefined) entry.times += times;
    else this.#entries.set(key, { limit, instanceId, times, quietUntil: Number.NEGATIVE_INFINITY });
  }

  #begin(now: number): void {
    this.#writeRest();
    this.#written = 0;
    this.#intervalEnds = now + LimitLog.intervalMilliseconds;
  }

  /** False: it has no line, and is one of the rest. */
  #tell({ limit, instanceId, times }: Entry): boolean {
    if (this.#written++ < LimitLog.mostLines) {
      const { project, name: instance } = (instanceId === undefined ? undefined : this.#nameOf(instanceId)) ?? {};
      this.#log.warn({ limit, project, instance, times }, 'limit reached');
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
