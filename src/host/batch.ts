import { Fault } from '../errors.js';
import type { Transaction } from '../instances/registry.js';
import type { Lines } from './lines.js';

/** What one line asks for, checked as far as it can be on its own. */
export interface Step {
  /** of the instance */
  readonly name: string;
  readonly step: (transaction: Transaction) => void;
}

/** So many lines are checked before others have their turn. */
const portion = 200;

/**
 * Writes what all lines ask for in one transaction.
 * @throws Fault of the first line that is wrong, with its number; then nothing is written
 */
export async function writeBatch(
  lines: Lines,
  prepare: (line: unknown) => Step,
  report: (metadata: object) => void,
  transact: (work: (transaction: Transaction) => void) => Promise<void>,
): Promise<void> {
  const steps: [number, Step][] = [];
  for (const { number, value } of lines.all) {
    steps.push([number, atLine(number, () => prepare(value))]);
    if (steps.length % portion !== 0) continue;
    report(progressOf('check', steps.length, lines.all.length));
    await new Promise(setImmediate);
  }
  report(progressOf('write', 0, steps.length));
  await transact((transaction) => {
    for (const [number, { step }] of steps) atLine(number, () => step(transaction));
  });
  report(progressOf('write', steps.length, steps.length));
}

/** In the shape that LXD's client shows (any key that ends in _progress). */
function progressOf(stage: string, done: number, all: number): object {
  const percent = all === 0 ? 100 : Math.floor((100 * done) / all);
  return { batch_progress: `${stage} ${percent}% (${done}/${all})`, progress: { stage, percent: String(percent) } };
}

function atLine<Result>(number: number, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof Fault) throw new Fault(error.code, `line ${number}: ${error.message}`, error);
    throw error;
  }
}
