import { Fault, type FaultCode } from '../errors.js';
import type { CountedLimit } from './limit-hits.js';

/** An expected failure because a limit was reached. */
export class LimitFault extends Fault {
  readonly limit: CountedLimit;

  constructor(limit: CountedLimit, code: FaultCode, sentence: string) {
    super(code, sentence);
    this.limit = limit;
  }
}

/** The fault of a limit behind a failure, if one is. */
export function limitFaultOf(error: unknown): LimitFault | undefined {
  if (error instanceof LimitFault) return error;
  return error instanceof Fault ? limitFaultOf(error.cause) : undefined;
}
