import type { Requestor } from '../model/changes.js';
import type { OpenCommit } from '../store/open-commit.js';
import type { Store } from '../store/store.js';
import type { Transaction } from './draft.js';

/** Where records are kept. */
export interface RecordStore extends Pick<Store, 'load' | 'commit' | 'eventsAfter'> {
  /** how many transactions are written together at most; left out: all that wait */
  readonly transactionsAtOnce?: number;
  /** A commit whose changes are written while they are made; left out: it has none such. */
  begin?(): OpenCommit;
}

/** What a transaction does. It waits for nothing but its turns of the event loop. */
export type Work<Result> = (transaction: Transaction) => Result | Promise<Result>;

export interface Job {
  readonly work: Work<unknown>;
  readonly requestor: Requestor | undefined;
  /** fact: it has happened, and holds also when it cannot be stored; rehearsal: nothing of it is kept */
  readonly kind: 'wish' | 'fact' | 'rehearsal';
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

/** A job that did not throw, and what it gave. */
export interface Done {
  readonly job: Job;
  readonly value: unknown;
}
