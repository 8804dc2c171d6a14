import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turn } from '../../src/concurrency/turn.js';
import type { MetricSample } from '../../src/metrics/declaration.js';
import { samplesOf } from '../../src/metrics/exposition.js';
import { render } from '../../src/metrics/render.js';

const text = (pieces: readonly Buffer[]): string => Buffer.concat(pieces).toString();

function counting(samples: readonly (MetricSample | undefined)[]) {
  return { kind: 'counter', help: 'Of it', read: () => samples } as const;
}

test('what is rendered, is read as it was', async () => {
  const odd = 'back\\slash "quoted"\nnext line, {brace} ü';
  const samples: MetricSample[] = [[1], [1e21, { a: odd, b: '' }], [0.000_05, { a: 'x' }], [Number.NaN, { a: 'n' }]];
  const made = text(await render({ x_total: counting(samples) }, undefined, new Turn()));
  assert.ok(made.startsWith('# HELP x_total Of it\n# TYPE x_total counter\nx_total 1\n'), made);
  assert.deepEqual(
    samplesOf(made).map(({ value, labels }) => [value, labels]),
    samples.map(([value, labels = {}]) => [value, labels]),
  );
  const infinite = counting([[Number.POSITIVE_INFINITY], [Number.NEGATIVE_INFINITY, { a: '' }]]);
  assert.match(text(await render({ x: infinite }, undefined, new Turn())), /^x \+Inf\nx\{a=""\} -Inf\n$/m);
});

test('a metric without a value is left out', async () => {
  const metrics = { a: counting([]), b: counting([undefined]), c: counting([[0]]) };
  assert.equal(text(await render(metrics, undefined, new Turn())), '# HELP c Of it\n# TYPE c counter\nc 0\n');
});

test('between two samples others have their turn, also where there is nothing to say', async () => {
  let turns = 0;
  let ended = false;
  const others = (): void => {
    turns++;
    if (!ended) setImmediate(others);
  };
  setImmediate(others);
  const samples = [...Array.from({ length: 500 }, (_, n): MetricSample => [n, { n: `${n}` }]), ...Array(500)];
  await new Promise(setImmediate); // the share of this turn of the loop has ended
  turns = 0;
  const pieces = await render({ many: counting(samples) }, undefined, new Turn(0));
  ended = true;
  assert.ok(turns >= 999, `${turns} between 1000 samples`);
  assert.equal(samplesOf(text(pieces)).length, 500);
});

test('much is rendered in pieces of a bounded size', async () => {
  const samples = Array.from({ length: 20_000 }, (_, n): MetricSample => [n, { instance: `instance-${n}` }]);
  const pieces = await render({ many_total: counting(samples) }, undefined, new Turn());
  assert.ok(Math.max(...pieces.map(({ length }) => length)) < 70_000);
  assert.equal(samplesOf(text(pieces)).length, 20_000);
});
