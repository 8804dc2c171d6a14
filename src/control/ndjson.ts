import { Turn } from '../concurrency/turn.js';
import { invalid } from '../errors.js';

/** One JSON document a line (https://github.com/ndjson/ndjson-spec), which is how many things are sent at once. */
export const linesType = 'application/x-ndjson';

const newline = 0x0a;

interface Line {
  readonly number: number;
  readonly value: unknown;
}

/** The lines of such a body; empty ones are left out. */
export class Lines {
  readonly all: readonly Line[];

  private constructor(all: readonly Line[]) {
    this.all = all;
  }

  /** @throws Fault invalid-value, with the number of the line */
  static async parse(body: Buffer): Promise<Lines> {
    const lines: Line[] = [];
    const turn = new Turn();
    for (let [from, number] = [0, 1]; from < body.length; number++) {
      const end = body.indexOf(newline, from);
      const line = body.toString('utf8', from, end < 0 ? body.length : end);
      from = end < 0 ? body.length : end + 1;
      if (line.trim() === '') continue;
      lines.push({ number, value: parse(line, number) });
      const pause = turn.end();
      if (pause !== undefined) await pause;
    }
    return new Lines(lines);
  }
}

function parse(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw invalid(`line ${number}`, `not JSON: ${(error as Error).message}`);
  }
}
