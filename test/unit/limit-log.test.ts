import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LimitHits } from '../../src/limits/limit-hits.js';
import type { Log } from '../../src/log.js';
import { LimitLog } from '../../src/metrics/limit-log.js';

function setUp() {
  const lines: Record<string, unknown>[] = [];
  const reached = new LimitHits();
  const log = { warn: (fields: object, msg: string) => lines.push({ ...fields, msg }) } as unknown as Log;
  const clock = { now: 0 };
  const nameOf = (id: number) => ({ project: 'default', name: `i${id}` });
  const limitLog = new LimitLog(
    reached,
    nameOf,
    log,
    () => undefined,
    () => clock.now,
  );
  const take = () => lines.splice(0);
  return { reached, limitLog, clock, take };
}

const line = (limit: string, id: number, times: number) => ({
  msg: 'limit reached',
  limit,
  project: 'default',
  instance: `i${id}`,
  times,
});

test('the first time at once, then one line in each interval with what came since', () => {
  const { reached, limitLog, clock, take } = setUp();
  reached.add('guest-body', 1);
  limitLog.write();
  assert.deepEqual(take(), [line('guest-body', 1, 1)]);
  for (clock.now = 1000; clock.now < LimitLog.intervalMilliseconds; clock.now += 1000) {
    for (let i = 0; i < 100; i++) reached.add('guest-body', 1);
    limitLog.write();
  }
  assert.deepEqual(take(), []);
  reached.add('event-backlog', 1);
  limitLog.write();
  assert.deepEqual(take(), [line('guest-body', 1, 900), line('event-backlog', 1, 1)]);
  clock.now += 100_000;
  limitLog.write();
  assert.deepEqual(take(), []);
});

test('of many instances so many lines, and one for the rest; the others come first in the next interval', () => {
  const { reached, limitLog, clock, take } = setUp();
  const most = LimitLog.mostLines;
  const flood = () => {
    for (let id = 0; id < 3 * most; id++) reached.add('requests-per-second', id, 5);
  };
  flood();
  limitLog.write();
  assert.deepEqual(
    take(),
    Array.from({ length: most }, (_, id) => line('requests-per-second', id, 5)),
  );
  flood();
  clock.now = LimitLog.intervalMilliseconds;
  limitLog.write();
  const [rest, ...next] = take();
  assert.deepEqual(rest, { msg: 'limits reached by more instances', instances: 2 * most, times: 10 * most });
  assert.deepEqual(
    next,
    Array.from({ length: most }, (_, id) => line('requests-per-second', most + id, 5)),
  );
  limitLog.stop();
  const last = take();
  assert.equal(last.length, 1);
  assert.equal(last[0]?.['instances'], 2 * most);
});

test('what is counted is counted in all as well, and told once', () => {
  const { reached } = setUp();
  reached.add('pending-callers');
  reached.add('pending-callers', undefined, 4);
  assert.equal(reached.total('pending-callers'), 5);
  assert.deepEqual(
    [...reached.takeRecent()],
    [{ limit: 'pending-callers', instanceId: undefined, about: undefined, times: 5 }],
  );
  assert.deepEqual([...reached.takeRecent()], []);
});
