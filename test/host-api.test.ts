import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { instancePath } from '../src/cli/with-client.js';
import { socketPaths } from '../src/config/paths.js';
import { TestDaemon } from './support/daemon.js';
import { Guests } from './support/guest-processes.js';
import { type Answer, ask, ended } from './support/http.js';

let daemon: TestDaemon;

before(async () => {
  daemon = await TestDaemon.start();
});

after(() => daemon.remove());

function request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
  return ask(connect(socketPaths(daemon.runDir).control), path, { method, headers, ...sent });
}

function errorOf({ status, body }: Answer): string {
  const envelope = JSON.parse(body) as { type: string; error_code: number; error: string };
  assert.deepEqual([envelope.type, envelope.error_code], ['error', status]);
  return `${status} ${envelope.error}`;
}

test('the envelope and the keys of LXD', async () => {
  const answer = await request('GET', '/1.0');
  assert.equal(answer.status, 200);
  assert.match(
    answer.body,
    /^\{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":\{/,
  );
  assert.equal(JSON.parse(answer.body).metadata.environment.server, 'devlxd');
});

test('what is no list is sent with its length, so that head and body are one write', async () => {
  for (const [method, path, body] of [
    ['GET', '/1.0', undefined],
    ['GET', '/1.0/metrics', undefined],
    ['PATCH', '/1.0/profiles/default', { config: { 'user.ä': '€' } }],
    ['GET', '/1.0/instances/nobody', undefined],
  ] as const) {
    const answer = await request(method, path, body);
    assert.equal(answer.headers['content-length'], String(Buffer.byteLength(answer.body)), path);
    assert.equal(answer.headers['transfer-encoding'], undefined, path);
  }
  const { headers, body } = await request('HEAD', '/1.0');
  assert.deepEqual([Number(headers['content-length']) > 0, body], [true, '']);
});

test('create, wait, read, change, delete', async () => {
  const created = await request('POST', '/1.0/instances', {
    name: 'life',
    config: { 'user.a': '1', 'user.empty': '' },
  });
  assert.equal(created.status, 202);
  const { operation, metadata } = JSON.parse(created.body);
  assert.equal(created.headers['location'], operation);
  assert.equal(metadata.class, 'task');
  const waited = JSON.parse((await request('GET', `${operation}/wait?timeout=10`)).body).metadata;
  assert.deepEqual([waited.status, waited.status_code, waited.err], ['Success', 200, '']);
  const read = JSON.parse((await request('GET', '/1.0/instances/life')).body).metadata;
  assert.deepEqual([read.name, read.status, read.status_code, read.type], ['life', 'Stopped', 102, 'container']);
  assert.equal(read.config['user.a'], '1');
  assert.equal('user.empty' in read.config, false);
  await request('PATCH', '/1.0/instances/life', { config: { 'user.b': '2' }, devices: { d: { type: 'disk' } } });
  const patched = JSON.parse((await request('GET', '/1.0/instances/life')).body).metadata;
  assert.deepEqual([patched.config['user.a'], patched.config['user.b']], ['1', '2']);
  assert.deepEqual(patched.expanded_devices, { d: { type: 'disk' } });
  await request('PUT', '/1.0/instances/life', { config: { 'user.c': '3' }, devices: {} });
  const put = JSON.parse((await request('GET', '/1.0/instances/life')).body).metadata;
  assert.deepEqual([put.config['user.a'], put.config['user.c'], put.devices], [undefined, '3', {}]);
  assert.equal(put.config['volatile.cloud-init.instance-id'], read.config['volatile.cloud-init.instance-id']);
  await daemon.client.request('DELETE', instancePath('life'));
  assert.equal(errorOf(await request('GET', '/1.0/instances/life')), '404 Instance "life" not found');
});

test('bad input: the field is named, and nothing has changed', async () => {
  await daemon.create('strict', { 'user.a': '1' });
  const before = (await request('GET', '/1.0/instances/strict')).body;
  const path = '/1.0/instances/strict';
  const table: [string, string, unknown, RegExp][] = [
    ['POST', '/1.0/instances', {}, /^400 name: is missing/],
    ['POST', '/1.0/instances', { name: 'x', cofnig: {} }, /^400 cofnig: Unknown field; do you mean config\?/],
    ['POST', '/1.0/instances', { name: 'x', config: { 'user.n': 1 } }, /^400 config\.user\.n: values are strings/],
    ['POST', '/1.0/instances', { name: 'x', type: 'vm' }, /^400 type: must be container or virtual-machine/],
    ['POST', '/1.0/instances', '{"name":', /^400 The body is not JSON/],
    ['POST', '/1.0/instances', `"${'x'.repeat(17 * 1024 * 1024)}"`, /^413 The body is longer than 16777216 bytes/],
    ['PATCH', path, { config: { nonsense: '1' } }, /^400 config\.nonsense: Unknown configuration key/],
    ['PATCH', path, { config: { 'user.a': '2' }, devices: { d: {} } }, /^400 devices\.d\.type/],
    ['PATCH', path, { config: { 'volatile.cloud-init.instance-id': 'mine' } }, /^400 config\.volatile\./],
    ['PUT', path, [], /^400 body/],
    ['PUT', `${path}/state`, { action: 'explode' }, /^400 action/],
    ['PUT', `${path}/state`, { action: 'start' }, /^400 pid: is missing/],
    ['PUT', `${path}/state`, { action: 'start', pid: 1.5 }, /^400 pid: must be a whole number/],
    ['DELETE', '/1.0/instances', undefined, /^501 /],
    ['GET', '/1.0/nowhere', undefined, /^404 /],
    ['GET', '/1.0/instances/%zz', undefined, /^400 /],
    ['GET', '/1.0/operations/none/wait', undefined, /^404 Operation not found/],
  ];
  for (const [method, target, body, expected] of table) {
    assert.match(errorOf(await request(method, target, body)), expected);
  }
  assert.equal((await request('GET', '/1.0/instances/strict')).body, before);
});

test('an operation that fails says why, and a name is given once', async () => {
  await daemon.create('once');
  const { operation } = JSON.parse((await request('POST', '/1.0/instances', { name: 'once' })).body);
  const ended = JSON.parse((await request('GET', `${operation}/wait`)).body).metadata;
  assert.deepEqual([ended.status, ended.err], ['Failure', 'Instance "once" already exists']);
});

test('If-Match: of two writers with the same tag one wins and one gets 412', async () => {
  await daemon.create('tagged');
  const path = '/1.0/instances/tagged';
  const etag = (await request('GET', path)).headers['etag'] as string;
  const answers = await Promise.all(
    ['1', '2'].map((n) => request('PATCH', path, { config: { 'user.n': n } }, { 'if-match': etag })),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 412]);
  const winner = answers[0]?.status === 200 ? '1' : '2';
  assert.equal((await daemon.client.instances.get('tagged')).config['user.n'], winner);
});

test('recursion and projects', async () => {
  await daemon.create('listed');
  const names = JSON.parse((await request('GET', '/1.0/instances')).body).metadata as string[];
  assert.ok(names.includes('/1.0/instances/listed'));
  const full = JSON.parse((await request('GET', '/1.0/instances?recursion=2')).body).metadata as {
    name: string;
    state: object;
  }[];
  assert.ok(full.find(({ name }) => name === 'listed')?.state);
  assert.equal(errorOf(await request('GET', '/1.0/instances?project=other')), '404 Project "other" not found');
});

test('the modes of the sockets and directories', () => {
  const paths = socketPaths(daemon.runDir);
  const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
  assert.deepEqual([daemon.runDir, paths.guestDir, paths.guest, paths.control, daemon.stateDir].map(mode), [
    '711',
    '755',
    '666',
    '600',
    '700',
  ]);
});

test('a stop does not wait for operators who are connected and ask nothing', async () => {
  const short = await TestDaemon.start();
  const [silent, kept] = [0, 1].map(() => connect(socketPaths(short.runDir).control)) as [Socket, Socket];
  const answered = once(kept, 'data');
  kept.write('GET /1.0 HTTP/1.1\r\nHost: devlxd\r\n\r\n');
  await answered;
  const closed = Promise.all([ended(silent), ended(kept)]);
  assert.equal(await short.end(), 0);
  await closed;
  await short.remove();
});

test('another user of the host may not use the control socket', {
  skip: process.getuid?.() === 0 ? false : 'needs root, to be another user',
}, () => {
  const script = `require('net').connect(${JSON.stringify(socketPaths(daemon.runDir).control)}).on('error', (e) => console.log(e.code))`;
  const output = execFileSync(
    'setpriv',
    ['--reuid=12345', '--regid=12345', '--clear-groups', process.execPath, '-e', script],
    { encoding: 'utf8' },
  );
  assert.equal(output, 'EACCES\n');
});

test('running instances are taken up again after kill -9, and those whose init is gone are not', async () => {
  const guests = new Guests();
  const [stays, goes] = guests.spawn(2);
  assert.ok(stays && goes);
  await daemon.register('stays', stays.pid, { 'user.mark': 'stays' });
  await daemon.register('goes', goes.pid);
  await daemon.end('SIGKILL');
  goes.kill();
  await daemon.run();
  assert.deepEqual([await daemon.status('stays'), await daemon.status('goes')], ['Running', 'Stopped']);
  assert.equal((await ask(stays.connect(daemon.socket), '/1.0/config/user.mark')).body, 'stays');
  await guests.close();
});
