import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import { setImmediate as pause } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { readSettings } from '../src/config/options.js';
import { listenTcp } from '../src/gate/tcp-socket.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { freePort } from './support/free-port.js';
import { Guests } from './support/guest-processes.js';
import { ended, exchange } from './support/http.js';
import { OptionsFile } from './support/options-file.js';

let guests: Guests;
let daemon: TestDaemon | undefined;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

afterEach(async () => {
  await daemon?.remove();
  daemon = undefined;
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

async function start(...options: string[]): Promise<{ at: NetConnectOpts; port: number; daemon: TestDaemon }> {
  const port = await freePort();
  const started = await TestDaemon.start(['--metrics-listen', `127.0.0.1:${port}`, ...options]);
  daemon = started;
  return { at: { port, host: '127.0.0.1' }, port, daemon: started };
}

/** Why a daemon with these options does not start. */
async function refusal(...options: string[]): Promise<string> {
  return TestDaemon.start(options).then(
    (started) => started.remove().then(() => 'it started'),
    (error: Error) => error.message,
  );
}

test('the metrics, and nothing else: whatever is asked for, nothing can be changed', async () => {
  const { at, daemon } = await start();
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
  const { at, daemon } = await start();
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
  const { at, daemon } = await start();
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
  const { at, daemon } = await start('--options-file', file.path);
  try {
    const status = async (authorization?: string) =>
      (await ask(at, '/metrics', { headers: authorization === undefined ? {} : { authorization } })).status;
    for (const wrong of [undefined, 'secret-1', 'Bearer secret-2', 'Bearer secret-1 ', 'Basic secret-1', 'Bearer '])
      assert.equal(await status(wrong), wrong === 'Bearer secret-1 ' ? 200 : 401, wrong);
    assert.equal((await ask(at, '/nothing')).status, 401); // before it says what there is
    assert.equal(await status('Bearer secret-1'), 200);
    writeFileSync(token, 'secret-2');
    await file.reload(daemon, `DEVLXD_METRICS_TOKEN_FILE=${token}\n#`);
    assert.deepEqual([await status('Bearer secret-1'), await status('Bearer secret-2')], [401, 200]);
    writeFileSync(token, '');
    await file.reload(daemon, `DEVLXD_METRICS_TOKEN_FILE=${token}\n`);
    assert.equal(await status('Bearer secret-2'), 200);
    assert.ok(daemon.log.some(({ msg }) => msg.startsWith('the token of the metrics is not read again')));
    const listen = ['--metrics-listen', `127.0.0.1:${await freePort()}`];
    assert.match(await refusal(...listen, '--metrics-token-file', token), /must have one line: a token/);
    assert.match(await refusal(...listen, '--metrics-token-file', '/nowhere'), /cannot be read/);
  } finally {
    file.remove();
  }
});

test('on a Unix socket that is the daemon user, or a group, alone', async () => {
  const { daemon: other } = await start();
  const path = join(other.directory, 'metrics.sock');
  const own = await TestDaemon.start(['--metrics-listen', `unix:${path}`]);
  try {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal((await ask({ path })).status, 200);
    assert.match(await refusal('--metrics-listen', `unix:${path}`), /Another process listens on .*--metrics-listen/);
    await own.end();
    assert.ok(!existsSync(path));
    writeFileSync(path, 'a file of somebody');
    assert.match(await refusal('--metrics-listen', `unix:${path}`), /or another file is there/);
  } finally {
    await own.remove();
  }
  const shared = join(other.directory, 'shared.sock');
  const grouped = await TestDaemon.start(['--metrics-listen', `unix:${shared}`, '--group', String(process.getgid?.())]);
  assert.equal(statSync(shared).mode & 0o777, 0o660);
  await grouped.remove();
});

test('only addresses that no other host reaches, and no place of another socket', async () => {
  const problem = (listen: string): string => {
    try {
      readSettings({ 'metrics-listen': listen, 'run-dir': '/run/devlxd' }, {});
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
  const { port } = await start();
  assert.match(await refusal('--metrics-listen', `127.0.0.1:${port}`), /another process listens there/);
});

test('on IPv6', { skip: hasLoopback6() ? false : 'needs ::1' }, async () => {
  const port = await freePort();
  daemon = await TestDaemon.start(['--metrics-listen', `[::1]:${port}`]);
  assert.equal((await ask({ host: '::1', port })).status, 200);
});

test('a takeover, also by a process that listens elsewhere, or nowhere', async () => {
  const { at, port, daemon } = await start();
  assert.equal((await ask(at)).status, 200);
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
  const path = join(daemon.directory, 'metrics.sock');
  await daemon.run(['--takeover', '--metrics-listen', `unix:${path}`]);
  assert.equal((await ask({ path })).status, 200);
  await assert.rejects(ask(at), /ECONNREFUSED/);
  await daemon.run(['--takeover', '--metrics-listen', '']);
  await eventually('the file is gone', () => !existsSync(path));
  await daemon.run(['--takeover', '--metrics-listen', `127.0.0.1:${port}`]);
  assert.equal((await ask(at)).status, 200);
  await daemon.end();
  await assert.rejects(ask(at), /ECONNREFUSED/);
});

test('a socket that a service manager passes, of either kind', async () => {
  const port = await freePort();
  const own = await TestDaemon.startWithSockets([]);
  daemon = own;
  await own.end();
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
});

function hasLoopback6(): boolean {
  return existsSync('/proc/net/if_inet6') && statSync('/proc/net/if_inet6').isFile();
}
