import { exceeds } from '../limits.js';

/** Lets so many in at a time; the others wait, in the order of their coming. */
export class Turns {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  /** most: 0 lets everyone in */
  constructor(most: number) {
    this.#most = most;
  }

  /** Nobody is in, and nobody waits. */
  get idle(): boolean {
    return this.#inside === 0;
  }

  /** Who comes now has to wait. */
  get full(): boolean {
    return exceeds(this.#most, this.#inside + 1);
  }

  /** Runs work when its turn has come. */
  async take(work: () => Promise<void>): Promise<void> {
    if (this.full) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#inside++;
    try {
      await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#inside--;
      else next(); // in the place of the one who leaves
    }
  }
}
