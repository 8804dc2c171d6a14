import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedTurns } from '../../src/concurrency/shared-turns.js';

test('few at a time, one of each instance, and nobody waits for all of another', async () => {
  const turns = new SharedTurns(2);
  const running: number[] = [];
  const order: number[] = [];
  let most = 0;
  const work = (id: number) => async (): Promise<number> => {
    assert.ok(!running.includes(id), 'one of each instance');
    running.push(id);
    most = Math.max(most, running.length);
    await new Promise(setImmediate);
    running.splice(running.indexOf(id), 1);
    order.push(id);
    return id;
  };
  const flood = Array.from({ length: 100 }, () => turns.take(1, work(1)));
  const others = [2, 3, 4].map((id) => turns.take(id, work(id)));
  assert.deepEqual(await Promise.all(others), [2, 3, 4]);
  assert.ok(order.length < 20, `${order.length} came first`);
  await Promise.all(flood);
  assert.deepEqual([most, order.length], [2, 103]);
});

test('work that fails lets the next one in', async () => {
  const turns = new SharedTurns(1);
  const failing = turns.take(1, () => Promise.reject(new Error('no')));
  const next = turns.take(1, async () => 'yes');
  await assert.rejects(failing, /no/);
  assert.equal(await next, 'yes');
});
