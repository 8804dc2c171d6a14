/** How often it is looked. */
const lookMilliseconds = 1000;
/** So many looks are remembered: a minute. */
const remembered = 60;

/** The longest delay of the event loop in the last minute; a request that came then waited as long. */
export class EventLoopDelay {
  readonly #delays: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #expected = 0;

  run(): void {
    this.#expected = performance.now() + lookMilliseconds;
    this.#timer = setInterval(() => this.#look(performance.now()), lookMilliseconds);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get worstSeconds(): number {
    return Math.max(0, ...this.#delays) / 1000;
  }

  #look(now: number): void {
    this.#delays.push(now - this.#expected);
    if (this.#delays.length > remembered) this.#delays.shift();
    this.#expected = now + lookMilliseconds;
  }
}
