import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parts, soak } from './soak/soak.js';

// npm run soak is the same with two thousand guests, for minutes.
for (const part of parts) {
  test(`${part.name}: nothing is lost, wrong or refused while the daemon is killed, restarted and taken over`, async (t) => {
    const result = await soak(part, { seed: 1, guests: 40, seconds: 6, every: 1 });
    const { answered, interrupted, ends, writes, hostile, latency, figures } = result;
    t.diagnostic(JSON.stringify({ answered, interrupted, ends, writes, hostile, latency, figures }));
    assert.ok(answered > 0 && writes.changes > 0);
    for (const [attack, count] of Object.entries(hostile)) assert.ok(count > 0, `${attack} did nothing`);
    assert.equal(Object.keys(hostile).length > 0, part.hostile);
  });
}
