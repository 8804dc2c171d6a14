import type { AnyChange, Change, Requestor, Written, WrittenChange } from '../model/changes.js';
import { type EventClock, eventsOf } from '../model/guest-events.js';
import type { Draft } from './draft.js';
import type { Layers } from './tables.js';

/** The changes of one transaction, and the caller that asked for them. */
export interface Attributed {
  readonly changes: readonly Written[];
  readonly requestor: Requestor | undefined;
}

/** What is written together. What has to be known of all of it at once is worked out with each change. */
export class Commit {
  /** in order */
  readonly transactions: Attributed[] = [];
  /** the changes of all of them, in order */
  readonly written: Written[] = [];
  /** changes of instances that run or are deleted, in order */
  readonly noticed: WrittenChange[] = [];
  /** of those, the ones that start or end */
  readonly runs: Change[] = [];
  /** by how many instances there are more */
  growth = 0;
  readonly #draft: Draft;
  readonly #clock: EventClock;

  /** clock: of the events that guests hear of */
  constructor(draft: Draft, clock: EventClock) {
    this.#draft = draft;
    this.#clock = clock;
  }

  /** What the tables are afterwards. */
  get layers(): Layers {
    return this.#draft.layers;
  }

  add(change: AnyChange): Written {
    this.written.push(change);
    if (change.kind !== 'instance') return change;
    change.events = eventsOf(change, this.#clock);
    const { before, after } = change;
    if (before === undefined) this.growth++;
    if (after === undefined) this.growth--;
    if (before?.run !== after?.run) this.runs.push(change);
    if (after === undefined || after.run !== undefined || before?.run !== undefined) this.noticed.push(change);
    return change;
  }
}
