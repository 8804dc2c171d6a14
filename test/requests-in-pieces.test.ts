import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Line } from './support/line.js';

// On a connection that is kept, after whatever request, the next one is answered as on a fresh connection, in however
// many pieces it comes, and what is no request is refused.

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  daemon = await TestDaemon.start(['--limit-requests-per-second', '0', '--limit-stored-requests-per-second', '0']);
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.a': 'value', 'user.big': 'b'.repeat(400_000) });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const state = '{"state":"Ready"}';
const get = 'GET /1.0/config/user.a HTTP/1.1\r\nHost: x\r\n\r\n';
const patch = `PATCH /1.0 HTTP/1.1\r\nHost: x\r\nContent-Length: ${state.length}\r\n\r\n${state}`;
const chunked = `PATCH /1.0 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8;a=b\r\n{"state"\r\n9\r\n:"Ready"}\r\n0\r\nX: y\r\n\r\n`;

/** What comes first on a connection, and how many answers it has. */
const firsts: Readonly<Record<string, readonly [string, number]>> = {
  nothing: ['', 0],
  GET: [get, 1],
  PATCH: [patch, 1],
  'PATCH in chunks': [chunked, 1],
  HEAD: [get.replace('GET', 'HEAD'), 1],
  'a long GET': [get.replace('\r\n\r\n', `\r\nX-Long: ${'x'.repeat(1100)}\r\n\r\n`), 1],
  'a GET with a body': [get.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\nGET /'), 1],
  'a large answer': [get.replace('user.a', 'user.big'), 1],
  '404': [get.replace('user.a', 'user.none'), 1],
  '501': [get.replace('GET', 'DELETE'), 1],
  '501 with a body': [`${get.replace('GET', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 4\r\n\r\n')}GET `, 1],
  'two at once': [get + get, 2],
  'PATCH and GET at once': [patch + get, 2],
  'an odd one': ['GET http://lxd/1.0/config/user.a HTTP/1.1\r\n\r\n', 1],
  'an HTTP/1.0 that is kept': ['GET /1.0/config/user.a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', 1],
};

const seconds: Readonly<Record<string, readonly [request: string, answer: RegExp]>> = {
  plain: [get, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/],
  'in absolute form': [get.replace('/1.0', 'http://lxd/1.0'), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/],
  'without Host': ['GET /1.0/config/user.a HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/],
  'with bare line feeds': [get.replaceAll('\r', ''), /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/],
  'of HTTP/1.0': ['GET /1.0/config/user.a HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nvalue$/],
  'with Content-Length: 0': [
    'POST /1.0/ubuntu-pro/token HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n',
    /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*Guest attachment not allowed\n$/,
  ],
  'with a body': [patch, /^HTTP\/1\.1 200 OK\r\n/],
  'with a body in chunks': [chunked, /^HTTP\/1\.1 200 OK\r\n/],
};

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

const head = 'GET /1.0 HTTP/1.1\r\nHost: x\r\n';
const refused: Readonly<Record<string, readonly [string, number]>> = {
  'a space before the colon': [`${head}A : b\r\n\r\n`, 400],
  'a folded line': [`${head}A: b\r\n c\r\n\r\n`, 400],
  'a line that begins with a tab': [`${head}A: b\r\n\tc: d\r\n\r\n`, 400],
  'a bare CR in a value': [`${head}A: b\rc\r\n\r\n`, 400],
  'a bare CR in the request line': ['GET /1.0\r HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'NUL in a value': [`${head}A: b\0c\r\n\r\n`, 400],
  'NUL in a name': [`${head}A\0: b\r\n\r\n`, 400],
  'NUL in the target': ['GET /1.0\0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'a control character': [`${head}A: b\x01\r\n\r\n`, 400],
  DEL: [`${head}A: \x7f\r\n\r\n`, 400],
  'an empty name': [`${head}: b\r\n\r\n`, 400],
  'a name that is no token': [`${head}A(b): c\r\n\r\n`, 400],
  'a line without a colon': [`${head}AB\r\n\r\n`, 400],
  'two spaces in the request line': ['GET  /1.0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'a space in the target': ['GET /1.0 x HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'a space behind the version': ['GET /1.0 HTTP/1.1 \r\nHost: x\r\n\r\n', 400],
  'a tab in the request line': ['GET\t/1.0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'no version': ['GET /1.0\r\n\r\n', 400],
  'HTTP/2.0': ['GET /1.0 HTTP/2.0\r\nHost: x\r\n\r\n', 400],
  'HTTP/0.9': ['GET /1.0 HTTP/0.9\r\nHost: x\r\n\r\n', 400],
  'a version in lower case': ['GET /1.0 http/1.1\r\nHost: x\r\n\r\n', 400],
  'a target without a slash': ['GET 1.0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'an authority': ['CONNECT lxd:80 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'a method that is no token': ['G(T /1.0 HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  'two hosts': [`${head}Host: y\r\n\r\n`, 400],
  'two lengths': [`${head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, 400],
  'a list of lengths': [`${head}Content-Length: 5, 5\r\n\r\nhello`, 400],
  'a length and chunks': [`${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  'chunks and a length': [`${head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`, 400],
  'a negative length': [`${head}Content-Length: -1\r\n\r\n`, 400],
  'a length with a sign': [`${head}Content-Length: +1\r\n\r\nx`, 400],
  'a hexadecimal length': [`${head}Content-Length: 0x1\r\n\r\nx`, 400],
  'an empty length': [`${head}Content-Length:\r\n\r\n`, 400],
  'a length of twenty digits': [`${head}Content-Length: 99999999999999999999\r\n\r\n`, 400],
  'chunks twice': [`${head}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`, 400],
  'chunks that are not last': [`${head}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`, 400],
  'chunks in HTTP/1.0': ['PATCH /1.0 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
  'another coding': [`${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
  'a size that is none': [`${patch.split('\r\nContent')[0]}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
  'a size with a space': [`${patch.split('\r\nContent')[0]}\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n`, 400],
  'a chunk longer than its size': [
    `${patch.split('\r\nContent')[0]}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n`,
    400,
  ],
};

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
  const old = 'GET /1.0/config/user.a HTTP/1.0\r\n';
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

test('a takeover keeps the idle connection, whatever was asked on it', async () => {
  const lines = await Promise.all(Object.values(firsts).map(([request, answers]) => connectionAfter(request, answers)));
  await daemon.takeOver();
  for (const line of lines) assert.match(await line.ask(get), /\r\n\r\nvalue$/);
  for (const line of lines) line.socket.destroy();
});
