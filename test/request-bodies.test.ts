import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests, needsGuestUsers } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask, ended, exchange } from './support/http.js';

const limits = { 'guest-body': 4096, 'guest-body-instance': 20_000, 'guest-body-total': 30_000, 'hold-seconds': 1 };

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;
const operator = new Operator(() => daemon);

before(async () => {
  const options = Object.entries(limits).flatMap(([name, value]) => [`--limit-${name}`, String(value)]);
  // A heap like that of a small host: bodies that are kept in pieces end it.
  daemon = await TestDaemon.start(options, { NODE_OPTIONS: '--max-old-space-size=64' });
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.a': '1' });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const head = (method: string, path: string, ...headers: string[]) =>
  `${method} ${path} HTTP/1.1\r\nHost: lxd\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`;
const chunked = 'Transfer-Encoding: chunked';
const inPieces = (text: string) => [...text].map((character) => `1\r\n${character}\r\n`).join('');
const ready = '{"state":"Ready"}';

/** The whole of what comes for a request whose body never ends. */
const endless = (socket: Socket, method = 'PATCH', path = '/1.0') =>
  exchange(socket, head(method, path, chunked) + inPieces('x'.repeat(1000)));

async function reached(limit: string): Promise<number> {
  const { body } = await operator.request('GET', '/1.0/metrics');
  return Number(new RegExp(`^devlxd_limit_hits_total\\{limit="${limit}"\\} (\\d+)$`, 'm').exec(body)?.[1]);
}

test('a request that may not be made is answered before its body has come, and its connection closed', async () => {
  const stranger = guests.one();
  const forbidden = guests.one();
  await daemon.register('forbidden', forbidden.pid, { 'security.devlxd': 'false' });
  const rows: [answer: Promise<string>, status: number][] = [
    [endless(connect(daemon.socket)), 500],
    [endless(stranger.connect(daemon.socket)), 500],
    [endless(forbidden.connect(daemon.socket)), 403],
    [endless(guest.connect(daemon.socket), 'PATCH', '/1.0/nothing'), 404],
    [endless(guest.connect(daemon.socket), 'DELETE'), 501],
    [endless(guest.connect(daemon.socket), 'PUT', '/1.0/config/user.a'), 501],
    [endless(guest.connect(daemon.socket), 'POST', '/1.0/ubuntu-pro/token'), 403],
    [endless(guest.connect(daemon.socket), 'GET', '/1.0/config/user.a'), 200],
  ];
  for (const [answer, status] of rows) assert.match(await answer, new RegExp(`^HTTP/1\\.1 ${status} `));
});

test('nor of a user who is not root', needsGuestUsers, async () => {
  const answer = await endless(guest.connect(daemon.socket, { uid: 1000 }));
  assert.match(answer, /^HTTP\/1\.1 401 /);
});

test('a short body of a request that may not be made is read past: the connection stays', async () => {
  const body = 'GET /1.0/config/user.no HTTP/1.1\r\nHost: x\r\n\r\n'.padEnd(limits['guest-body']); // no request
  const next = head('GET', '/1.0/config/user.a', 'Connection: close');
  for (const [method, path] of [
    ['DELETE', '/1.0'],
    ['PUT', '/1.0/config/user.a'],
    ['PATCH', '/1.0/nothing'],
    ['GET', '/1.0'],
  ] as const) {
    const socket = guest.connect(daemon.socket);
    const answers = exchange(socket, head(method, path, `Content-Length: ${body.length}`) + body.slice(0, 10));
    await once(socket, 'data'); // answered before its body has come
    socket.write(body.slice(10, 1000));
    socket.write(body.slice(1000) + next);
    const statuses = [...(await answers).matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status);
    assert.deepEqual(statuses.slice(1), ['200'], `${method} ${path}`);
    assert.match(await answers, /\r\n\r\n1$/);
  }
});

test('a client that waits for "100 Continue" is told no, and its connection is closed', async () => {
  const request = head('PATCH', '/1.0/nothing', 'Content-Length: 100', 'Expect: 100-continue');
  const answer = await exchange(guest.connect(daemon.socket), request);
  assert.match(answer, /^(HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 404 .*\r\nConnection: close\r\n/is);
});

test('a body as long as the limit is read, and one byte more refused, without reading where the length says so', async () => {
  const most = limits['guest-body'];
  const full = ready.padEnd(most);
  const patch = (body: string) => ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body });
  assert.equal((await patch(full)).status, 200);
  assert.equal((await patch(`${full} `)).status, 413);
  const inOneChunk = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  for (const [body, status] of [
    [inOneChunk(full), 200],
    [`${inPieces(full)}0\r\n\r\n`, 200],
    [inOneChunk(`${full} `), 413],
    [`${inPieces(`${full} `)}0\r\n\r\n`, 413],
  ] as const) {
    const whole = (text: string) => /\r\n\r\n/.test(text);
    const answer = await exchange(guest.connect(daemon.socket), head('PATCH', '/1.0', chunked) + body, whole);
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
  }
  for (const length of [most + 1, 10_000_000, 2 ** 40]) {
    const answer = await exchange(guest.connect(daemon.socket), head('PATCH', '/1.0', `Content-Length: ${length}`));
    assert.match(answer, /^HTTP\/1\.1 413 .*\r\n\r\nRequest body too large\n$/s);
  }
});

test('bodies that have begun and do not end are cut off, oldest first, and a whole one is read meanwhile', async () => {
  const other = guests.one();
  await daemon.register('other', other.pid);
  const before = { instance: await reached('guest-body-instance'), total: await reached('guest-body-total') };
  const part = (from: Guest): Socket => {
    const socket = from.connect(daemon.socket).on('error', () => undefined);
    socket.write(`${head('PATCH', '/1.0', 'Content-Length: 4000')}${'x'.repeat(3000)}`);
    return socket;
  };
  const oldest = part(guest);
  const closed = ended(oldest);
  const others = Array.from({ length: 7 }, () => part(guest));
  await closed;
  await eventually('the limit is counted', async () => (await reached('guest-body-instance')) > before.instance);
  others.push(...Array.from({ length: 6 }, () => part(other)));
  await eventually('that of all', async () => (await reached('guest-body-total')) > before.total);
  for (const from of [guest, other]) {
    const { status } = await ask(from.connect(daemon.socket), '/1.0', { method: 'PATCH', body: ready });
    assert.equal(status, 200);
  }
  for (const socket of others) socket.destroy();
});

test('an instance that is stopped while its body comes is not changed by it', async () => {
  const stopping = guests.one();
  await daemon.register('stopping', stopping.pid);
  const socket = stopping.connect(daemon.socket);
  const answer = exchange(socket, head('PATCH', '/1.0', `Content-Length: ${ready.length}`) + ready.slice(0, 5));
  await eventually('it is being read', async () => (await daemon.status('stopping')) === 'Running');
  await daemon.stopInstance('stopping');
  socket.write(ready.slice(5));
  assert.doesNotMatch(await answer, /^HTTP\/1\.1 200 /);
});

test('a flood of bodies in pieces of one byte neither ends the daemon nor keeps it from its operator', async () => {
  const sockets: Socket[] = [];
  const flood = head('PATCH', '/1.0', chunked) + inPieces('x'.repeat(60_000));
  for (const from of [() => guest.connect(daemon.socket), () => connect(daemon.socket)]) {
    for (let n = 0; n < 40; n++) {
      const socket = from().on('error', () => undefined);
      socket.resume().write(flood);
      sockets.push(socket);
    }
  }
  assert.equal((await operator.request('GET', '/1.0')).status, 200);
  await Promise.all(sockets.map((socket) => socket.destroyed || ended(socket)));
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.a')).body, '1');
});

test('a body that comes too slowly is not waited for', async () => {
  const socket = guest.connect(daemon.socket).on('error', () => undefined);
  const closed = ended(socket);
  socket.write(head('PATCH', '/1.0', 'Content-Length: 4000'));
  const drip = setInterval(() => socket.write('x'), 100);
  await closed;
  clearInterval(drip);
});
