import { writeFileSync } from 'node:fs';
import { test } from 'node:test';

const lastPid = '/proc/sys/kernel/ns_last_pid';
const reuseOptions = process.getuid?.() === 0 ? {} : { skip: `only root may write ${lastPid}` };

class PidTaken extends Error {}

/**
 * Makes processes until one has this pid, which must be free.
 * @throws PidTaken, when a process of somebody else's came first and stays
 */
export function reuse(pid: number, make: () => number): void {
  for (let attempt = 0; attempt < 50; attempt++) {
    writeFileSync(lastPid, String(pid - 1));
    if (make() === pid) return;
  }
  throw new PidTaken(`pid ${pid} was not given out again`);
}

/** A test that uses `reuse`, begun anew with another pid where somebody else has taken it. */
export function reusing(name: string, body: () => Promise<void>): void {
  test(name, reuseOptions, async () => {
    for (let left = 4; ; left--) {
      try {
        return await body();
      } catch (error) {
        if (!(error instanceof PidTaken) || left === 0) throw error;
      }
    }
  });
}
