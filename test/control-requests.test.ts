import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { socketPaths } from '../src/config/paths.js';
import { patch, request, requests } from './support/control-requests.js';
import { Conversation } from './support/conversation.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Operator } from './support/host.js';

// Requests are read in two ways: at once where they are plain and whole, and by node:http. Each of these is sent on a
// connection as it is, and on one that node:http has read since a HEAD came on it.

let daemon: TestDaemon;
let path: string;
let operator: Operator;
/** of these nothing is asked any more */
let idle: readonly Conversation[];

before(async () => {
  // 0: a request that is never taken to be answered would keep the daemon from ending.
  daemon = await TestDaemon.start(['--limit-drain-seconds', '0', '--limit-control-body', '60000']);
  path = socketPaths(daemon.runDir).control;
  operator = new Operator(() => daemon);
  await daemon.create('c1', { 'user.a': '1' });
  await daemon.create('c2');
  await daemon.create('probe');
  idle = await Promise.all([path, path].map((at) => Conversation.begin(at)));
  await idle[0]?.ask(patch);
  await idle[1]?.ask(parsed, endOfHead);
});

after(async () => {
  assert.equal(await daemon.end(), 0);
  await daemon.remove();
});

const parsed = 'HEAD /1.0 HTTP/1.1\r\nHost: x\r\n\r\n';
const endOfHead = (answer: string): boolean => answer.endsWith('\r\n\r\n');

let probing: Promise<void> = Promise.resolve();
let next: Promise<void> | undefined;

/**
 * Whatever was sent before has been read and answered then: the daemon accepts a connection before it answers the first of
 * these changes, reads it before the second, has written what it asked for before the third, and its answer is here with the fourth.
 */
function settle(): Promise<void> {
  next ??= probing.then(() => {
    next = undefined;
    probing = probe();
    return probing;
  });
  return next;
}

async function probe(): Promise<void> {
  for (const n of ['1', '2', '3', '4']) await daemon.set('probe', { 'user.n': n });
}

interface Outcome {
  readonly answers: string;
  /** what the next request on the connection is answered, or that it is closed */
  readonly next: string;
}

/** Sends the parts, each when the one before has been read. */
async function outcome(parts: readonly (string | Buffer)[], first?: string): Promise<Outcome> {
  const talk = await Conversation.begin(path);
  if (first !== undefined) await talk.ask(first, endOfHead);
  const from = talk.received.length;
  for (const part of parts) {
    await talk.send(part);
    await settle();
  }
  const answers = comparable(talk.received.slice(from));
  const closes = talk.closed || /^connection: close/im.test(answers);
  if (answers !== '' && !closes) await talk.ask('GET /1.0/instances/nobody HTTP/1.1\r\nHost: next\r\n\r\n');
  const next = closes ? 'closed' : comparable(talk.received.slice(from)).slice(answers.length);
  talk.end();
  return { answers, next };
}

/** Without what no two answers have in common. */
function comparable(answers: string): string {
  return answers
    .replace(/^Date: .*\r\n/gm, '')
    .replace(/(?<=^HTTP\/1\.1 .*\r\n)(?:[\w-]+: .*\r\n)+/gm, inOrder)
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replace(/[0-9a-f]{64}/g, 'HASH')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME');
}

/** The lines of a head may come in any. */
function inOrder(head: string): string {
  return head
    .split(/(?<=\n)/)
    .sort()
    .join('');
}

async function same(...parts: readonly (string | Buffer)[]): Promise<Outcome> {
  const [direct, byNode] = await Promise.all([outcome(parts), outcome(parts, parsed)]);
  assert.deepEqual(direct, byNode, JSON.stringify(parts.map(String)).slice(0, 400));
  return direct;
}

/** Some at the same time. */
async function inTurns<Item>(items: readonly Item[], ask: (item: Item) => Promise<Outcome>): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let from = 0; from < items.length; from += 64)
    outcomes.push(...(await Promise.all(items.slice(from, from + 64).map(ask))));
  return outcomes;
}

test('each request is answered in the same way, however it is read', async () => {
  const outcomes = await inTurns(requests, (bytes) => same(bytes));
  for (const status of [200, 202, 400, 404, 412, 413, 431, 501])
    assert.ok(
      outcomes.some(({ answers }) => answers.startsWith(`HTTP/1.1 ${status} `)),
      `${status}`,
    );
});

test('in whatever pieces it comes', async () => {
  const bytes = Buffer.from(patch);
  const cuts = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1);
  const all = await inTurns(cuts, (cut) => same(bytes.subarray(0, cut), bytes.subarray(cut)));
  for (const { answers, next } of all) {
    assert.match(answers, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(next, /^HTTP\/1\.1 404 Not Found\r\n/);
  }
});

test('and several are answered one after the other, in their order', async () => {
  const none = request({ line: 'GET /1.0/instances/none' });
  const list = request({ line: 'GET /1.0/instances' });
  for (const several of [
    [patch, none],
    [none, patch, none],
    [patch, list, patch],
    [list, list, patch],
  ]) {
    const { answers } = await same(several.join(''));
    assert.equal(answers.match(/HTTP\/1\.1 \d+/g)?.length, several.length);
    await same(...several);
    const talk = await Conversation.begin(path); // not waiting for what is before it
    for (const part of several) await talk.send(part);
    await eventually('all are answered', () => comparable(talk.received) === answers);
    talk.end();
  }
  await same(`${patch}x`);
  await same(`${patch}${none.slice(0, 20)}`, none.slice(20));
});

test('a client that says that it asks for nothing more is answered', async () => {
  for (const asked of [patch, request({ line: 'GET /1.0/instances?recursion=1' })]) {
    const talk = await Conversation.begin(path);
    talk.socket.end(asked);
    await eventually('the daemon ends it', () => talk.closed);
    assert.match(talk.received, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\}\n/);
  }
});

test('and one that ends in the middle of a request is told so', async () => {
  for (const cut of [10, patch.length - 1]) {
    const talk = await Conversation.begin(path);
    talk.socket.end(patch.slice(0, cut));
    await eventually('the daemon ends it', () => talk.closed);
    assert.match(talk.received, /^HTTP\/1\.1 400 Bad Request\r\n/);
  }
});

test('a list is sent as its reader takes it, and the connection goes on', async () => {
  const names = Array.from({ length: 1500 }, (_, n) => `{"name":"m${n}"}\n`).join('');
  const type = { 'content-type': 'application/x-ndjson' };
  await operator.metadata('POST', '/1.0/instances', names, type);
  const list = request({ line: 'GET /1.0/instances?recursion=1' });
  const [reads, leaves] = [await Conversation.begin(path), await Conversation.begin(path)];
  reads.socket.pause();
  leaves.socket.pause();
  await Promise.all([reads.send(list), leaves.send(list)]);
  await settle();
  await reads.send(patch); // waits, unread, for the end of the list
  await settle();
  leaves.end();
  reads.socket.resume();
  await eventually('both are answered', () => (reads.received.match(/HTTP\/1\.1 200/g) ?? []).length === 2);
  assert.equal(reads.received.match(/"name":"m\d+"/g)?.length, 1500);
  assert.match(await reads.ask(request({})), /^HTTP\/1\.1 200 OK\r\n/);
  reads.end();
});

test('an idle connection is closed after a while, as one is that node:http reads', async () => {
  for (const talk of idle) await eventually('it is closed', () => talk.closed);
});

test('an idle connection goes to the next process, however it is read', async () => {
  const [asked, byNode, silent] = await Promise.all([path, path, path].map((at) => Conversation.begin(at)));
  await asked?.ask(patch);
  await byNode?.ask(parsed, endOfHead);
  await settle();
  assert.equal(await daemon.takeOver(), 0);
  for (const talk of [asked, byNode, silent]) {
    assert.match((await talk?.ask(patch)) ?? '', /^HTTP\/1\.1 200 OK\r\n/);
    talk?.end();
  }
});
