import { Turn } from '../concurrency/turn.js';
import { Fault } from '../errors.js';
import type { Transaction } from '../instances/registry.js';
import type { ControlRequest } from './control-reply.js';
import type { Lines } from './ndjson.js';
import type { Report } from './operations.js';

/** What one line asks for, checked as far as it can be on its own. */
export interface Step {
  /** Compares entity tags, before any step is taken. @throws Fault etag-mismatch */
  readonly check?: (transaction: Transaction) => void;
  readonly run: (transaction: Transaction) => void | Promise<void>;
}

/** One line of a batch of all kinds, as a request of its own would be. */
export interface BatchedRequest {
  readonly method: string;
  readonly project: string;
  /** '' where the path names a collection */
  readonly name: string;
  /** the host of a fleet that is meant; '': none is named */
  readonly target: string;
  readonly headers: ControlRequest['headers'];
  readonly body: unknown;
}

/** Has all steps taken in one transaction. */
export type Transact = (steps: (transaction: Transaction) => Promise<void>) => Promise<void>;

/** Lines between two reports of how far a batch is. */
const portion = 200;

/**
 * Writes what all lines ask for in one transaction.
 * @throws Fault of the first line that is wrong, with its number; then nothing is written
 */
export async function writeBatch(
  lines: Lines,
  prepare: (line: unknown) => Step,
  report: Report,
  transact: Transact,
): Promise<void> {
  const steps: [number, Step][] = [];
  const turn = new Turn();
  for (const { number, value } of lines.all) {
    steps.push([number, atLine(number, () => prepare(value))]);
    if (steps.length % portion === 0) report(progressOf('check', steps.length, lines.all.length));
    const pause = turn.end();
    if (pause !== undefined) await pause;
  }
  report(progressOf('write', 0, steps.length));
  await transact(async (transaction) => {
    await inTurns(steps, turn, ({ check }) => check?.(transaction));
    await inTurns(steps, turn, ({ run }) => run(transaction));
  });
  report(progressOf('write', steps.length, steps.length));
}

async function inTurns(
  steps: readonly [number, Step][],
  turn: Turn,
  take: (step: Step) => void | Promise<void>,
): Promise<void> {
  for (const [number, step] of steps) {
    const taken = atLine(number, () => take(step));
    if (taken instanceof Promise) await taken.catch((error: unknown) => Promise.reject(ofLine(number, error)));
    const pause = turn.end();
    if (pause !== undefined) await pause;
  }
}

/** A method that the path of a line has not, or not in a batch. */
export function noSuchLine(): Fault {
  return new Fault('not-implemented', 'method: a batch has POST for a collection, and PUT, PATCH and DELETE by name');
}

/** In the shape that LXD's client shows (any key that ends in _progress). */
function progressOf(stage: string, done: number, all: number) {
  const percent = all === 0 ? 100 : Math.floor((100 * done) / all);
  return { batch_progress: `${stage} ${percent}% (${done}/${all})`, progress: { stage, percent: String(percent) } };
}

function atLine<Result>(number: number, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw ofLine(number, error);
  }
}

function ofLine(number: number, error: unknown): unknown {
  return error instanceof Fault ? new Fault(error.code, `line ${number}: ${error.message}`, error) : error;
}
