import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { chartsOf } from '../../bench/report/charts.js';
import { packageRoot } from '../../src/package-root.js';

const { trials } = JSON.parse(readFileSync(join(packageRoot, 'docs/benchmarks/run.json'), 'utf8'));

/** Where a text of a plot stands, from the top. */
function heightOf(svg: string, text: string): number {
  const found = new RegExp(`<text[^>]*translate\\([\\d.]+ ([\\d.]+)\\)[^>]*>${text}</text>`).exec(svg);
  assert.ok(found, text);
  return Number(found[1]);
}

/** A run that was made in a hurry leaves these trials out. */
const besideList = {
  name: 'beside-list-10000',
  about: '',
  unit: 'ms',
  reference: 'quiet',
  columns: [],
  sides: [
    { side: 'quiet', values: [1], median: 1, spread: 0, ratio: 1, also: {} },
    { side: 'list', values: [17], median: 17, spread: 0, ratio: 17, also: {} },
  ],
  goal: null,
  faults: [],
  notes: [],
};

test('the cost of what is stored is drawn in seconds, and a wait with the work that it is beside', () => {
  const titles = chartsOf(trials).map(({ title }) => title);
  assert.ok(titles.includes('Cost against the number of stored instances'));
  const [wait] = chartsOf([besideList]);
  assert.equal(wait?.title, 'Longest wait of a guest beside an operator');
  assert.match(wait.svg.wide, />list</);
  assert.match(wait.svg.wide, />10,000</);
  assert.deepEqual(chartsOf([]), []);
});

test('each plot is drawn for a page and for 380 pixels, and no legend reaches into it', () => {
  const charts = chartsOf([...trials, besideList]);
  assert.equal(charts.length, 7);
  for (const { svg } of charts) {
    assert.match(svg.wide, /<svg width="860"/);
    assert.match(svg.narrow, /<svg width="380"/);
  }
  const { narrow } = charts[0]?.svg ?? { narrow: '' };
  for (const side of ['devlxd', 'floor-identify', 'http'])
    assert.ok(heightOf(narrow, side) + 20 < heightOf(narrow, 'requests/s'), side);
});
