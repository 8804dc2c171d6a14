import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EventLoopDelay } from '../src/metrics/event-loop-delay.js';

test('the turn in which a daemon becomes ready is no delay: no guest was served in it', async () => {
  let longest = 0;
  const delay = new EventLoopDelay(() => {
    const seconds = longest;
    longest = 0;
    return seconds;
  });
  delay.run();
  longest = 5; // known when the next turn begins
  await nextTurn();
  await nextTurn();
  assert.equal(delay.worstSeconds, 0);
  longest = 0.5;
  assert.equal(delay.worstSeconds, 0.5);
  longest = 0.25;
  assert.equal(delay.worstSeconds, 0.5);
  delay.stop();
});
