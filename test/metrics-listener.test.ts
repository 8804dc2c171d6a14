import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { setImmediate as pause } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { readSettings, type Settings } from '../src/config/options.js';
import { metricsTokenIn } from '../src/daemon/metrics-token.js';
import { listenTcp } from '../src/gate/tcp-socket.js';
import { MetricsSocket } from '../src/handover/metrics-socket.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { freePort } from './support/free-port.js';
import { Guests } from './support/guest-processes.js';
import { ended, exchange } from './support/http.js';
import { OptionsFile } from './support/options-file.js';

let guests: Guests;
let daemon: TestDaemon;
let port: number;
let at: NetConnectOpts;
let directory: string;

before(async () => {
  guests = new Guests();
  directory = mkdtempSync(join(tmpdir(), 'devlxd-test-'));
  port = await freePort();
  at = { port, host: '127.0.0.1' };
  daemon = await TestDaemon.start(['--metrics-listen', `127.0.0.1:${port}`]);
});

after(async () => {
  await guests.close();
  await daemon.remove();
  rmSync(directory, { recursive: true });
});

interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}

async function ask(
  at: NetConnectOpts,
  path = '/metrics',
  {
    method = 'GET',
    headers = {},
    body = '',
  }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answered> {
  const asked = request({ createConnection: () => connect(at), path, method, headers });
  asked.end(body);
  const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) };
}

function settingsWith(listen: string, group = ''): Settings {
  return readSettings({ 'metrics-listen': listen, 'run-dir': '/run/devlxd', group }, {});
}

test('the metrics, and nothing else: whatever is asked for, nothing can be changed', async () => {
  await daemon.register('c1', guests.one().pid, { 'user.a': '1' });
  const plain = await ask(at);
  assert.equal(plain.status, 200);
  assert.equal(plain.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.match(plain.body.toString(), /^devlxd_instances\{status="Running"\} 1$/m);
  assert.doesNotMatch(plain.body.toString(), /instance="c1"/);
  const packed = await ask(at, '/metrics?per=instance', { headers: { 'accept-encoding': 'deflate, GZIP;q=0.5' } });
  assert.equal(packed.headers['content-encoding'], 'gzip');
  assert.match(
    gunzipSync(packed.body).toString(),
    /devlxd_instance_requests_total\{project="default",instance="c1"\} 0/,
  );
  const unpacked = await ask(at, '/metrics', { headers: { 'accept-encoding': 'gzip;q=0' } });
  assert.equal(unpacked.headers['content-encoding'], undefined);
  const before = await daemon.client.instances.get('c1');
  const writes = ['/1.0/instances/c1', '/1.0/instances', '/1.0/batch', '/1.0/profiles/default', '/1.0/identity/rotate'];
  const reads = [
    '/',
    '/1.0',
    '/1.0/metrics',
    '/1.0/instances',
    '/1.0/backup',
    '/1.0/takeover',
    '/1.0/events',
    '/metric',
  ];
  for (const path of [...writes, ...reads, '/metrics/', '//metrics', '/metrics%3fper=instance'])
    for (const method of ['GET', 'PUT', 'PATCH', 'POST', 'DELETE'])
      assert.equal(
        (await ask(at, path, { method, body: '{"config":{"user.a":"2"}}' })).status,
        404,
        `${method} ${path}`,
      );
  for (const method of ['PUT', 'PATCH', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE'])
    assert.equal((await ask(at, '/metrics', { method })).status, 405, method);
  for (const query of ['?', '?per=guest', '?per=instance&x=1', '?PER=instance'])
    assert.equal((await ask(at, `/metrics${query}`)).status, 400, query);
  assert.deepEqual(await daemon.client.instances.get('c1'), before);
});

test('what is no request is refused, and what follows one is not read', async () => {
  const first = async (bytes: string) => (await exchange(connect(at), bytes)).split('\r\n', 1)[0];
  assert.equal(await first('hello\r\n\r\n'), 'HTTP/1.1 400 Bad Request');
  assert.equal(await first('GET /metrics HTTP/2\r\n\r\n'), 'HTTP/1.1 400 Bad Request');
  assert.equal(await first('GET /metrics HTTP/1.1\r\nno header\r\n\r\n'), 'HTTP/1.1 400 Bad Request');
  assert.match(String(await first(`GET /metrics HTTP/1.1\r\nx: ${'x'.repeat(9000)}\r\n\r\n`)), /431/);
  assert.match(String(await first(`GET /metrics HTTP/1.1\r\n${'x'.repeat(100_000)}`)), /431|^$/);
  const twice = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3);
  const answers = await exchange(connect(at), twice);
  assert.equal(answers.split('HTTP/1.1 200 OK').length, 2);
  assert.match(answers, /\r\nConnection: close\r\n/);
  const pieces = connect(at);
  for (const piece of ['GET /met', 'rics HTTP/1.1\r', '\n\r\n']) pieces.write(piece);
  const [piece] = (await once(pieces, 'data')) as [Buffer];
  assert.match(piece.toString(), /^HTTP\/1\.1 200 OK/);
  pieces.destroy();
  assert.equal(await daemon.metric('devlxd_limit_hits_total', { limit: 'metrics-connections' }), 0);
});

test('callers that ask for nothing, or do not read, keep nobody out', async () => {
  const idle = Array.from({ length: 40 }, () => connect(at).on('error', () => undefined));
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  assert.equal((await ask(at)).status, 200);
  const slow = Array.from({ length: 40 }, () => connect(at).on('error', () => undefined));
  for (const socket of slow) socket.pause().write('GET /metrics?per=instance HTTP/1.1\r\n\r\n');
  for (let n = 0; n < 3; n++) assert.equal((await ask(at)).status, 200);
  const hits = await daemon.metric('devlxd_limit_hits_total', { limit: 'metrics-connections' });
  assert.ok(hits >= 24, `${hits}`);
  const flood = connect(at).on('error', () => undefined);
  flood.write('GET /metrics HTTP/1.1\r\n\r\n');
  flood.resume();
  const gone = ended(flood);
  for (let sent = 0; sent < 1000 && !flood.destroyed; sent++) {
    flood.write(Buffer.alloc(64 * 1024));
    await pause();
  }
  await gone;
  for (const socket of [...idle, ...slow]) socket.destroy();
  assert.equal((await ask(at)).status, 200);
});

test('with a token, which may change while the daemon runs', async () => {
  const file = new OptionsFile();
  const token = join(file.path, '..', 'token');
  writeFileSync(token, 'secret-1\n');
  file.write(`DEVLXD_METRICS_TOKEN_FILE=${token}`);
  const at = { port: await freePort(), host: '127.0.0.1' };
  const own = await TestDaemon.start(['--metrics-listen', `127.0.0.1:${at.port}`, '--options-file', file.path]);
  try {
    const status = async (authorization?: string) =>
      (await ask(at, '/metrics', { headers: authorization === undefined ? {} : { authorization } })).status;
    for (const wrong of [undefined, 'secret-1', 'Bearer secret-2', 'Bearer secret-1 ', 'Basic secret-1', 'Bearer '])
      assert.equal(await status(wrong), wrong === 'Bearer secret-1 ' ? 200 : 401, wrong);
    assert.equal((await ask(at, '/nothing')).status, 401); // before it says what there is
    assert.equal(await status('Bearer secret-1'), 200);
    writeFileSync(token, 'secret-2');
    await file.reload(own, `DEVLXD_METRICS_TOKEN_FILE=${token}\n#`);
    assert.deepEqual([await status('Bearer secret-1'), await status('Bearer secret-2')], [401, 200]);
    writeFileSync(token, '');
    await file.reload(own, `DEVLXD_METRICS_TOKEN_FILE=${token}\n`);
    assert.equal(await status('Bearer secret-2'), 200);
    assert.ok(own.log.some(({ msg }) => msg.startsWith('the token of the metrics is not read again')));
    assert.throws(() => metricsTokenIn(token), /must have one line: a token/);
    await own.end();
    await assert.rejects(own.run(['--metrics-token-file', '/nowhere']), /cannot be read/);
  } finally {
    await own.remove();
    file.remove();
  }
});

test('on a Unix socket that is the daemon user, or a group, alone', () => {
  for (const [group, mode] of [
    ['', 0o600],
    [String(process.getgid?.()), 0o660],
  ] as const) {
    const path = join(directory, `metrics-${mode}.sock`);
    const socket = new MetricsSocket(settingsWith(`unix:${path}`, group), undefined);
    const other = new MetricsSocket(settingsWith(`unix:${path}`), undefined);
    closeSync(socket.listening() as number);
    assert.equal(statSync(path).mode & 0o777, mode);
    assert.throws(() => other.listening(), /Another process listens on .*--metrics-listen/);
    socket.close(false);
    assert.ok(!existsSync(path));
    writeFileSync(path, 'a file of somebody');
    assert.throws(() => other.listening(), /is a file, not a socket; remove it, or choose another --metrics-listen/);
  }
});

test('only addresses that no other host reaches, and no place of another socket', async () => {
  const problem = (listen: string): string => {
    try {
      settingsWith(listen);
      return 'none';
    } catch (error) {
      return (error as Error).message;
    }
  };
  for (const address of [
    '0.0.0.0:9842',
    '[::]:9842',
    '192.168.1.1:80',
    '10.0.0.1:1',
    '128.0.0.1:80',
    '[::ffff:1.2.3.4]:1',
  ])
    assert.match(problem(address), /that only this host reaches|takes 127/, address);
  for (const address of [
    '127.0.0.1',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    'localhost:80',
    ':80',
    '9842',
    '127.1:80',
    '::1:80',
  ])
    assert.match(problem(address), /takes 127\.0\.0\.1:PORT, \[::1\]:PORT or unix:/, address);
  assert.match(problem('unix:metrics.sock'), /takes an absolute path/);
  for (const path of ['control.sock', 'guest/../control.sock', './control.sock'])
    assert.match(problem(`unix:/run/devlxd/${path}`), /another path than that of control\.sock/, path);
  assert.match(problem('unix:/run/devlxd/guest/metrics'), /is mounted into guests/);
  for (const address of ['127.0.0.1:9842', '127.8.8.8:1', '[::1]:65535', 'unix:/run/devlxd/metrics.sock'])
    assert.equal(problem(address), 'none', address);
  const taken = new MetricsSocket(settingsWith(`127.0.0.1:${port}`), undefined);
  assert.throws(() => taken.listening(), /another process listens there/);
});

test('on IPv6', { skip: hasLoopback6() ? false : 'needs ::1' }, async () => {
  const port = await freePort();
  const socket = new MetricsSocket(settingsWith(`[::1]:${port}`), undefined);
  closeSync(socket.listening() as number);
  const caller = connect({ host: '::1', port });
  await once(caller, 'connect');
  caller.destroy();
  socket.close(false);
});

test('a takeover, also by a process that listens elsewhere, or nowhere', async () => {
  const lasting: Promise<Answered>[] = [];
  let over = false;
  const asking = async (): Promise<void> => {
    while (!over) {
      const answer = ask(at);
      lasting.push(answer);
      await answer;
    }
  };
  const asked = Promise.all([asking(), asking(), asking()]);
  assert.equal(await daemon.takeOver(), 0);
  over = true;
  await asked;
  for (const { status } of await Promise.all(lasting)) assert.equal(status, 200);
  const path = join(directory, 'metrics.sock');
  await daemon.run(['--takeover', '--metrics-listen', `unix:${path}`]);
  assert.equal((await ask({ path })).status, 200);
  await assert.rejects(ask(at), /ECONNREFUSED/);
  await daemon.run(['--takeover', '--metrics-listen', '']);
  await eventually('the file is gone', () => !existsSync(path));
});

test('a socket that a service manager passes, of either kind', async () => {
  const port = await freePort();
  const own = TestDaemon.prepared();
  const fd = listenTcp('127.0.0.1', port, 16);
  await own.run([], { metrics: fd });
  assert.equal((await ask({ port, host: '127.0.0.1' })).status, 200);
  await own.end();
  const waiting: Socket = connect(port, '127.0.0.1');
  await once(waiting, 'connect'); // in the backlog: the socket is not the daemon's
  waiting.write('GET /metrics HTTP/1.1\r\n\r\n');
  await own.run([], { metrics: fd });
  const [answer] = (await once(waiting, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 200 OK/);
  waiting.destroy();
  await own.remove();
  closeSync(fd);
});

function hasLoopback6(): boolean {
  return existsSync('/proc/net/if_inet6') && statSync('/proc/net/if_inet6').isFile();
}
