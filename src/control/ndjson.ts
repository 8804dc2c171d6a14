import { Turn } from '../concurrency/turn.js';
import { Fault } from '../errors.js';

/** One JSON document a line (https://github.com/ndjson/ndjson-spec), which is how many things are sent at once. */
export const linesType = 'application/x-ndjson';

const newline = 0x0a;
const whiteSpace: ReadonlySet<number> = new Set([0x20, 0x09, 0x0d]);

/**
 * The lines of such a body; empty ones are left out. They stay the bytes that came: what is made of a line is made when its
 * turn comes, and is forgotten before the next one, so that V8 never has to move what a whole body would become.
 */
export class Lines {
  readonly count: number;
  readonly #body: Buffer;

  private constructor(body: Buffer, count: number) {
    this.#body = body;
    this.count = count;
  }

  static async of(body: Buffer): Promise<Lines> {
    const turn = new Turn();
    let count = 0;
    for (let from = 0; from < body.length; ) {
      const end = endOfLine(body, from);
      if (!isEmpty(body, from, end)) count++;
      from = end + 1;
      const pause = turn.end();
      if (pause !== undefined) await pause;
    }
    return new Lines(body, count);
  }

  /** From the first line on. */
  read(): LineReader {
    return new LineReader(this.#body);
  }
}

/** Reads one line after the other. */
export class LineReader {
  /** of the last line that was read */
  number = 0;
  readonly #body: Buffer;
  #from = 0;
  #start = 0;
  #end = 0;

  constructor(body: Buffer) {
    this.#body = body;
  }

  /** Goes to the next line that is not empty. @returns whether there is one */
  next(): boolean {
    while (this.#from < this.#body.length) {
      this.#start = this.#from;
      this.#end = endOfLine(this.#body, this.#start);
      this.#from = this.#end + 1;
      this.number++;
      if (!isEmpty(this.#body, this.#start, this.#end)) return true;
    }
    return false;
  }

  /** @throws Fault invalid-value */
  parse(): unknown {
    try {
      return JSON.parse(this.#body.toString('utf8', this.#start, this.#end));
    } catch (error) {
      throw new Fault('invalid-value', `not JSON: ${(error as Error).message}`);
    }
  }
}

function endOfLine(body: Buffer, from: number): number {
  const at = body.indexOf(newline, from);
  return at < 0 ? body.length : at;
}

/** Is there nothing but what JSON takes for white space? */
function isEmpty(body: Buffer, from: number, end: number): boolean {
  for (let at = from; at < end; at++) if (!whiteSpace.has(body[at] as number)) return false;
  return true;
}
