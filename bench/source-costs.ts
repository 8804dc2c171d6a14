import { readFileSync } from 'node:fs';
import type { TestDaemon } from '../test/support/daemon.js';
import { cpuSeconds } from './cpu.js';
import { GuestLoad } from './guest-load.js';
import type { Pins } from './machine.js';
import { shown } from './table.js';
import type { Workplace } from './workplace.js';

const ticksPerSecond = 100;
const windowSeconds = 1;
const scopes = ['all', 'all-pids', 'one', 'one-pid'] as const;

/** A guest that asks for one key 50 times a second. */
export interface Asking {
  /** of its init, as the host sees it */
  readonly pid: number;
  readonly socket: string;
  /** words that begin a command which reaches it */
  readonly enter?: readonly string[];
  readonly path: string;
  readonly body: string;
}

/** What is measured of each kind of work, and whose. */
export interface Measured {
  readonly pins: Pins;
  readonly workplace: Workplace;
  /** left out: nobody answers all the while */
  readonly guest?: Asking;
  /** of the source; left out: it is a fake one, in this process */
  readonly sourcePid?: number;
}

export const head = `| | took | asked for all | all with pids | one | one with its pid | CPU of the source | CPU of devlxd | longest wait of another guest |
|---|---|---|---|---|---|---|---|---|
`;

/**
 * Does some work, and gives a row of what it has cost. daemon: left out where the source is alone
 * work: which ends when its last change is known
 */
export async function costOf(
  what: string,
  { sourcePid, guest, ...measured }: Measured,
  daemon: TestDaemon | undefined,
  work: () => Promise<void>,
): Promise<string> {
  const before = await used(sourcePid, daemon);
  const began = performance.now();
  let isOver = false;
  const waited = guest && longestWait({ ...measured, guest }, () => isOver);
  waited?.catch(() => undefined); // said below, when the work is over
  await work().finally(() => {
    isOver = true;
  });
  const seconds = (performance.now() - began) / 1000;
  const after = await used(sourcePid, daemon);
  const asked = scopes.map((_, index) => difference(after.asked[index], before.asked[index], ''));
  const cells = [
    `${shown(seconds)} s`,
    ...asked,
    difference(after.source, before.source, ' s'),
    difference(after.devlxd, before.devlxd, ' s'),
    waited === undefined ? '-' : waitText(await waited),
  ];
  return `| ${what} | ${cells.join(' | ')} |\n`;
}

function difference(after: number | undefined, before: number | undefined, unit: string): string {
  return after === undefined || before === undefined ? '-' : `${shown(after - before)}${unit}`;
}

interface Used {
  readonly asked: readonly (number | undefined)[];
  readonly source: number | undefined;
  readonly devlxd: number | undefined;
}

/** A devlxd that does not run yet has used nothing, and asked for nothing. */
async function used(sourcePid: number | undefined, daemon: TestDaemon | undefined): Promise<Used> {
  const source = sourcePid === undefined ? undefined : withChildren(sourcePid);
  if (daemon === undefined) return { asked: [], source, devlxd: undefined };
  if (daemon.pid === 0) return { asked: scopes.map(() => 0), source, devlxd: 0 };
  const count = (scope: string) => daemon.metric('devlxd_source_requests_total', { scope });
  return { asked: await Promise.all(scopes.map(count)), source, devlxd: cpuSeconds(daemon.pid) };
}

/** CPU seconds of a process, with the children that it has waited for: LXD starts and stops containers by such. */
function withChildren(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]), 0) / ticksPerSecond;
}

/** After which bench_load gives a request up. */
const patienceMilliseconds = 5000;

interface Waited {
  readonly longest: number;
  /** requests that were answered otherwise, or not at all */
  readonly wrong: number;
}

function waitText({ longest, wrong }: Waited): string {
  const time = longest < patienceMilliseconds ? `${shown(longest)} ms` : `more than ${shown(patienceMilliseconds)} ms`;
  return wrong === 0 ? time : `${time}; answered wrongly: ${wrong}`;
}

/** Of a request, in milliseconds, by the schedule of its guest. @throws Error where the guest could not ask */
async function longestWait(
  { pins, workplace, guest }: Measured & { guest: Asking },
  isOver: () => boolean,
): Promise<Waited> {
  let longest = 0;
  let wrong = 0;
  const enter = [...(guest.enter ?? []), 'nsenter', '--target', String(guest.pid), '--user', '--pid'];
  const server = {
    socket: guest.socket,
    enter,
    pid: 0,
    stop: async () => [],
    admit: async () => {},
    announce: async () => {},
  };
  const words = [
    '--path',
    guest.path,
    '--expect-body',
    guest.body,
    '--connections',
    '1',
    '--rate',
    '50',
    '--warmup',
    '0',
  ];
  while (!isOver()) {
    const load = await GuestLoad.prepare({ pins, workplace }, server, [...words, '--seconds', String(windowSeconds)]);
    const { output, complaints } = await load.finish();
    if (output === '') throw new Error(`the guest that asks: ${complaints}`);
    const { requests, mismatches, errors, latencyMicroseconds } = JSON.parse(output);
    // After one that was given up, those that should have followed are errors as well.
    const isLate = complaints.includes('a request was not answered in');
    if (requests === 0 && !isLate) throw new Error(`the guest that asks is answered nothing: ${complaints}`);
    wrong += mismatches + (isLate ? 0 : errors);
    longest = Math.max(longest, isLate ? patienceMilliseconds : latencyMicroseconds.max / 1000);
  }
  return { longest, wrong };
}
