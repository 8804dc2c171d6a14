import { readFileSync } from 'node:fs';

const ticksPerSecond = 100; // USER_HZ, which is the same on all that Node runs on

/** What part of one core a process has used while something was done; 1: all of it. */
export async function busyWhile<Result>(pid: number, work: () => Promise<Result>): Promise<[Result, number]> {
  const [used, began] = [cpuSeconds(pid), performance.now()];
  const result = await work();
  return [result, (cpuSeconds(pid) - used) / ((performance.now() - began) / 1000)];
}

/** Of all its threads, and of its children that were waited for. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // proc(5): the name may hold anything
  const times = fields.slice(11, 15).map(Number); // utime, stime, cutime, cstime
  return times.reduce((sum, ticks) => sum + ticks) / ticksPerSecond;
}
