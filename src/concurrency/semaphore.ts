import { exceeds } from '../limits/limits.js';

/** FIFO semaphore. */
export class Semaphore {
  readonly #most: () => number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  /** most: 0 lets everyone in; when it has become more, `admit` */
  constructor(most: () => number) {
    this.#most = most;
  }

  /** how many run */
  get inside(): number {
    return this.#inside;
  }

  /** how many wait */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Nothing runs and nothing waits. */
  get idle(): boolean {
    return this.#inside === 0;
  }

  /** The next one has to wait. */
  get full(): boolean {
    return exceeds(this.#most(), this.#inside + 1);
  }

  /** Runs work when its turn has come. */
  async take(work: () => Promise<void>): Promise<void> {
    if (this.full) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#inside++;
    try {
      await work();
    } finally {
      this.#inside--;
      this.admit();
    }
  }

  /** Starts waiting work for which there is room, such as after a higher limit. */
  admit(): void {
    while (this.#waiting.length > 0 && !this.full) {
      this.#inside++; // at once, so that nothing else takes the place
      this.#waiting.shift()?.();
    }
  }
}
