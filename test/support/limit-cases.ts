import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { CountedLimit } from '../../src/limits/limit-hits.js';
import type { TestDaemon } from './daemon.js';
import { eventually } from './eventually.js';

/** Those of connections and of who is behind them, which connection-limits.test.ts reaches. */
export const connectionLimits = [
  'connections-per-instance',
  'connections',
  'connections-nonroot',
  'connections-unregistered',
  'connections-unidentified',
  'connections-per-uid',
  'pending-callers',
  'hold-seconds',
  'unidentified',
] as const satisfies readonly CountedLimit[];

export interface LimitCase {
  readonly reach: () => Promise<unknown> | unknown;
  /** the one that is to blame */
  readonly instance?: string;
}

/** How often a limit was reached. */
export function hitsOf(daemon: TestDaemon, limit: string): Promise<number> {
  return daemon.metric('devlxd_limit_hits_total', { limit });
}

/** One test for each. open: the connections of one case, which are closed before the next */
export function testLimits(
  cases: Partial<Record<CountedLimit, LimitCase>>,
  daemon: () => TestDaemon,
  open: Socket[],
): void {
  for (const [limit, { reach, instance }] of Object.entries(cases)) {
    test(`${limit}: counted, and a line in the log${instance === undefined ? '' : ' that names the instance'}`, async () => {
      const before = await hitsOf(daemon(), limit);
      await reach();
      await eventually('it is counted', async () => (await hitsOf(daemon(), limit)) > before);
      for (const socket of open.splice(0)) socket.destroy();
      await eventually('it is told', () =>
        daemon().log.some((line) => {
          return line.msg === 'limit reached' && line['limit'] === limit && line['instance'] === instance;
        }),
      );
    });
  }
}
