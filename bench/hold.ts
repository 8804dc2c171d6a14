import { descriptorLimit } from '../src/gate/file-descriptors.js';
import type { Finished } from './child.js';

/** The process that keeps connections open. */
export interface Holder {
  go(): void;
  /** The next line that is printed: "held N", "heard N". */
  line(): Promise<string>;
  /** Forgets the messages that have come. */
  again(): Promise<unknown>;
  finish(): Promise<Finished>;
}

/** What bench_load --hold and bench_guests --hold print at last. */
export interface HoldReport {
  readonly held: number;
  readonly seconds: number;
  readonly errors: number;
  readonly mismatches: number;
  readonly messages: number;
  /** with the heads of their frames and of pings */
  readonly messageBytes: number;
  /** CLOCK_MONOTONIC */
  readonly firstMessageNanoseconds: number;
  readonly lastMessageNanoseconds: number;
}

export function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}

export function fewer(count: number, wanted: number): string {
  return `${count} listeners instead of ${wanted}: the limit on open files is ${descriptorLimit()} (ulimit -n)`;
}
