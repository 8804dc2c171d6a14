import assert from 'node:assert/strict';
import { readFile } from 'node:fs';
import { test } from 'node:test';
import { Turn } from '../src/concurrency/turn.js';

/** Long work until it is to pause: what it then waits for. */
function work(turn: Turn): Promise<void> {
  for (;;) {
    const pause = turn.end();
    if (pause !== undefined) return pause;
  }
}

test('the loop reads between two pieces, also where the first one begins in a callback of what was read', async () => {
  let turns = 0;
  const count = (): void => {
    turns++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  await new Promise<void>((resolve) => readFile('/dev/null', () => resolve()));
  const turn = new Turn();
  const paused: number[] = [];
  for (let piece = 0; piece < 3; piece++) {
    const before = turns;
    await work(turn);
    paused.push(turns - before);
  }
  clearImmediate(counting);
  assert.ok((paused[0] ?? 0) >= 2, 'the immediates of this turn, and those of the next one, which has read');
  assert.deepEqual(paused.slice(1), [1, 1]);
});

test('however much long work there is, a turn of the loop has one piece of it', async () => {
  const pieces: number[] = [];
  let turns = 0;
  const count = (): void => {
    turns++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const three = Array.from({ length: 3 }, async () => {
    const turn = new Turn();
    for (let piece = 0; piece < 3; piece++) {
      await work(turn);
      pieces.push(turns);
    }
  });
  await Promise.all(three);
  clearImmediate(counting);
  assert.equal(new Set(pieces).size, pieces.length);
});
