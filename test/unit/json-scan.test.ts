import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JsonScan } from '../../src/control/json-scan.js';
import { type Limits, limitDeclarations } from '../../src/limits/limits.js';

const declared = Object.entries(limitDeclarations).map(([name, { default: most }]) => [name, most] as const);
const limits = {
  ...(Object.fromEntries(declared) as Limits),
  'config-key': 6,
  'json-depth': 3,
  'json-values': 5,
  'batch-lines': 40,
};

/** The error of a body that comes in chunks of so many bytes, and otherwise where its end is. */
function scanned(text: string, size: number): string {
  const body = Buffer.from(text);
  const scan = new JsonScan(limits, true);
  try {
    for (let at = 0; at < body.length; at += size) scan.add(body.subarray(at, at + size));
  } catch (error) {
    return (error as Error).message;
  }
  return `to ${scan.field}`;
}

const pieces = [
  ...[
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\',
    ',',
    ':',
    '\n',
    '\n',
    '{}\n',
    '[1,2]\n',
    '{"a":"b"}\n',
    '{"long":"value of it"}\n',
  ],
  ...[
    '{"a":{"b":{"c":1}}}\n',
    '{"a":[[[[1]]]]}\n',
    '[1,2,3,4,5,6]\n',
    '{"a long key":1}\n',
    '"\\"\n',
    '"\\\\"\n',
    '"é"',
  ],
  ...['{"a":"\\\n', '{"k":"x', '":', ' ', '1'],
];

test('a line that is looked at as a whole has the errors of one that comes byte by byte', () => {
  let state = 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
  const kinds = new Set<string>();
  for (let round = 0; round < 5_000; round++) {
    const text = Array.from({ length: random(14) }, () => pieces[random(pieces.length)]).join('');
    const expected = scanned(text, 1);
    kinds.add(expected.replace(/^line \d+: .*: /, ''));
    for (const size of [4096, 7]) assert.equal(scanned(text, size), expected, JSON.stringify(text));
  }
  for (const kind of [/a key has/, /levels deep/, /values/]) assert.ok([...kinds].some((text) => kind.test(text)));
  assert.match(scanned('{}\n'.repeat(41), 4096), /at most 40 lines/);
});
