import { Turn } from '../concurrency/turn.js';
import { invalid } from '../errors.js';

/** One JSON document a line (https://github.com/ndjson/ndjson-spec), which is how many things are sent at once. */
export const linesType = 'application/x-ndjson';

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
  static async parse(text: string): Promise<Lines> {
    const lines: Line[] = [];
    const turn = new Turn();
    for (const [index, line] of text.split('\n').entries()) {
      if (line.trim() === '') continue;
      lines.push({ number: index + 1, value: parse(line, index + 1) });
      await turn.end();
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
