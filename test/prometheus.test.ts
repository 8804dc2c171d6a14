import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { metricDeclarations } from '../src/metrics/daemon-metrics.js';
import { instanceMetricDeclarations } from '../src/metrics/instance-metrics.js';
import { packageRoot } from '../src/package-root.js';
import { alarmCases, testsOf } from './support/alarm-cases.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { freePort } from './support/free-port.js';
import { Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';
import { Prometheus, prometheusTools } from './support/prometheus.js';

const rules = join(packageRoot, 'packaging/prometheus/devlxd.rules.yml');
const dashboard = join(packageRoot, 'packaging/grafana/devlxd.json');
const tools = prometheusTools();

let daemon: TestDaemon;
let guests: Guests;
let port: number;

before(async () => {
  port = await freePort();
  daemon = await TestDaemon.start(['--metrics-listen', `127.0.0.1:${port}`]);
  guests = new Guests();
  const guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.a': '1' });
  await ask(guest.connect(daemon.socket), '/1.0/config/user.a');
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** undefined: the test is skipped, with the reason. */
function toolsFor(t: TestContext): Exclude<typeof tools, Error> | undefined {
  if (!(tools instanceof Error)) return tools;
  t.skip(`needs Debian's prometheus: ${tools.message}`);
  return undefined;
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
}

/** As Grafana refers to one. */
const variable = (name: string): string => ['$', '{', name, '}'].join('');

const { panels, templating, ...head } = JSON.parse(readFileSync(dashboard, 'utf8')) as Dashboard;
const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

test('promtool has nothing to remark on the metrics', async (t) => {
  const found = toolsFor(t);
  if (found === undefined) return;
  const input = await daemon.client.metrics({ perInstance: true });
  const { status, stdout, stderr } = spawnSync(found.promtool, ['check', 'metrics'], { input, encoding: 'utf8' });
  assert.deepEqual([status, stdout, stderr], [0, '', '']);
});

test('each alarm fires when it must, and only then', (t) => {
  const found = toolsFor(t);
  if (found === undefined) return;
  const check = spawnSync(found.promtool, ['check', 'rules', rules], { encoding: 'utf8' });
  assert.equal(check.status, 0, check.stdout + check.stderr);
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-rules-'));
  try {
    const file = join(directory, 'tests.json');
    writeFileSync(file, JSON.stringify(testsOf(rules)));
    const run = spawnSync(found.promtool, ['test', 'rules', file], { encoding: 'utf8' });
    assert.equal(run.status, 0, run.stdout + run.stderr);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('there is an alarm, with its cases, for each line of "worth an alarm"', () => {
  const page = readFileSync(join(packageRoot, 'docs/operations.md'), 'utf8');
  const table = page.slice(page.indexOf('| metric | worth an alarm |')).split('\n\n', 1)[0] ?? '';
  const lines = table.split('\n').slice(2);
  const alarms = [
    ...readFileSync(rules, 'utf8').matchAll(/^ {6}- alert: (\w+)\n {8}expr: (?:\|\n)?([\s\S]*?)\n {8}(?:for|labels)/gm),
  ];
  assert.deepEqual(alarmCases.map(({ alert }) => alert).sort(), alarms.map(([, name]) => name).sort());
  assert.equal(alarms.length, lines.length);
  for (const line of lines) {
    const names = [...line.matchAll(/`([a-z_]{2,})(?:\{([^}]*)\})?`/g)].filter(
      ([, name]) => name !== 'up' || line.startsWith('| `up`'),
    );
    const [, name = '', labels = ''] = names[0] ?? [];
    const fits = alarms.some(
      ([, , expr = '']) => expr.includes(name) && labels.split(',').every((label) => expr.includes(label)),
    );
    assert.ok(fits, line);
  }
});

test('the dashboard is one: its parts are complete, and no two panels lie on each other', () => {
  assert.deepEqual([head.uid, head.title, head.schemaVersion >= 36], ['devlxd', 'devlxd', true]);
  assert.deepEqual(
    templating.list.map(({ name, type }) => [name, type]),
    [
      ['datasource', 'datasource'],
      ['host', 'query'],
      ['name', 'query'],
    ],
  );
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  assert.equal(panels.filter(({ type }) => type === 'row').length, 3);
  const cells = new Set<string>();
  for (const { type, title, gridPos, datasource, targets } of panels) {
    const { x, y, w, h } = gridPos;
    assert.ok(w > 0 && h > 0 && x >= 0 && x + w <= 24, title);
    for (let column = x; column < x + w; column++)
      for (let line = y; line < y + h; line++) {
        assert.ok(!cells.has(`${column},${line}`), `${title} lies on another`);
        cells.add(`${column},${line}`);
      }
    if (type === 'row') continue;
    assert.ok(['stat', 'timeseries', 'table'].includes(type), title);
    assert.deepEqual(datasource, { type: 'prometheus', uid: variable('datasource') }, title);
    assert.ok(targets !== undefined && targets.length > 0, title);
    assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
  }
  const known = [...Object.keys(metricDeclarations), ...Object.keys(instanceMetricDeclarations)];
  for (const expression of expressions)
    for (const [name] of expression.matchAll(/\b(?:devlxd|process)_\w+/g))
      assert.ok(known.includes(name.replace(/_bucket$/, '')), `${name} in ${expression}`);
});

test('a real Prometheus scrapes, understands each query of the dashboard, and no alarm fires', async (t) => {
  const found = toolsFor(t);
  if (found === undefined) return;
  const prometheus = await Prometheus.start(found.prometheus, port, rules);
  try {
    await eventually('it has scraped', async () => (await prometheus.query('up == 1')).length === 1);
    const [up] = await prometheus.query('devlxd_instances{status="Running"}');
    assert.equal(up?.value[1], '1');
    const [one] = await prometheus.query('devlxd_instance_requests_total{exported_instance="c1"}');
    assert.equal(one?.value[1], '1');
    const empty = /devlxd_source|devlxd_instance_(?:limit|unmerged)|> 0$|rate\(|timestamp/;
    for (const expression of expressions) {
      const asked = expression.replaceAll('$__rate_interval', '10s').replaceAll(/\$(?:host|name)\b/g, '.*');
      const result = await prometheus.query(asked);
      if (!empty.test(expression)) assert.ok(result.length > 0, expression);
    }
    assert.deepEqual(await prometheus.query('ALERTS'), []);
  } finally {
    await prometheus.close();
  }
});
