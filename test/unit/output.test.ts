import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { changesTo } from '../../src/apply/difference.js';
import { csv } from '../../src/cli/csv.js';
import { table } from '../../src/cli/table.js';
import { differenceOf, figuresOf } from '../../src/cli/top-figures.js';
import { yamlOf } from '../../src/cli/yaml.js';
import { closestMatch } from '../../src/closest-match.js';
import { fitted, visible, widthOf } from '../../src/text/width.js';

const columns = [0, 1, 2].map((index) => ({
  heading: ['NAME', 'STATUS', 'FILE'][index] ?? '',
  value: (row: readonly string[]) => row[index] ?? '',
}));

test('a table is as wide as its cells, and where that is too wide the widest columns give way', () => {
  const rows = [
    ['web1', 'RUNNING', 'a-file-with-quite-a-long-name.tar.xz'],
    ['a-name-of-some-length', 'STOPPED', ''],
  ];
  assert.equal(
    table(columns, rows, Number.POSITIVE_INFINITY),
    `NAME                   STATUS   FILE
web1                   RUNNING  a-file-with-quite-a-long-name.tar.xz
a-name-of-some-length  STOPPED`,
  );
  assert.equal(
    table(columns, rows, 40),
    `NAME            STATUS   FILE
web1            RUNNING  a-file-with-q…
a-name-of-som…  STOPPED`,
  );
  for (let width = 22; width < 80; width++) {
    for (const line of table(columns, rows, width).split('\n')) assert.ok(widthOf(line) <= width, `${width}: ${line}`);
  }
  const whole = columns.map((column, index) => (index === 2 ? { ...column, whole: true as const } : column));
  assert.match(table(whole, rows, 55), /^web1 +RUNNING +a-file-with-quite-a-long-name\.tar\.xz$/m);
  assert.ok(
    table(columns, rows, 1)
      .split('\n')
      .every((line) => widthOf(line) <= 22),
    'never less than it takes',
  );
});

test('what is wide on a terminal counts as such, and what would move its cursor is shown', () => {
  assert.deepEqual(['abc', 'ünï', 'u\u0308', '漢字', '👍', 'a\u200bb'].map(widthOf), [3, 3, 1, 4, 2, 2]);
  assert.deepEqual([fitted('漢字漢字', 5), fitted('abcdef', 6), fitted('abcdefg', 6)], ['漢字…', 'abcdef', 'abcde…']);
  assert.equal(visible('a\nb\tc\x1b[2Jd\u009b\u2028'), 'a\\nb\\tc\\u001b[2Jd\\u009b\\u2028');
  assert.equal(
    visible('a\u202eb\u2066c\u200bd\ufeffe\u00adf\u3164g\u{e0001}h\ud800'),
    'a\\u202eb\\u2066c\\u200bd\\ufeffe\\u00adf\\u3164g\\u{e0001}h\\ud800',
  );
  assert.equal(visible('❤\ufe0f ünï 漢字 עברית'), '❤\ufe0f ünï 漢字 עברית');
});

test('CSV is quoted where it must be', () => {
  assert.equal(csv([['a', 'b,c', 'd"e', 'f\ng', '']]), 'a,"b,c","d""e","f\ng",');
});

test('the closestMatch word is that with the fewest changes, and none when none is near', () => {
  const known = ['list', 'lists', 'profile', 'security.devlxd', 'security.devlxd.images'];
  const table_ = {
    lst: 'list',
    lsit: 'list',
    profle: 'profile',
    proflie: 'profile',
    'security.devlxd.image': known[4],
  };
  for (const [given, right] of Object.entries(table_)) assert.equal(closestMatch(given, known), right, given);
  for (const given of ['', 'x', 'monitor', 'user.role']) assert.equal(closestMatch(given, known), undefined, given);
});

test('the differences of a thing: what is not wanted otherwise stays out of it', () => {
  const now = {
    description: 'old',
    profiles: ['default'],
    config: { 'user.a': '1', 'user.b': '2', 'volatile.x': 'y' },
    devices: { d: { type: 'disk', path: '/d' }, e: { type: 'nic' } },
  };
  assert.deepEqual(changesTo({}, now), []);
  assert.deepEqual(changesTo({ ...now, config: { 'user.b': '2', 'user.a': '1' } }, now), []);
  assert.deepEqual(changesTo({ devices: { ...now.devices, d: { path: '/d', type: 'disk', readonly: '' } } }, now), []);
  const wanted = { description: '', config: { 'user.a': '', 'user.b': '3', 'user.c': '4' }, devices: {}, profiles: [] };
  assert.deepEqual(
    changesTo(wanted, now).map(({ field, before, after }) => [field, before, after]),
    [
      ['description', 'old', undefined],
      ['profiles', 'default', undefined],
      ['config.user.a', '1', undefined],
      ['config.user.b', '2', '3'],
      ['config.user.c', undefined, '4'],
      ['devices.d', 'path=/d type=disk', undefined],
      ['devices.e', 'type=nic', undefined],
    ],
  );
});

test('figures: totals over labels, rates between two looks, the busiest first', () => {
  const look = (a: number, b: number, total: number, at: number) =>
    figuresOf(
      `# HELP devlxd_connections x\ndevlxd_connections 7\ndevlxd_guest_requests_total{endpoint="/1.0",status="200"} ${total}
devlxd_guest_requests_total{endpoint="/1.0",status="404"} 1\ndevlxd_guest_responses_cached_total 10
devlxd_instance_requests_total{project="default",instance="a"} ${a}
devlxd_instance_requests_total{project="p\\"q",instance="b"} ${b}
devlxd_instance_limit_hits_total{project="default",instance="a",limit="connections"} 1
devlxd_instance_limit_hits_total{project="default",instance="a",limit="event-backlog"} 2\n`,
      at,
    );
  const { totals, instances } = differenceOf(look(5, 5, 99, 1000), look(15, 45, 149, 3000));
  assert.equal(totals, 'requests 150 (25.0/s), connections 7, listeners 0, limit hits 0, instances 0');
  assert.deepEqual(instances, [
    { project: 'p"q', instance: 'b', rate: 20, values: { requests: 45 } },
    { project: 'default', instance: 'a', rate: 5, values: { requests: 15, 'limit hits': 3 } },
  ]);
  assert.equal(differenceOf(undefined, look(1, 1, 1, 0)).instances[0]?.rate, undefined);
});

test('YAML is the same to readers of 1.1, such as LXD and PyYAML', () => {
  const texts = [
    'yes',
    'n',
    '~',
    '',
    '0644',
    '12:30',
    '1_000',
    '1e3',
    '.5',
    '0b11',
    '2001-12-14',
    '<<',
    '=',
    '22.04',
    'a\tb',
  ];
  const value = Object.fromEntries(
    texts.flatMap((text, at) => [
      [`user.${at}`, text],
      [text, 'key'],
    ]),
  );
  const written = yamlOf(value);
  assert.deepEqual(parse(written, { version: '1.1' }), value);
  // The library takes these for text, PyYAML does not.
  for (const text of ['"="', '"<<"', '"a\\tb"']) assert.equal(written.split(text).length, 3, `${text} in ${written}`);
});
