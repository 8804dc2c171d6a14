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

test('each plot is drawn for a page and for 380 pixels, and no legend reaches into it', () => {
  const charts = chartsOf(trials);
  assert.equal(charts.length, 5);
  for (const { svg } of charts) {
    assert.match(svg.wide, /<svg width="860"/);
    assert.match(svg.narrow, /<svg width="380"/);
  }
  const { narrow } = charts[0]?.svg ?? { narrow: '' };
  for (const side of ['devlxd', 'floor-identify', 'http'])
    assert.ok(heightOf(narrow, side) + 20 < heightOf(narrow, 'requests/s'), side);
});
