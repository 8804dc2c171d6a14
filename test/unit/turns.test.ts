import assert from 'node:assert/strict';
import { readFile } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { sortInTurns } from '../../src/concurrency/sort-in-turns.js';
import { Turn } from '../../src/concurrency/turn.js';

/** Long work that never waits for anything but its turn. */
async function work(pieces: number, each: () => void): Promise<void> {
  const turn = new Turn();
  for (let piece = 0; piece < pieces; piece++) {
    each();
    await turn.end();
  }
}

function busy(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

test('a turn of the loop has one piece of long work, however much of it there is', async () => {
  let inThisTurn = 0;
  let most = 0;
  let ended = false;
  const nextTurn = (): void => {
    most = Math.max(most, inThisTurn);
    inThisTurn = 0;
    if (!ended) setImmediate(nextTurn);
  };
  const workers = Array.from({ length: 20 }, () =>
    work(5, () => {
      inThisTurn++;
      busy(5);
    }),
  );
  setImmediate(nextTurn);
  inThisTurn = 0; // each has begun with what was asked of it at once
  await Promise.all(workers);
  ended = true;
  assert.ok(most <= 2, `${most} pieces in one turn`);
});

test('the loop reads between two pieces, also where the first one begins in a callback of what was read', async () => {
  let turns = 0;
  const count = (): void => {
    turns++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  await new Promise<void>((resolve) => readFile('/dev/null', () => resolve()));
  const before = turns;
  const turn = new Turn();
  let pause = turn.end();
  while (pause === undefined) pause = turn.end();
  await pause;
  clearImmediate(counting);
  assert.ok(turns - before >= 2, 'the immediates of this turn, and those of the next one, which has read');
});

test('work that has waited for something else begins a piece of its own', async () => {
  const turn = new Turn();
  busy(10);
  await new Promise(setImmediate);
  assert.equal(turn.end(), undefined);
});

test('sorting in turns gives what sorting gives, in the order of equals as well', async () => {
  const items = fc.array(fc.record({ key: fc.nat(50), id: fc.nat() }), { maxLength: 4000, size: 'max' });
  await fc.assert(
    fc.asyncProperty(items, async (some) => {
      const compare = (a: { key: number }, b: { key: number }): number => a.key - b.key;
      assert.deepEqual(await sortInTurns([...some], compare), [...some].sort(compare));
    }),
    { numRuns: 30 },
  );
});
