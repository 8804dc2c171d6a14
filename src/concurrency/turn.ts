/** How long one piece of work may keep the event loop. */
const milliseconds = 10;

/** Long work in pieces: between two of them others have their turn of the event loop. */
export class Turn {
  #began = performance.now();

  /** Awaited after each piece; returns at once while there is time left. */
  end(): Promise<void> | undefined {
    if (performance.now() - this.#began < milliseconds) return undefined;
    return new Promise((resolve) =>
      setImmediate(() => {
        this.#began = performance.now();
        resolve();
      }),
    );
  }
}
