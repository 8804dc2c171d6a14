import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindsOf, sidesOf } from './soak/report.js';
import { soak } from './soak/soak.js';

// npm run soak is the same with two thousand guests, for minutes.
test('beside hostile guests nothing is lost, wrong or refused while the daemon is killed, restarted and taken over', async (t) => {
  const result = await soak({ seed: 1, guests: 40, seconds: 0, every: 1, atOnce: 12, hostUser: true });
  const { answered, interrupted, writes, phases } = result;
  t.diagnostic(JSON.stringify({ answered, interrupted, writes, sides: sidesOf(result), kinds: kindsOf(result) }));
  assert.ok(answered > 0 && writes.changes > 0);
  const counts = new Map<string, number>();
  for (const [kind, count] of phases.flatMap((phase) => Object.entries(phase.counts)))
    counts.set(kind, (counts.get(kind) ?? 0) + count);
  assert.ok(counts.size > 30);
  for (const [kind, count] of counts) assert.ok(count > 0, `${kind} did nothing`);
});
