import { readdirSync, readFileSync } from 'node:fs';

const nanosecondsPerSecond = 1e9;

/** What part of one core a process has used while something was done; 1: all of it. */
export async function busyWhile<Result>(pid: number, work: () => Promise<Result>): Promise<[Result, number]> {
  const [used, began] = [cpuSeconds(pid), performance.now()];
  const result = await work();
  return [result, (cpuSeconds(pid) - used) / ((performance.now() - began) / 1000)];
}

/** Of all its threads that still run, exactly (schedstat; the times in stat are counted in ticks of 10 ms). */
export function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`);
  return threads.reduce((sum, file) => sum + nanosecondsIn(file), 0) / nanosecondsPerSecond;
}

/** What part of the time in which a process' first thread had something to do it waited for a core, while something was done. */
export async function queuedWhile<Result>(pid: number, work: () => Promise<Result>): Promise<[Result, number]> {
  const before = turnsOf(`/proc/${pid}/schedstat`);
  const result = await work();
  const after = turnsOf(`/proc/${pid}/schedstat`);
  const [ran, queued] = [after.ran - before.ran, after.queued - before.queued];
  return [result, queued === 0 ? 0 : queued / (ran + queued)];
}

function nanosecondsIn(file: string): number {
  try {
    return turnsOf(file).ran;
  } catch {
    return 0; // the thread has ended
  }
}

/** Nanoseconds for which a thread had a core, and for which it waited for one. */
function turnsOf(file: string): { readonly ran: number; readonly queued: number } {
  const [ran = 0, queued = 0] = readFileSync(file, 'utf8').split(' ', 2).map(Number);
  return { ran, queued };
}
