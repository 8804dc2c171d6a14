import type { Change, Requestor, Written, WrittenChange } from '../model/changes.js';
import type { Layers } from './tables.js';

/** A change, and the caller that asked for it. */
export interface Attributed {
  readonly change: Written;
  readonly requestor: Requestor | undefined;
}

/** What is written together. What has to be known of all of it at once is worked out with each change. */
export class Commit {
  /** what the tables are afterwards */
  readonly layers: Layers;
  /** in order */
  readonly written: Attributed[] = [];
  /** changes of instances that run or are deleted, in order */
  readonly noticed: WrittenChange[] = [];
  /** of those, the ones that start or end */
  readonly runs: Change[] = [];
  /** by how many instances there are more */
  growth = 0;

  constructor(layers: Layers) {
    this.layers = layers;
  }

  add(change: Written, requestor: Requestor | undefined): void {
    this.written.push({ change, requestor });
    if (change.kind !== 'instance') return;
    const { before, after } = change;
    if (before === undefined) this.growth++;
    if (after === undefined) this.growth--;
    if (before?.run !== after?.run) this.runs.push(change);
    if (after === undefined || after.run !== undefined || before?.run !== undefined) this.noticed.push(change);
  }
}
