import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits for something that another process does by itself. It fails after thirty seconds, or as many as are
 * given, which no machine needs that works, however busy it is; it does not measure anything.
 */
export async function eventually(
  what: string,
  happened: () => boolean | Promise<boolean>,
  seconds = 30,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await happened())) {
    if (Date.now() > deadline) throw new Error(`did not happen: ${what}`);
    await pause(10);
  }
}
