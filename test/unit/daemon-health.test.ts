import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healthOf } from '../../src/cli/daemon-health.js';
import { samplesOf } from '../../src/metrics/exposition.js';

const now = 1_000_000;
const well = {
  'devlxd_store_last_commit_timestamp_seconds{outcome="done"}': now - 5,
  'devlxd_store_last_commit_timestamp_seconds{outcome="failed"}': now - 50,
  devlxd_store_free_bytes: 1e9,
  devlxd_store_transactions_pending: 3,
  devlxd_event_loop_delay_seconds: 0.01,
  devlxd_watchdog_interval_seconds: 30,
  process_open_fds: 40,
  process_max_fds: 1000,
  devlxd_connections: 10,
  devlxd_connections_max: 500,
  'devlxd_limit_last_hit_timestamp_seconds{limit="pendingCallers"}': now - 6000,
};

function statesOf(measured: Readonly<Record<string, number>>): Record<string, string> {
  const text = Object.entries(measured).map(([name, value]) => `${name} ${value}\n`);
  const findings = healthOf(samplesOf(`# HELP x\n${text.join('')}`), now);
  return Object.fromEntries(findings.filter(({ state }) => state !== 'ok').map(({ what, state }) => [what, state]));
}

test('a daemon that is well', () => {
  assert.deepEqual(statesOf(well), {});
});

const table: readonly [Readonly<Record<string, number>>, string, string][] = [
  [{ 'devlxd_store_last_commit_timestamp_seconds{outcome="failed"}': now - 1 }, 'store', 'bad'],
  [{ devlxd_store_free_bytes: 1e6 }, 'disk of the store', 'warning'],
  [{ devlxd_store_transactions_pending: 5000 }, 'changes', 'warning'],
  [{ devlxd_event_loop_delay_seconds: 2 }, 'event loop', 'warning'],
  [{ process_open_fds: 900 }, 'descriptors in use', 'warning'],
  [{ devlxd_connections: 450 }, 'connections', 'warning'],
  [{ 'devlxd_limit_last_hit_timestamp_seconds{limit="pendingCallers"}': now - 60 }, 'limits reached lately', 'warning'],
];

for (const [change, what, state] of table) {
  test(`${what}: ${state} when ${Object.keys(change)} is ${Object.values(change)}`, () => {
    assert.deepEqual(statesOf({ ...well, ...change }), { [what]: state });
  });
}
