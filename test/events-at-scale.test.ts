import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventsAtScale } from './soak/events.js';

// A few seconds of "npm run soak:events".
const seed = Date.now() % 2 ** 31;

test(`listeners that come and go hear everything once, in order, over kill -9 (seed ${seed})`, async () => {
  const { events, reconnects, repeated } = await eventsAtScale({ seed, guests: 40, changes: 40, kills: 2 });
  assert.equal(events, 1600);
  assert.ok(reconnects > 100, `${reconnects} reconnects`);
  assert.ok(repeated > 0, 'nothing was under way when the daemon was killed');
});
