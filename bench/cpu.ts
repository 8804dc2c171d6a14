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

function nanosecondsIn(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8').split(' ', 1)[0]);
  } catch {
    return 0; // the thread has ended
  }
}
