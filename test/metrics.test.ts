import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { metricDeclarations } from '../src/metrics/daemon-metrics.js';
import { instanceMetricDeclarations } from '../src/metrics/instance-metrics.js';
import { packageRoot } from '../src/package-root.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask, ended, exchange, Session } from './support/http.js';

let daemon: TestDaemon;
let guests: Guests;
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start(['--limit-connections-per-instance', '2', '--limit-hold-seconds', '30']);
  guests = new Guests();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** Value by name and labels, as they are written. */
async function measured(): Promise<Map<string, number>> {
  const { status, headers, body } = await operator.request('GET', '/1.0/metrics');
  assert.equal(status, 200);
  assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/);
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))];
    }),
  );
}

async function isMeasured(name: string, value: number): Promise<void> {
  let last: number | undefined;
  const reached = async () => {
    last = (await measured()).get(name);
    return last === value;
  };
  await eventually(`${name} is ${value}`, reached).catch((error: Error) =>
    assert.fail(`${error.message}, but ${last}`),
  );
}

test('every metric has its line in the documentation, and a value', async () => {
  const text = readFileSync(join(packageRoot, 'docs/metrics.md'), 'utf8');
  const values = [...(await measured()).keys()];
  for (const name of Object.keys(instanceMetricDeclarations)) assert.ok(text.includes(`| \`${name}\` |`), name);
  for (const [name, { labels = [] }] of Object.entries(metricDeclarations)) {
    const line = text.split('\n').find((row) => row.startsWith('|') && row.includes(`\`${name}\``));
    assert.ok(line, `${name} is not in docs/metrics.md`);
    for (const label of labels) assert.ok(line.includes(`\`${label}\``), `${label} of ${name}`);
    // Of what has not happened, or is not there, there is none.
    if (!/^devlxd_source_|_timestamp_seconds$/.test(name))
      assert.ok(
        values.some((value) => value.startsWith(name)),
        name,
      );
  }
});

test('requests by endpoint and status, whatever the caller puts into the path', async () => {
  const guest = guests.one();
  await daemon.register('counted', guest.pid, { 'user.a': '1' });
  const session = new Session(guest.connect(daemon.socket));
  const paths = [
    '/1.0/config/user.a',
    '/1.0/config/user.a',
    '/1.0/config/user.b',
    '/1.0/config/boot.x',
    '/other',
    '/1.0',
  ];
  for (const path of paths) await session.ask(path);
  await session.ask('/1.0', { method: 'PATCH', body: '{"state":"Ready"}' });
  await session.close();
  const of = (endpoint: string, status: number) =>
    `devlxd_guest_requests_total{endpoint="${endpoint}",status="${status}"}`;
  const values = await measured();
  assert.deepEqual(
    [
      ['/1.0/config/{key}', 200],
      ['/1.0/config/{key}', 404],
      ['/1.0/config/{key}', 403],
      ['none', 404],
      ['/1.0', 200],
    ].map(([endpoint, status]) => values.get(of(String(endpoint), Number(status)))),
    [2, 1, 1, 1, 2],
  );
  assert.equal(values.get('devlxd_guest_responses_cached_total'), 1); // the second time for user.a
  // What has not happened yet has its zero, so that the first time shows as a change.
  assert.equal(values.get(of('/1.0/devices', 200)), 0);
  assert.equal(values.get(of('none', 431)), 0);
  assert.equal(values.get('devlxd_guest_refusals_total{reason="not-root"}'), 0);
  assert.equal(values.get('devlxd_guest_refusals_total{reason="forbidden"}'), 1);
  await operator.request('GET', '/1.0/instances/none');
  await operator.request('GET', '/1.0/instances/%zz');
  await operator.request('GET', '/1.0/nowhere');
  const host = await measured();
  const asked = (endpoint: string, status: number) =>
    host.get(`devlxd_control_requests_total{endpoint="${endpoint}",status="${status}"}`);
  assert.deepEqual(
    [asked('/1.0/instances/{name}', 404), asked('/1.0/instances/{name}', 400), asked('none', 404)],
    [1, 1, 1],
  );
});

test('what is no request counts as one, and how long each took counts once', async () => {
  const guest = guests.one();
  await daemon.register('odd', guest.pid, { 'user.a': '1' });
  const before = await measured();
  const more = async (name: string) => ((await measured()).get(name) ?? 0) - (before.get(name) ?? 0);
  const answer = await exchange(guest.connect(daemon.socket), 'GET /1.0 HTTP/9.9\r\n\r\n');
  assert.match(answer, /^HTTP\/1\.1 400 /);
  const long = await exchange(guest.connect(daemon.socket), `GET /1.0 HTTP/1.1\r\nx: ${'x'.repeat(140_000)}\r\n\r\n`);
  assert.match(long, /^HTTP\/1\.1 431 /);
  const requests = (status: number) => more(`devlxd_guest_requests_total{endpoint="none",status="${status}"}`);
  assert.deepEqual([await requests(400), await requests(431)], [1, 1]);
  const refusals = (reason: string) => more(`devlxd_guest_refusals_total{reason="${reason}"}`);
  assert.deepEqual([await refusals('not-a-request'), await refusals('head-too-long')], [1, 1]);
  const took = () => more('devlxd_guest_request_duration_seconds_count');
  assert.equal(await took(), 0); // of requests alone
  const session = new Session(guest.connect(daemon.socket));
  for (let n = 0; n < 5; n++) await session.ask('/1.0/config/user.a');
  await session.ask('/1.0', { method: 'PATCH', body: '{"state":"Ready"}' });
  await session.close();
  assert.equal(await took(), 6);
  assert.equal(await more('devlxd_guest_request_duration_seconds_bucket{le="+Inf"}'), 6);
  assert.ok((await more('devlxd_guest_request_duration_seconds_sum')) > 0);
});

test('how long a request was held', async () => {
  const longHeld = async (): Promise<number> => {
    const values = await measured();
    const of = (series: string) => values.get(`devlxd_guest_held_duration_seconds_${series}`) ?? 0;
    return of('count') - of('bucket{le="0.1"}');
  };
  const held = await longHeld();
  const stranger = guests.one();
  const waiting = ask(stranger.connect(daemon.socket), '/1.0');
  await isMeasured('devlxd_guest_requests_held', 1);
  await pause(200);
  await daemon.register('late', stranger.pid);
  assert.equal((await waiting).status, 200);
  assert.equal(await longHeld(), held + 1);
});

test('how full limits are', async () => {
  const guest = guests.one();
  await daemon.register('filling', guest.pid);
  const used = (limit: string) => `devlxd_limit_used{limit="${limit}"}`;
  const values = await measured();
  assert.equal(values.get('devlxd_limit_max{limit="connections-per-instance"}'), 2);
  assert.equal(values.get('devlxd_limit_max{limit="connections"}'), values.get('devlxd_connections_max'));
  const session = new Session(guest.connect(daemon.socket));
  await session.ask('/1.0');
  await isMeasured(used('connections-per-instance'), 1);
  const body = guest.connect(daemon.socket);
  body.write('PATCH /1.0 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{');
  await isMeasured(used('connections-per-instance'), 2);
  await isMeasured(used('guest-body-total'), 1024);
  body.destroy();
  await session.close();
  await isMeasured(used('guest-body-total'), 0);
  await isMeasured(used('connections-per-instance'), 0);
});

test('connections, refused ones, held requests, listeners', async () => {
  const guest = guests.one();
  const before = await measured();
  const refused = 'devlxd_limit_hits_total{limit="connections-per-instance"}';
  const stranger = ask(guest.connect(daemon.socket), '/1.0');
  await isMeasured('devlxd_guest_requests_held', 1);
  await isMeasured('devlxd_connections', 1);
  await daemon.register('met', guest.pid);
  assert.equal((await stranger).status, 200);
  await isMeasured('devlxd_guest_requests_held', 0);
  await isMeasured('devlxd_guest_requests_held_total', (before.get('devlxd_guest_requests_held_total') ?? 0) + 1);
  const sockets = [1, 2, 3].map(() => guest.connect(daemon.socket));
  await isMeasured(refused, (before.get(refused) ?? 0) + 1);
  for (const socket of sockets) socket.destroy();
  await isMeasured('devlxd_connections', 0);
  const follower = await operator.follow();
  await isMeasured('devlxd_listeners{role="control"}', 1);
  const stream = guest.connect(daemon.socket);
  stream.write('GET /1.0/events HTTP/1.1\r\nHost: x\r\n\r\n');
  await isMeasured('devlxd_listeners{role="guest"}', 1);
  stream.destroy();
  follower.end();
  await isMeasured('devlxd_listeners{role="guest"}', 0);
  await isMeasured('devlxd_listeners{role="control"}', 0);
});

test('of each running instance, on request', async () => {
  const of = async (query: string): Promise<string> => (await operator.request('GET', `/1.0/metrics${query}`)).body;
  assert.doesNotMatch(await of(''), /devlxd_instance_/);
  const guest = guests.one();
  await daemon.register('each', guest.pid, { 'user.a': '1' });
  const stream = guest.connect(daemon.socket);
  stream.write('GET /1.0/events HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.a')).status, 200);
  const labels = '{project="default",instance="each"}';
  const expected = [`connections${labels} 1`, `listeners${labels} 1`, `requests_total${labels} 2`];
  await eventually('its figures', async () => {
    const text = await of('?per=instance');
    return expected.every((line) => text.includes(`\ndevlxd_instance_${line}\n`));
  });
  assert.match(await of('?per=instance'), /^devlxd_connections \d+$/m);
  // The daemon of this test gives an instance two connections; the third is closed.
  const surplus = [guest.connect(daemon.socket), guest.connect(daemon.socket)];
  await Promise.race(surplus.map((socket) => ended(socket)));
  const hit = { instance: 'each', limit: 'connections-per-instance' };
  assert.equal(await daemon.metric('devlxd_instance_limit_hits_total', hit), 1);
  for (const socket of surplus) socket.destroy();
  stream.destroy();
  await daemon.stopInstance('each');
  assert.doesNotMatch(await of('?per=instance'), /instance="each"/);
  assert.match(await operator.error('GET', '/1.0/metrics?per=guest'), /^400 per: "guest" is not instance/);
});

test('instances by status, commits and what they made durable', async () => {
  const before = await measured();
  const lines = Array.from({ length: 20 }, (_, n) => `{"name":"m${n}"}\n`).join('');
  await operator.metadata('POST', '/1.0/instances', lines, { 'content-type': 'application/x-ndjson' });
  const after = await measured();
  const more = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  assert.deepEqual(
    [
      'devlxd_instances{status="Stopped"}',
      'devlxd_store_commits_total{outcome="done"}',
      'devlxd_store_changes_total',
    ].map(more),
    [20, 1, 20],
  );
  assert.ok(more('devlxd_store_commit_seconds_total') > 0);
  const running = ['Running', 'Ready'].map((status) => before.get(`devlxd_instances{status="${status}"}`));
  const statuses = ['Running', 'Ready'].map((status) => after.get(`devlxd_instances{status="${status}"}`));
  assert.deepEqual(statuses, running);
});
