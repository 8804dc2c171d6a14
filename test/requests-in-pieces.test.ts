import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Line } from './support/line.js';
import { firsts, get, head, patch, refused, seconds, state } from './support/request-kinds.js';

// On a connection that is kept, after whatever request, the next one is answered as on a fresh connection, in however
// many pieces it comes, and what is no request is refused.

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  daemon = await TestDaemon.start(['--limit-requests-per-second', '0', '--limit-stored-requests-per-second', '0']);
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.mark': 'value', 'user.big': 'b'.repeat(400_000) });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** Makes sure that the daemon has read what was written so far. */
async function seen(other: Line): Promise<void> {
  await other.ask(get);
}

interface Cut {
  readonly request: string;
  readonly answer: RegExp;
  readonly at: number;
}

const cuts: readonly Cut[] = Object.values(seconds).flatMap(([request, answer]) =>
  Array.from({ length: request.length }, (_, at) => ({ request, answer, at })),
);

/** A connection on which this was asked and answered. */
async function connectionAfter(first: string, answers: number): Promise<Line> {
  const line = new Line(guest.connect(daemon.socket));
  if (first.startsWith('HEAD')) line.expectHead();
  if (first !== '') line.socket.write(first);
  for (let n = 0; n < answers; n++) await line.next();
  return line;
}

async function inPieces(lines: readonly Line[], some: readonly Cut[], other: Line): Promise<void> {
  for (const [n, { request, at }] of some.entries()) if (at > 0) lines[n]?.socket.write(request.slice(0, at));
  await seen(other);
  for (const [n, { request, at }] of some.entries()) lines[n]?.socket.write(request.slice(at));
  for (const [n, { request, answer, at }] of some.entries())
    assert.match((await lines[n]?.next()) ?? '', answer, `${JSON.stringify(request)} cut at ${at}`);
}

for (const [what, [first, answers]] of Object.entries(firsts)) {
  test(`after ${what}: each request, in two pieces, cut at every byte`, async () => {
    const other = await connectionAfter('', 0);
    for (let from = 0; from < cuts.length; from += 100) {
      const some = cuts.slice(from, from + 100);
      const lines = await Promise.all(some.map(() => connectionAfter(first, answers)));
      await inPieces(lines, some, other);
      for (const { socket } of lines) socket.destroy();
    }
    other.socket.destroy();
  });
}

test('requests of all kinds in one segment are answered one after the other', async () => {
  const line = new Line(guest.connect(daemon.socket));
  const all = [firsts, seconds].flatMap((table) => Object.values(table).map(([request]) => request));
  const kept = all.filter((request) => !request.includes('HTTP/1.0\r\n\r\n') && !request.startsWith('HEAD'));
  line.socket.write(kept.join(''));
  for (const request of kept) {
    const answers = request === get + get || request === patch + get ? 2 : request === '' ? 0 : 1;
    for (let n = 0; n < answers; n++) assert.match(await line.next(), /^HTTP\/1\.1 \d+ /, request);
  }
  assert.match(await line.ask(get), /\r\n\r\nvalue$/);
  line.socket.destroy();
});

for (const [what, [request, status]] of Object.entries(refused)) {
  test(`${what}: ${status} and the end, on a fresh connection, on a kept one, and behind another request`, async () => {
    const [fresh, kept, behind, slow] = [1, 2, 3, 4].map(() => new Line(guest.connect(daemon.socket))) as [
      Line,
      Line,
      Line,
      Line,
    ];
    await kept.ask(patch);
    behind.socket.write(patch + request + get);
    assert.match(await behind.next(), /^HTTP\/1\.1 200 /);
    slow.socket.write(request.slice(0, 12));
    assert.match(await kept.ask(request), new RegExp(`^HTTP/1\\.1 ${status} `));
    slow.socket.write(request.slice(12));
    fresh.socket.write(request);
    for (const line of [fresh, behind, slow]) assert.match(await line.next(), new RegExp(`^HTTP/1\\.1 ${status} `));
    for (const line of [fresh, kept, behind, slow]) await line.closed;
    assert.equal(behind.unread, '');
  });
}

test('one length twice, empty lines before a request, and an unknown but regular header are no fault', async () => {
  const line = new Line(guest.connect(daemon.socket));
  const twice = patch.replace(
    '\r\n\r\n',
    () => `\r\nContent-Length: ${state.length}\r\nX-!#$%&'*+.^_\`|~: \xff\t\r\n\r\n`,
  );
  assert.match(await line.ask(`\r\n\r\n${twice}`), /^HTTP\/1\.1 200 /);
  assert.match(await line.ask(`\n${get}`), /\r\n\r\nvalue$/);
  line.socket.destroy();
});

for (const sign of "!#$%&'*+.^_`|~-") {
  test(`a header whose name has ${sign}: answered`, async () => {
    const line = new Line(guest.connect(daemon.socket));
    for (let n = 0; n < 2; n++)
      assert.match(await line.ask(get.replace('Host: x', () => `X${sign}: y\r\nHost: x`)), /value$/);
    line.socket.destroy();
  });
}

test('HTTP/1.0: the connection ends after the answer, unless keep-alive is asked for and confirmed', async () => {
  const line = new Line(guest.connect(daemon.socket));
  const old = 'GET /1.0/config/user.mark HTTP/1.0\r\n';
  for (let n = 0; n < 3; n++) {
    assert.match(await line.ask(`${old}Connection: keep-alive\r\n\r\n`), /^Connection: keep-alive\r$[\s\S]*value$/m);
  }
  assert.doesNotMatch(await line.ask(`${old}\r\n`), /^Connection: keep-alive/m);
  await line.closed;
});

test('Connection: close, in whatever words: answered, from the cache as well, and closed', async () => {
  for (const words of ['close', 'Close', 'keep-alive, close', 'close, TE', 'close\r\nConnection: keep-alive']) {
    for (let n = 0; n < 3; n++) {
      const line = new Line(guest.connect(daemon.socket));
      assert.match(await line.ask(get.replace('\r\n\r\n', `\r\nConnection: ${words}\r\n\r\n`)), /\r\n\r\nvalue$/);
      await line.closed;
    }
  }
  const line = new Line(guest.connect(daemon.socket));
  for (let n = 0; n < 2; n++)
    assert.match(await line.ask(get.replace('\r\n\r\n', '\r\nConnection: other\r\n\r\n')), /value$/);
  line.socket.destroy();
});

const short = 'GET / HTTP/1.1\r\n\r\n';

test('a request in pieces that the cache answers: what stands behind it is looked at from its beginning', async () => {
  const other = await connectionAfter(get, 1);
  const inTwo = async (at: number, behind: string): Promise<Line> => {
    const line = new Line(guest.connect(daemon.socket));
    line.socket.write(get.slice(0, at));
    await seen(other);
    line.socket.write(get.slice(at) + behind);
    assert.match(await line.next(), /value$/);
    return line;
  };
  for (const at of [1, 30, get.length - 3, get.length - 1]) {
    const line = await inTwo(at, short);
    assert.match(await line.next(), /\["\/1.0"\]\n$/);
    line.socket.destroy();
    assert.match(await (await inTwo(at, 'zz\r\n')).next(), /^HTTP\/1\.1 400 /);
  }
  const kept = await inTwo(30, '');
  await daemon.takeOver();
  assert.match(await kept.ask(short), /\["\/1.0"\]\n$/);
  for (const { socket } of [kept, other]) socket.destroy();
});

test('what is refused behind answers that fill the socket is refused when they have been read', async () => {
  const large = get.replace('user.mark', 'user.big');
  for (const refusal of ['zz\r\n', `${head}A : b\r\n\r\n`]) {
    const line = new Line(guest.connect(daemon.socket));
    line.socket.pause();
    line.socket.write(large.repeat(3) + refusal);
    const other = await connectionAfter(get, 1);
    for (let n = 0; n < 20; n++) await seen(other);
    other.socket.destroy();
    line.socket.resume();
    for (let n = 0; n < 3; n++) assert.match(await line.next(), /^HTTP\/1\.1 200 /);
    assert.match(await line.next(), /^HTTP\/1\.1 400 /);
    await line.closed;
  }
});

test('a takeover keeps the idle connection, whatever was asked on it', async () => {
  const lines = await Promise.all(Object.values(firsts).map(([request, answers]) => connectionAfter(request, answers)));
  await daemon.takeOver();
  for (const line of lines) assert.match(await line.ask(get), /\r\n\r\nvalue$/);
  for (const line of lines) line.socket.destroy();
});
