import { exceeds } from '../limits/limits.js';

/** Lets so many in at a time; the others wait, in the order of their coming. */
export class Semaphore {
  readonly #most: () => number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  /** most: 0 lets everyone in; when it has become more, `admit` */
  constructor(most: () => number) {
    this.#most = most;
  }

  /** Nobody is in, and nobody waits. */
  get idle(): boolean {
    return this.#inside === 0;
  }

  /** Who comes now has to wait. */
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

  /** Lets in those who wait and need not. */
  admit(): void {
    while (this.#waiting.length > 0 && !this.full) {
      this.#inside++; // at once, so that nobody comes in between
      this.#waiting.shift()?.();
    }
  }
}
