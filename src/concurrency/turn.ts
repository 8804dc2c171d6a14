/** How long all long work together may keep the event loop, where nothing else is said. */
const longest = 4;

interface Waiting {
  readonly milliseconds: number;
  resume(): void;
}

/**
 * Long work in pieces: between two of them guests have their turn of the event loop. The event loop is one, so its
 * share for long work is one as well: however much long work there is at once, a turn of the loop has one piece of it.
 */
export class Turn {
  /** pieces that wait, first come, first served */
  static readonly #waiting: Waiting[] = [];
  /** when the piece of this turn of the loop has to end; 0: it has not begun */
  static #endsAt = 0;
  readonly #milliseconds: number;

  /** milliseconds: how long one piece may keep the event loop */
  constructor(milliseconds = longest) {
    this.#milliseconds = milliseconds;
    Turn.#begin(milliseconds);
  }

  /** Awaited after each piece; nothing to wait for while there is time left. */
  end(): Promise<void> | undefined {
    const hasBegun = Turn.#begin(this.#milliseconds); // where something else was waited for meanwhile
    if (hasBegun || performance.now() < Turn.#endsAt) return undefined;
    return new Promise((resume) => Turn.#waiting.push({ milliseconds: this.#milliseconds, resume }));
  }

  static #begin(milliseconds: number): boolean {
    if (Turn.#endsAt !== 0) return false;
    Turn.#endsAt = performance.now() + milliseconds;
    setImmediate(Turn.#afterAnyPhase);
    return true;
  }

  /** What begins where the loop reads would be followed by a piece in the same turn: immediates come after that. */
  static readonly #afterAnyPhase = (): void => {
    setImmediate(Turn.#next);
  };

  static readonly #next = (): void => {
    Turn.#endsAt = 0;
    const next = Turn.#waiting.shift();
    if (next === undefined) return;
    Turn.#endsAt = performance.now() + next.milliseconds;
    setImmediate(Turn.#next);
    next.resume();
  };
}
