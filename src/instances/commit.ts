import type { AnyChange, Change, Requestor, Written, WrittenChange } from '../model/changes.js';
import { type EventClock, eventsOf } from '../model/guest-events.js';
import type { Layers } from './tables.js';

/** The changes of one transaction, and the caller that asked for them. */
export interface Attributed {
  readonly changes: readonly Written[];
  readonly requestor: Requestor | undefined;
}

/** What is written together. What has to be known of all of it at once is worked out with each change. */
export class Commit {
  /** what the tables are afterwards */
  readonly layers: Layers;
  /** in order */
  readonly transactions: readonly Attributed[];
  /** the changes of all of them, in order */
  readonly written: Written[] = [];
  /** changes of instances that run or are deleted, in order */
  readonly noticed: WrittenChange[] = [];
  /** of those, the ones that start or end */
  readonly runs: Change[] = [];
  /** by how many instances there are more */
  growth = 0;

  /** Their changes are to be added one after the other. */
  constructor(layers: Layers, transactions: readonly Attributed[]) {
    this.layers = layers;
    this.transactions = transactions;
  }

  /** clock: of the events that the guest hears of */
  add(change: AnyChange, clock: EventClock): void {
    this.written.push(change);
    if (change.kind !== 'instance') return;
    change.events = eventsOf(change, clock);
    const { before, after } = change;
    if (before === undefined) this.growth++;
    if (after === undefined) this.growth--;
    if (before?.run !== after?.run) this.runs.push(change);
    if (after === undefined || after.run !== undefined || before?.run !== undefined) this.noticed.push(change);
  }
}
