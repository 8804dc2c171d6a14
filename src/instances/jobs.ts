import type { Requestor } from '../model/changes.js';
import type { Store } from '../store/store.js';
import type { Drawn, Transaction } from './draft.js';

/** Where records are kept. */
export interface RecordStore extends Pick<Store, 'load' | 'commit' | 'eventsAfter'> {
  /** how many transactions are written together at most; left out: all that wait */
  readonly transactionsAtOnce?: number;
}

/** What a transaction does. It waits for nothing but its turns of the event loop. */
export type Work<Result> = (transaction: Transaction) => Result | Promise<Result>;

export interface Job {
  readonly work: Work<unknown>;
  readonly requestor: Requestor | undefined;
  /** it has happened, and holds also when it cannot be stored */
  readonly isFact: boolean;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

/** A job that did not throw, and what it wants written. */
export interface Done extends Drawn<unknown> {
  readonly job: Job;
}
