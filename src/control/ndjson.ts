import { invalid } from '../errors.js';

/** One JSON document a line (https://github.com/ndjson/ndjson-spec), which is how many things are sent at once. */
export const linesType = 'application/x-ndjson';

/** The lines of such a body; empty ones are left out. */
export class Lines {
  readonly all: readonly { readonly number: number; readonly value: unknown }[];

  /** @throws Fault invalid-value, with the number of the line */
  constructor(text: string) {
    this.all = text.split('\n').flatMap((line, index) => {
      if (line.trim() === '') return [];
      return [{ number: index + 1, value: parse(line, index + 1) }];
    });
  }
}

function parse(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw invalid(`line ${number}`, `not JSON: ${(error as Error).message}`);
  }
}
