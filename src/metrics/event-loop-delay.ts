/** How often it is looked. */
const lookMilliseconds = 1000;
/** So many looks are remembered: a minute. */
const remembered = 60;

/** The longest turn of the event loop in the last minute; a request that came when it began waited as long. */
export class EventLoopDelay {
  readonly #takeLongest: () => number;
  /** of each second, in seconds; the last one is not over */
  readonly #longest: number[] = [0];
  #timer: NodeJS.Timeout | undefined;

  /** takeLongest: gives the seconds of the longest turn since it was called last */
  constructor(takeLongest: () => number) {
    this.#takeLongest = takeLongest;
  }

  /** What was before is of no interest: nobody was served. The turn that this is called in is part of it. */
  run(): void {
    setImmediate(() => setImmediate(() => this.#takeLongest())); // it is over in the next turn
    this.#timer = setInterval(() => this.#look(), lookMilliseconds);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get worstSeconds(): number {
    this.#longest.push(Math.max(this.#longest.pop() ?? 0, this.#takeLongest()));
    return Math.max(...this.#longest);
  }

  #look(): void {
    this.#longest.push(this.#takeLongest());
    if (this.#longest.length > remembered) this.#longest.shift();
  }
}
