import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, ended, exchange, Session } from './support/http.js';

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  daemon = await TestDaemon.start(['--log-level', 'info']);
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.mark': 'still here' });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** The daemon lives, and answers the guest. */
async function lives(): Promise<void> {
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.mark')).body, 'still here');
}

const head = 'GET /1.0 HTTP/1.1\r\nHost: lxd\r\n';

const hostile: Readonly<Record<string, string | Buffer>> = {
  'garbage bytes': Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7 + 13) % 256)),
  'a method alone': 'GET\r\n\r\n',
  'no path': 'GET  HTTP/1.1\r\nHost: x\r\n\r\n',
  'an unknown version': 'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
  '10,000 header lines': `${head}${Array.from({ length: 10_000 }, (_, i) => `X-${i}: y\r\n`).join('')}\r\n`,
  'a header of 1 MB': `${head}X: ${'y'.repeat(1_000_000)}\r\n\r\n`,
  'a path of 100 kB': `GET /1.0/${'x'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
  'two lengths': `${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`,
  'a length and chunks': `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a length that is none': `${head}Content-Length: -1\r\n\r\n`,
  'a broken chunk': `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
  'an asterisk': 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
  'a WebSocket key that is none': `${head.replace('/1.0', '/1.0/events')}Upgrade: websocket\r\nSec-WebSocket-Key: short\r\nConnection: Upgrade\r\n\r\n`,
  'an upgrade elsewhere': `${head}Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
};

for (const [what, bytes] of Object.entries(hostile)) {
  test(`${what}: an answer or an end, and the daemon lives`, async () => {
    const socket = guest.connect(daemon.socket);
    const received = await exchange(socket, bytes, (text) => text.includes('\r\n\r\n'));
    assert.match(received, /^$|^HTTP\/1\.1 [2345]\d\d /);
    await lives();
  });
}

test('half a request and then silence is closed', async () => {
  const odd = 'http://lxd/1.0 HTTP/1.1\r\n';
  const halves = [head, `GET ${odd}Host: x\r\n`, `PATCH ${odd}Content-Length: 20\r\n\r\n{`];
  const open = halves.map((half) => {
    const socket = guest.connect(daemon.socket);
    socket.write(half);
    return ended(socket);
  });
  await Promise.all(open);
  await lives();
});

test('requests in one piece are answered in order', async () => {
  const paths = ['/1.0/config/user.mark', '/', '/1.0/config/user.none'];
  const bytes = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join('');
  const received = await exchange(guest.connect(daemon.socket), bytes, (text) => text.endsWith('Not Found\n'));
  assert.deepEqual(received.match(/still here|\["\/1\.0"\]|Not Found\n$/g), ['still here', '["/1.0"]', 'Not Found\n']);
});

test('a caller that leaves while it is held is forgotten', async () => {
  const stranger = guests.one();
  for (let i = 0; i < 20; i++) {
    const socket = stranger.connect(daemon.socket);
    socket.write(`${head}\r\n`);
    setImmediate(() => socket.destroy());
  }
  await daemon.register('late', stranger.pid, { 'user.mark': 'late' });
  assert.equal((await ask(stranger.connect(daemon.socket), '/1.0/config/user.mark')).body, 'late');
  await lives();
});

test('more pendingCallers than may wait are told so at once; the others wait on', async () => {
  const crowded = await TestDaemon.start(['--limit-pending-callers', '3', '--limit-hold-seconds', '60']);
  try {
    const stranger = guests.one();
    const waiting = [1, 2, 3].map(() => ask(stranger.connect(crowded.socket), '/1.0'));
    await eventually('three wait', async () => {
      const answer = await ask(stranger.connect(crowded.socket), '/1.0');
      return answer.status === 500;
    });
    await crowded.register('c1', stranger.pid);
    assert.deepEqual(
      (await Promise.all(waiting)).map(({ status }) => status),
      [200, 200, 200],
    );
  } finally {
    await crowded.remove();
  }
});

test('a handler that throws: 500 for the guest, the detail for the log, and the daemon lives', async () => {
  const faulty = await TestDaemon.startChanged('throwing-handler.js');
  try {
    const one = guests.one();
    await faulty.register('c1', one.pid, { 'user.mark': 'here' });
    const answer = await ask(one.connect(faulty.socket), '/1.0/devices');
    assert.deepEqual([answer.status, answer.body], [500, 'Internal Server Error\n']);
    const flood = 300;
    const session = new Session(one.connect(faulty.socket));
    for (let n = 0; n < flood; n++) assert.equal((await session.ask('/1.0/devices')).status, 500);
    await session.close();
    const lines = faulty.log.filter(({ msg }) => msg === 'guest request failed');
    assert.equal((lines[0]?.['err'] as { message?: string } | undefined)?.message, 'thrown on purpose');
    assert.ok(lines.length <= 10, `${lines.length} lines`);
    assert.equal((await ask(one.connect(faulty.socket), '/1.0/config/user.mark')).body, 'here');
  } finally {
    await faulty.remove();
  }
});

test('without descriptors newcomers are dropped, those inside are answered, and it recovers by itself', async () => {
  const full = await TestDaemon.start(['--limit-connections', '100000', '--limit-connections-per-instance', '0']);
  try {
    const one = guests.one();
    await full.register('c1', one.pid, { 'user.mark': 'here' });
    const inside = new Session(one.connect(full.socket));
    assert.equal((await inside.ask('/1.0/config/user.mark')).body, 'here');
    const now = readdirSync(`/proc/${full.pid}/fd`).length;
    const limit = `--nofile=${now + 20}:${now + 20}`;
    assert.equal(spawnSync('prlimit', ['--pid', String(full.pid), limit]).status, 0);
    const crowd = Array.from({ length: 100 }, () => one.connect(full.socket));
    let dropped = 0;
    for (const socket of crowd) ended(socket).then(() => dropped++);
    await eventually('the surplus is dropped', () => dropped >= 75);
    assert.equal((await inside.ask('/1.0/config/user.mark')).body, 'here');
    for (const socket of crowd) socket.destroy();
    await eventually('there is room again', async () => {
      const answer = await ask(one.connect(full.socket), '/1.0/config/user.mark').catch(() => undefined);
      return answer?.body === 'here';
    });
    await inside.close();
  } finally {
    await full.remove();
  }
});

test('no descriptor is left open by connections that come and go', async () => {
  const descriptors = () => readdirSync(`/proc/${daemon.pid}/fd`).length;
  await lives();
  const before = descriptors();
  // Fewer than an instance may have at once, should the daemon be slow to see them go.
  for (let round = 0; round < 120; round++) {
    const socket = guest.connect(daemon.socket, {});
    if (round % 3 === 0) socket.write(head);
    if (round % 3 === 1) socket.write(`${head.replace('/1.0', '/1.0/events')}\r\n`);
    socket.on('error', () => undefined);
    setImmediate(() => socket.destroy());
    await new Promise(setImmediate);
  }
  await lives();
  await eventually('as many descriptors as before', () => descriptors() <= before);
});

const large = `${'0123456789'.repeat(400_000)}.`;

test('a guest that asks for a large value and is gone leaves the daemon alone', async () => {
  await daemon.set('c1', { 'user.large': large });
  for (let n = 0; n < 40; n++) {
    const socket = guest.connect(daemon.socket);
    socket.on('error', () => undefined);
    socket.write('GET /1.0/config/user.large HTTP/1.1\r\nHost: lxd\r\n\r\n');
    socket.destroy();
    if (n % 5 === 0) await lives();
  }
  await lives();
});

test('a large value comes whole to a guest that reads slowly', async () => {
  const socket = guest.connect(daemon.socket).setEncoding('latin1');
  let received = '';
  socket.on('data', (data: string) => {
    received += data;
    socket.pause();
    setImmediate(() => socket.resume());
  });
  socket.write('GET /1.0/config/user.large HTTP/1.1\r\nHost: lxd\r\n\r\n');
  await eventually('all of it', () => received.length >= large.length && received.endsWith('.'));
  socket.destroy();
  assert.equal(received.slice(received.indexOf('\r\n\r\n') + 4), large);
});

const askLarge = 'GET /1.0/config/user.large HTTP/1.1\r\n'; // odd without Host

const open: Socket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

/** Asks for the large value, and reads nothing once it begins to come. */
async function unread(request: string): Promise<Socket> {
  const socket = guest.connect(daemon.socket);
  open.push(socket);
  socket.write(request);
  await once(socket, 'readable');
  return socket;
}

for (const [edge, request] of Object.entries({
  plain: `${askLarge}Host: lxd\r\n\r\n`,
  odd: `${askLarge}\r\n`.repeat(9),
})) {
  test(`large answers that nobody reads are one in memory: ${edge}`, async () => {
    const megabytes = (): number =>
      Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]) / 1024;
    await daemon.set('c1', { 'user.large': large });
    await lives();
    const before = megabytes();
    await Promise.all(Array.from({ length: 100 }, () => unread(request)));
    await lives();
    // AddressSanitizer keeps what was freed: 4 become 101.
    const most = process.env['ASAN_OPTIONS'] === undefined ? 100 : 200;
    assert.ok(megabytes() - before < most, `${megabytes() - before} MB more, which are 400 one by one`);
  });
}

test('an answer that nobody reads is given up after a while', async () => {
  const descriptors = () => readdirSync(`/proc/${daemon.pid}/fd`).length;
  await daemon.set('c1', { 'user.large': large });
  const before = descriptors();
  const requests = [`${askLarge}Host: lxd\r\n\r\n`, `${askLarge}\r\n`];
  await Promise.all(Array.from({ length: 10 }, (_, n) => unread(requests[n % 2] as string)));
  const halves = [head, head.replace('/1.0', 'http://lxd/1.0')].map((half) => {
    const socket = guest.connect(daemon.socket);
    socket.write(half);
    return ended(socket);
  });
  await Promise.all(halves); // which takes as long
  await eventually('as many descriptors as before', () => descriptors() <= before);
});

for (const times of [30, 1000]) {
  test(`${times} odd requests in one piece are answered in order`, async () => {
    const all = `${'GET /1 HTTP/1.1\r\n\r\n'.repeat(times)}GET / HTTP/1.1\r\n\r\n`;
    const received = await exchange(guest.connect(daemon.socket), all, (text) => text.endsWith('["/1.0"]\n'));
    assert.equal(countOf(received), times);
    await lives();
  });
}

test('who sends more than 64 KiB ahead of an answer is closed', async () => {
  await daemon.set('c1', { 'user.large': large });
  const socket = await unread(`${askLarge}\r\n`);
  const closed = ended(socket.on('data', () => undefined).pause());
  for (let n = 0; n < 8; n++) socket.write(`${askLarge}\r\n`.repeat(300));
  await closed;
  await lives();
});

function countOf(text: string): number {
  return text.match(/^Not Found$/gm)?.length ?? 0;
}

test('readers that leave in the middle of a large answer, with the next request begun behind it, are let go', async () => {
  const reader = guests.one();
  await daemon.register('leaving', reader.pid, { 'user.big': 'x'.repeat(1_000_000) });
  const before = await daemon.metric('devlxd_connections');
  for (let n = 0; n < 60; n++) {
    const socket = reader.connect(daemon.socket).on('error', () => undefined);
    socket.write('GET /1.0/config/user.big HTTP/1.1\r\nHost: lxd\r\n\r\nGET ');
    // Nothing is unread then: the kernel says of such an end only that writing fails.
    socket.once('data', () => setImmediate(() => setImmediate(() => socket.destroy())));
  }
  await eventually('all are let go', async () => (await daemon.metric('devlxd_connections')) <= before);
});
