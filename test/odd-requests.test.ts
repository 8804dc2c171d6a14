import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests, needsGuestUsers } from './support/guest-processes.js';
import { ended, exchange } from './support/http.js';

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  daemon = await TestDaemon.start(['--limit-hold-seconds', '1']);
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.mark': 'mine' });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const path = '/1.0/config/user.mark';

interface Answer {
  readonly head: string;
  readonly body: string;
}

/** Everything until the daemon closes, or until the body is complete. */
async function answerOf(one: Guest, bytes: string, connecting = {}): Promise<Answer> {
  const complete = (text: string): boolean => {
    const length = /content-length: (\d+)\r\n/i.exec(text)?.[1];
    const body = text.split('\r\n\r\n')[1];
    return length !== undefined && body !== undefined && Buffer.byteLength(body) >= Number(length);
  };
  const received = await exchange(one.connect(daemon.socket, connecting), bytes, complete);
  const [head = '', body = ''] = received.split('\r\n\r\n');
  return { head, body };
}

const odd: Readonly<Record<string, string>> = {
  'an absolute-form target, as with http_proxy': `GET http://lxd${path} HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\n\r\n`,
  'an absolute-form target with a port and a query': `GET http://lxd:80${path}?x=1 HTTP/1.1\r\nHost: lxd\r\n\r\n`,
  'HTTP/1.0': `GET ${path} HTTP/1.0\r\n\r\n`,
  'HTTP/1.0 with Host': `GET ${path} HTTP/1.0\r\nHost: lxd\r\n\r\n`,
  'no Host': `GET ${path} HTTP/1.1\r\n\r\n`,
  'bare line feeds': `GET ${path} HTTP/1.1\nHost: lxd\n\n`,
};

for (const [what, bytes] of Object.entries(odd)) {
  test(`${what}: the right answer`, async () => {
    const { head, body } = await answerOf(guest, bytes);
    assert.match(head, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/octet-stream; charset=utf-8\r\n/);
    assert.equal(body, 'mine');
  });
}

test('the same checks, sentences and methods as for plain requests', async () => {
  const table: [string, string, string][] = [
    ['GET http://lxd/1.0/nothing HTTP/1.1', '404 Not Found', 'Not Found\n'],
    ['GET http://lxd HTTP/1.1', '200 OK', '["/1.0"]\n'],
    ['DELETE http://lxd/1.0 HTTP/1.1', '501 Not Implemented', 'Not Implemented\n'],
    ['HEAD http://lxd/1.0 HTTP/1.1', '200 OK', ''],
    ['GET http://lxd/1.0/config/user.%zz HTTP/1.1', '400 Bad Request', 'Bad Request\n'],
  ];
  for (const [line, status, body] of table) {
    const answer = await answerOf(guest, `${line}\r\nHost: lxd\r\nConnection: close\r\n\r\n`);
    assert.match(answer.head, new RegExp(`^HTTP/1\\.1 ${status}\r\n`), line);
    assert.equal(answer.body, body, line);
  }
});

test('a user of the guest who is not root is refused here too', needsGuestUsers, async () => {
  const { head, body } = await answerOf(guest, `GET ${path} HTTP/1.0\r\n\r\n`, { uid: 1000 });
  assert.match(head, /^HTTP\/1\.1 401 Unauthorized\r\n/);
  assert.equal(body, 'Access denied for non-root user\n');
});

test('PATCH in absolute form', async () => {
  const body = '{"state":"Ready"}';
  const { head } = await answerOf(
    guest,
    `PATCH http://lxd/1.0 HTTP/1.1\r\nHost: lxd\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  assert.match(head, /^HTTP\/1\.1 200 OK/);
  assert.match((await answerOf(guest, 'GET http://lxd/1.0 HTTP/1.0\r\n\r\n')).body, /"state":"Ready"/);
});

test('an odd request of a guest that is not registered yet is held, and gets its data', async () => {
  const early = guests.one();
  const asked = answerOf(early, `GET http://lxd${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`);
  await daemon.register('early', early.pid, { 'user.mark': 'early' });
  assert.equal((await asked).body, 'early');
  const never = await answerOf(guests.one(), `GET http://lxd${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`);
  assert.match(never.head, /^HTTP\/1\.1 500 /);
  assert.equal(never.body, 'Process ID not found in container\n');
});

test('events over HTTP/1.0: lines, without chunks', async () => {
  const socket = guest.connect(daemon.socket);
  let received = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text;
  });
  socket.write('GET /1.0/events HTTP/1.0\r\n\r\n');
  await eventually('the head', () => received.includes('\r\n\r\n'));
  await daemon.set('c1', { 'user.a': '1' });
  await eventually('the event', () => received.endsWith('}\n'));
  assert.match(received.split('\r\n\r\n')[1] ?? '', /^\{"type":"config".*\}\n$/);
  socket.destroy();
});

test('odd connections end with their instance, and leave no descriptor behind', async () => {
  const descriptors = () => readdirSync(`/proc/${daemon.pid}/fd`).length;
  await answerOf(guest, `GET ${path} HTTP/1.0\r\n\r\n`);
  const before = descriptors();
  const brief = guests.one();
  await daemon.register('brief', brief.pid);
  const kept = Array.from({ length: 5 }, () => {
    const socket = brief.connect(daemon.socket);
    socket.write('GET http://lxd/1.0/events HTTP/1.1\r\nHost: lxd\r\n\r\n');
    return socket;
  });
  await eventually('they are open', () => descriptors() >= before + kept.length);
  brief.kill();
  await Promise.all(kept.map((socket) => ended(socket)));
  await eventually('as many descriptors as before', () => descriptors() <= before);
});

/** The status of a request whose head comes in two pieces. */
async function statusOfHead(lines: readonly string[]): Promise<string | undefined> {
  const socket = guest.connect(daemon.socket);
  const text = `GET ${path} HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\n${lines.join('\r\n')}`;
  const answer = exchange(socket, text, (received) => received.includes('\r\n\r\n'));
  const another = await answerOf(guest, `GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`); // it has read the first piece
  assert.equal(another.body, 'mine');
  if (socket.writable) socket.write('\r\n\r\n');
  return /^HTTP\/1\.1 (\d+)/.exec(await answer)?.[1];
}

test('the head of a request, odd or not, in pieces or not: 128 KiB, and 96 headers beside Host and Connection', async () => {
  const line = (length: number): string => `X-Long: ${'x'.repeat(length)}`;
  const lines = (count: number): string[] => Array.from({ length: count }, (_, n) => `X-${n}: y`);
  const whole = async (given: readonly string[], version = 'HTTP/1.1'): Promise<string | undefined> => {
    const { head } = await answerOf(guest, `GET ${path} ${version}\r\n${given.join('\r\n')}\r\n\r\n`);
    return /^HTTP\/1\.1 (\d+)/.exec(head)?.[1];
  };
  assert.equal(await statusOfHead([line(120_000)]), '200');
  assert.equal(await statusOfHead([line(132_000)]), '431');
  assert.equal(await whole([line(120_000)]), '200');
  assert.equal(await whole([line(132_000)]), '431');
  for (const version of ['HTTP/1.1', 'HTTP/1.0']) {
    assert.equal(await whole(lines(96), version), '200');
    assert.equal(await whole(['Host: lxd', 'Connection: keep-alive', ...lines(96)], version), '200');
    assert.equal(await whole(lines(97), version), '431');
  }
  assert.equal(await statusOfHead(lines(96)), '200');
  assert.equal(await statusOfHead(lines(600)), '431');
  assert.equal((await answerOf(guest, `GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`)).body, 'mine');
});
