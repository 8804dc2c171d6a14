import { Turn } from '../concurrency/turn.js';
import { Fault } from '../errors.js';
import type { Before, Transaction } from '../instances/registry.js';
import type { ControlRequest } from './control-reply.js';
import type { LineReader, Lines } from './ndjson.js';
import type { Report } from './operations.js';

/** What one line asks for, checked as far as it can be on its own. */
export interface Step {
  /** Compares an entity tag with what there was before the batch. @throws Fault etag-mismatch or not-found */
  readonly check?: (before: Before) => void;
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
 * Writes what all lines ask for in one transaction. They are taken one by one, each wholly: what it says is checked, then
 * its entity tag, against what there was before the first of them, and then its step is taken.
 * @throws Fault of the first line that is wrong, with its number; then nothing is written
 */
export async function writeBatch(
  lines: Lines,
  prepare: (line: unknown) => Step,
  report: Report,
  transact: Transact,
): Promise<void> {
  await transact(async (transaction) => {
    const turn = new Turn();
    const reader = lines.read();
    for (let taken = 0; reader.next(); ) {
      const step = take(reader, prepare, transaction);
      if (step instanceof Promise) await step;
      if (++taken % portion === 0) report(progressOf('check', taken, lines.count));
      const pause = turn.end();
      if (pause !== undefined) await pause;
    }
    report(progressOf('write', 0, lines.count));
  });
  report(progressOf('write', lines.count, lines.count));
}

function take(line: LineReader, prepare: (line: unknown) => Step, transaction: Transaction): void | Promise<void> {
  const { number } = line;
  try {
    const { check, run } = prepare(line.parse());
    check?.(transaction.before);
    return run(transaction)?.catch((error: unknown) => Promise.reject(ofLine(number, error)));
  } catch (error) {
    throw ofLine(number, error);
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

function ofLine(number: number, error: unknown): unknown {
  return error instanceof Fault ? new Fault(error.code, `line ${number}: ${error.message}`, error) : error;
}
