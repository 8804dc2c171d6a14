/** How long one piece of work may keep the event loop, where nothing else is said. */
const longest = 10;

/** Long work in pieces: between two of them others have their turn of the event loop. */
export class Turn {
  readonly #milliseconds: number;
  #began = performance.now();

  /** milliseconds: how long one piece may keep the event loop */
  constructor(milliseconds = longest) {
    this.#milliseconds = milliseconds;
  }

  /** Awaited after each piece; returns at once while there is time left. */
  end(): Promise<void> | undefined {
    if (performance.now() - this.#began < this.#milliseconds) return undefined;
    return new Promise((resolve) =>
      setImmediate(() => {
        this.#began = performance.now();
        resolve();
      }),
    );
  }
}
