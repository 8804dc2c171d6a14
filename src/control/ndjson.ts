import { Turn } from '../concurrency/turn.js';
import { Fault } from '../errors.js';

/** One JSON document a line (https://github.com/ndjson/ndjson-spec), which is how many things are sent at once. */
export const linesType = 'application/x-ndjson';

const newline = 0x0a;
const space = 0x20;

/** A line of a body that is not empty. */
export interface Line {
  readonly number: number;
  /** @throws Fault invalid-value */
  parse(): unknown;
}

/**
 * The lines of such a body; empty ones are left out. They stay the bytes that came: what is made of a line is made when its
 * turn comes, and is forgotten before the next one, so that V8 never has to move what a whole body would become.
 */
export class Lines implements Iterable<Line> {
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

  *[Symbol.iterator](): Generator<Line, void, void> {
    const body = this.#body;
    for (let [from, number] = [0, 1]; from < body.length; number++) {
      const [start, end] = [from, endOfLine(body, from)];
      from = end + 1;
      if (!isEmpty(body, start, end)) yield { number, parse: () => parse(body.toString('utf8', start, end)) };
    }
  }
}

function endOfLine(body: Buffer, from: number): number {
  const at = body.indexOf(newline, from);
  return at < 0 ? body.length : at;
}

/** Is there nothing but white space? */
function isEmpty(body: Buffer, from: number, end: number): boolean {
  for (let at = from; at < end; at++) if ((body[at] as number) > space) return false;
  return true;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new Fault('invalid-value', `not JSON: ${(error as Error).message}`);
  }
}
