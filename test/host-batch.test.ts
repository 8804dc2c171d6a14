import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Operator } from './support/host.js';

const lines = { 'content-type': 'application/x-ndjson' };

let daemon: TestDaemon;
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
});

after(() => daemon.remove());

function text(documents: readonly unknown[]): string {
  return documents.map((document) => `${JSON.stringify(document)}\n`).join('');
}

async function names(filter = ''): Promise<string[]> {
  const query = filter === '' ? '' : `?filter=${encodeURIComponent(filter)}`;
  const urls = await operator.metadata<string[]>('GET', `/1.0/instances${query}`);
  return urls.map((url) => url.slice('/1.0/instances/'.length));
}

test('many are created at once, and changed at once', async () => {
  const made = Array.from({ length: 1000 }, (_, n) => ({ name: `b${n}`, config: { 'user.n': String(n % 10) } }));
  const ended = await operator.metadata<{ metadata: object }>('POST', '/1.0/instances', text(made), lines);
  assert.deepEqual(ended.metadata, {
    batch_progress: 'write 100% (1000/1000)',
    progress: { stage: 'write', percent: '100' },
  });
  assert.equal((await names()).length, 1000);
  const changes = ['b1', 'b2'].map((name) => ({
    method: 'PATCH',
    path: `/1.0/instances/${name}`,
    body: { config: { 'user.n': 'changed' }, description: 'by a batch' },
  }));
  const withCharset = { 'content-type': 'application/x-ndjson; charset=utf-8' };
  await operator.metadata('POST', '/1.0/batch', `\n${text(changes)}`, withCharset);
  assert.deepEqual(await names('config.user.n=changed and description="by a batch"'), ['b1', 'b2']);
});

test('what a batch would do can be asked for, and nothing is changed', async () => {
  const check = (documents: readonly object[]) => operator.metadata('POST', '/1.0/batch/check', text(documents), lines);
  const post = { method: 'POST', path: '/1.0/instances', body: { name: 'asked', config: { 'user.a': '1' } } };
  const patch = { method: 'PATCH', path: '/1.0/instances/asked', body: { description: 'seen by a later line' } };
  const before = await operator.metadata('GET', '/1.0/instances?recursion=1');
  const follower = await operator.follow('?type=lifecycle');
  for (const _ of [1, 2]) await check([post, patch]);
  await assert.rejects(check([post, post]), /line 2: Instance "asked" already exists/);
  await assert.rejects(check([{ ...post, body: { name: '1bad' } }]), /line 1: name: "1bad" is not an instance name/);
  assert.match(await operator.error('POST', '/1.0/batch/check', {}), /^400 Content-Type: application\/x-ndjson/);
  assert.deepEqual(await operator.metadata('GET', '/1.0/instances?recursion=1'), before);
  await operator.metadata('POST', '/1.0/batch', text([{ ...post, body: { name: 'done' } }]), lines);
  await eventually('an event', () => follower.events.length > 0);
  assert.equal(follower.events[0]?.metadata['source'], '/1.0/instances/done');
  follower.end();
  await operator.metadata('DELETE', '/1.0/instances/done');
});

test('a batch is all or nothing, and its error names the line and the field', async () => {
  const before = await operator.metadata('GET', '/1.0/instances?recursion=1');
  const good = { name: 'good' };
  const table: [string, string, RegExp][] = [
    [
      'POST',
      text([good, { name: 'x', config: { 'user.n': 1 } }]),
      /^failed line 2: config\.user\.n: values are strings/,
    ],
    ['POST', text([good, { name: 'x', config: { nonsense: '1' } }]), /^failed line 2: config\.nonsense: Unknown/],
    ['POST', text([good, good]), /^failed line 2: Instance "good" already exists/],
    ['POST', text([good, { name: 'x', profiles: ['none'] }]), /^failed line 2: profiles: Profile "none" not found/],
    ['POST', `${text([good])}\n{"name":`, /^failed line 3: not JSON/],
    ['POST', `${text([good])}\n \t\r\n\u0001\n`, /^failed line 4: not JSON/],
    ['POST', text([good, 'x']), /^failed line 2: body/],
    ['POST', text([good, { name: 'x', confg: {} }]), /^failed line 2: confg: Unknown field; do you mean config\?/],
  ];
  for (const [method, body, expected] of table) {
    assert.match(await operator.error(method, '/1.0/instances', body, lines), expected);
  }
  assert.match(await operator.error('PATCH', '/1.0/instances', {}), /^501 /);
  assert.deepEqual(await operator.metadata('GET', '/1.0/instances?recursion=1'), before);
});

test('filters', async () => {
  assert.deepEqual(await names('name=b7'), ['b7']);
  assert.deepEqual(await names('name eq b7 or name eq "b8"'), ['b7', 'b8']);
  assert.equal((await names('config.user.n=3')).length, 100);
  assert.equal((await names('not config.user.n=3 and status=Stopped')).length, 900);
  assert.equal((await names('status ne Stopped')).length, 0);
  assert.deepEqual(await names('status=STOPPED and name=B7'), ['b7']);
  assert.equal((await names('nothing.here=1')).length, 0);
  for (const bad of ['name', 'name=', 'name=x and', 'name=x y=z', '"', 'name > x']) {
    assert.match(await operator.error('GET', `/1.0/instances?filter=${encodeURIComponent(bad)}`), /^400 filter: /);
  }
});

test('rename: a new name, a new instance id, nothing else', async () => {
  await operator.metadata('POST', '/1.0/instances', {
    name: 'before',
    config: { 'user.a': '1' },
    devices: { eth0: { type: 'nic' } },
  });
  interface Shown {
    name: string;
    created_at: string;
    config: Record<string, string>;
  }
  const old = await operator.metadata<Shown>('GET', '/1.0/instances/before');
  await operator.metadata('POST', '/1.0/instances/before', { name: 'after' });
  assert.match(await operator.error('GET', '/1.0/instances/before'), /^404 /);
  const renamed = await operator.metadata<Shown>('GET', '/1.0/instances/after');
  const id = 'volatile.cloud-init.instance-id';
  assert.notEqual(renamed.config[id], old.config[id]);
  assert.deepEqual(
    { ...renamed, name: 'before', config: { ...renamed.config, [id]: old.config[id] } },
    {
      ...old,
      expanded_config: { ...renamed.config },
    },
  );
  assert.match(
    await operator.error('POST', '/1.0/instances/after', { name: 'b1' }),
    /^failed Instance "b1" already exists/,
  );
  assert.match(await operator.error('POST', '/1.0/instances/after', { name: '1x' }), /^failed name: "1x" is not/);
  assert.match(await operator.error('POST', '/1.0/instances/after', {}), /^400 name: is missing/);
  assert.match(
    await operator.error('POST', '/1.0/instances/after', { name: 'x', migration: true }),
    /^400 migration: devlxd moves no instances/,
  );
});

test('operations are listed by status and cannot be cancelled', async () => {
  const { operation } = JSON.parse((await operator.request('POST', '/1.0/instances', { name: 'op' })).body);
  await operator.metadata('GET', `${operation}/wait`);
  const listed = await operator.metadata<Record<string, string[]>>('GET', '/1.0/operations');
  assert.ok(listed['success']?.includes(operation));
  const full = await operator.metadata<Record<string, { id: string }[]>>('GET', '/1.0/operations?recursion=1');
  assert.ok(full['success']?.some(({ id }) => operation.endsWith(id)));
  assert.match(await operator.error('DELETE', operation), /^400 This operation can't be cancelled/);
});

test('a batch of all kinds: in order, each line as a request of its own would be, all or nothing', async () => {
  const post = (documents: readonly unknown[]) => operator.metadata('POST', '/1.0/batch', text(documents), lines);
  const tagged = await operator.etag('/1.0/instances/b3');
  await post([
    { method: 'POST', path: '/1.0/profiles', body: { name: 'mixed', devices: { eth0: { type: 'nic' } } } },
    { method: 'POST', path: '/1.0/instances', body: { name: 'mixed', profiles: ['mixed'] } },
    // Of before the batch: a profile that an instance has may change it as well.
    { method: 'PATCH', path: '/1.0/instances/b3', body: { profiles: ['mixed'] } },
    { method: 'PUT', path: '/1.0/profiles/mixed', body: { config: { 'cloud-init.user-data': 'x' } } },
    { method: 'PATCH', path: '/1.0/instances/b3', etag: tagged, body: { config: { 'user.n': 'mixed' } } },
    { method: 'DELETE', path: '/1.0/instances/b4' },
  ]);
  const shown = await operator.metadata<{ expanded_config: Record<string, string> }>('GET', '/1.0/instances/b3');
  assert.deepEqual(
    ['user.n', 'cloud-init.user-data'].map((key) => shown.expanded_config[key]),
    ['mixed', 'x'],
  );
  assert.deepEqual(await names('name=b4'), []);

  const before = await operator.metadata('GET', '/1.0/instances?recursion=1');
  const good = { method: 'PATCH', path: '/1.0/instances/b1', body: { config: { 'user.n': 'half' } } };
  const stale = '0'.repeat(64);
  const table: [unknown, RegExp][] = [
    [{ ...good, etag: stale }, /^failed line 2: ETag doesn't match: 0+ vs /],
    [{ ...good, path: '/1.0/instances/none' }, /^failed line 2: Instance "none" not found/],
    [{ ...good, path: '/1.0/instances/b1?project=none' }, /^failed line 2: Instance "b1" not found/],
    [{ ...good, body: { config: { 'user.n': 1 } } }, /^failed line 2: config\.user\.n: values are strings/],
    [{ ...good, body: { confg: {} } }, /^failed line 2: confg: Unknown field; do you mean config\?/],
    [{ ...good, method: 'GET' }, /^failed line 2: method: must be POST, PUT/],
    [{ ...good, method: 'POST' }, /^failed line 2: method: a batch has POST for a collection/],
    [{ method: 'DELETE', path: '/1.0/instances' }, /^failed line 2: method: a batch has POST for a collection/],
    [{ ...good, path: '/1.0/images/x' }, /^failed line 2: path: "\/1\.0\/images\/x" cannot be in a batch/],
    [{ ...good, path: '/1.0/constructor/x' }, /^failed line 2: path: /],
    [{ ...good, path: '/1.0/instances/b1/state' }, /^failed line 2: path: /],
    [{ ...good, path: 'instances' }, /^failed line 2: path: must be like/],
    [{ method: 'POST', path: '/1.0/instances?project=none', body: { name: 'x' } }, /^failed line 2: Project "none"/],
    [{ method: 'DELETE', path: '/1.0/profiles/mixed' }, /^failed line 2: The profile "mixed" is in use/],
    [{ method: 'POST', path: '/1.0/profiles', body: {} }, /^failed line 2: name: is missing/],
  ];
  for (const [line, expected] of table) {
    assert.match(await operator.error('POST', '/1.0/batch', text([good, line]), lines), expected);
  }
  assert.match(await operator.error('POST', '/1.0/batch', {}), /^400 Content-Type: application\/x-ndjson/);
  assert.deepEqual(await operator.metadata('GET', '/1.0/instances?recursion=1'), before);
});

test('of several lines that are wrong the first is named, whatever is wrong with it', async () => {
  const before = await operator.metadata('GET', '/1.0/instances?recursion=1');
  const line = (more: object) => JSON.stringify({ method: 'PATCH', path: '/1.0/instances/b1', body: {}, ...more });
  const wrong: [string, RegExp][] = [
    ['{"method":', /not JSON/],
    [line({ method: 'GET' }), /method: must be POST/],
    [line({ etag: '0'.repeat(64), body: { config: { nonsense: '' } } }), /ETag doesn't match/],
    [line({ body: { config: { nonsense: '' } } }), /config\.nonsense: Unknown/],
    [line({ etag: '0'.repeat(64), body: { config: { 'user.n': 1 } } }), /config\.user\.n: values are strings/],
    [line({ etag: '0'.repeat(64), path: '/1.0/instances/none' }), /Instance "none" not found/],
  ];
  for (const [first, expected] of wrong)
    for (const [second] of wrong) {
      const body = [line({}), first, second].join('\n');
      assert.match(
        await operator.error('POST', '/1.0/batch', body, lines),
        new RegExp(`^failed line 2: ${expected.source}`),
        `${first} ${second}`,
      );
    }
  assert.deepEqual(await operator.metadata('GET', '/1.0/instances?recursion=1'), before);
});

test('a tag is that of before the batch, whatever its lines do', async () => {
  const post = (documents: readonly unknown[]) => operator.metadata('POST', '/1.0/batch', text(documents), lines);
  const etag = await operator.etag('/1.0/instances/b5');
  const patch = (value: string) => ({
    method: 'PATCH',
    path: '/1.0/instances/b5',
    etag,
    body: { config: { 'user.n': value } },
  });
  await post([patch('once'), patch('twice')]);
  assert.deepEqual(await names('config.user.n=twice'), ['b5']);
  await assert.rejects(post([patch('again')]), /line 1: ETag doesn't match/);
  const current = await operator.etag('/1.0/instances/b5');
  const remove = { method: 'DELETE', path: '/1.0/instances/b5', etag: current };
  const create = { method: 'POST', path: '/1.0/instances', body: { name: 'b5' } };
  await post([remove, create, { ...patch('new'), etag: current }]);
  assert.deepEqual(await names('config.user.n=new'), ['b5']);
  const made = { method: 'POST', path: '/1.0/instances', body: { name: 'b-made' } };
  const tagged = { ...patch('x'), path: '/1.0/instances/b-made', etag: current };
  await assert.rejects(post([made, tagged]), /line 2: Instance "b-made" not found/);
  const profile = await operator.etag('/1.0/profiles/default');
  const edit = { method: 'PATCH', path: '/1.0/profiles/default', etag: profile, body: { description: 'by a batch' } };
  await post([edit, edit]);
  await assert.rejects(post([edit]), /line 1: ETag doesn't match/);
});
