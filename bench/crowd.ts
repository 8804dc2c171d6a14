import { join } from 'node:path';
import { Child, type Finished } from './child.js';
import type { Bench } from './trial.js';
import { tools } from './workplace.js';

/** What bench_guests prints after a storm. */
export interface StormReport {
  readonly requests: number;
  readonly seconds: number;
  readonly errors: number;
  readonly mismatches: number;
  readonly latencyMicroseconds: Readonly<Record<'p50' | 'p99' | 'max', number>>;
}

/** Guests, each in namespaces of its own, that wait, or boot all at once. They end with end(), or with this process. */
export class Crowd {
  /** of their inits, as the host sees them */
  readonly pids: readonly number[];
  readonly #child: Child;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: Child, lines: AsyncIterator<string>, pids: readonly number[]) {
    this.#child = child;
    this.#lines = lines;
    this.pids = pids;
  }

  /** words: of bench_guests */
  static async spawn({ pins }: Pick<Bench, 'pins'>, count: number, words: readonly string[] = []): Promise<Crowd> {
    const child = new Child('the guests', [
      ...pins.load,
      join(tools, 'bench_guests'),
      '--guests',
      String(count),
      ...words,
    ]);
    const lines = child.lines();
    const [, ...pids] = (await child.next(lines)).split(' ');
    return new Crowd(child, lines, pids.map(Number));
  }

  /** All of them ask at once. */
  async storm(): Promise<StormReport> {
    this.#child.send('.');
    return JSON.parse(await this.#child.next(this.#lines)) as StormReport;
  }

  /** Lets them begin to hold, when they were spawned with --hold. */
  go(): void {
    this.#child.send('.');
  }

  /** Forgets the messages that have come, when it holds. */
  again(): Promise<unknown> {
    this.#child.send('.');
    return this.line(); // "forgot"
  }

  /** The next line that is printed. */
  line(): Promise<string> {
    return this.#child.next(this.#lines);
  }

  /** Ends them in order, and gives all that was said. */
  finish(): Promise<Finished> {
    return this.#child.finish();
  }

  /** Gives what they complained about. */
  async end(): Promise<string> {
    await this.#child.end();
    return this.#child.complaints;
  }
}
