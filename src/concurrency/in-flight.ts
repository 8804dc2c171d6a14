/** In-flight counter; `ended()` resolves at zero. */
export class InFlight {
  #count = 0;
  readonly #waiting: (() => void)[] = [];

  /** Returns what is to be called, once or more often, when the work has ended. */
  begin(): () => void {
    let open = true;
    this.enter();
    return () => {
      if (open) this.leave();
      open = false;
    };
  }

  /** The same for work that says once, by itself, that it has ended: `leave`. */
  enter(): void {
    this.#count++;
  }

  leave(): void {
    if (--this.#count === 0) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Until the promise settles. */
  add(work: Promise<unknown>): void {
    const end = this.begin();
    work.then(end, end);
  }

  /** Waits until nothing is under way, but not longer than that; 0: as long as it takes. */
  async ended(seconds: number): Promise<void> {
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      const timer = seconds === 0 ? undefined : setTimeout(resolve, seconds * 1000);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
