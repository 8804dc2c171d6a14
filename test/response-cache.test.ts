import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { AnswerLine } from './support/answer-line.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests, needsGuestUsers } from './support/guest-processes.js';

// Requests that come again are answered without JavaScript, by the gate. Nothing else may be different.

let daemon: TestDaemon;
let guests: Guests;

before(async () => {
  daemon = await TestDaemon.startChanged('counting-handlers.js');
  guests = new Guests();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

let count = 0;
async function registered(config: Record<string, string>): Promise<{ guest: Guest; name: string }> {
  const guest = guests.one();
  const name = `k${++count}`;
  await daemon.register(name, guest.pid, config);
  return { guest, name };
}

const requestFor = (key: string) => `GET /1.0/config/${key} HTTP/1.1\r\nHost: lxd\r\n\r\n`;

class Line extends AnswerLine {
  constructor(guest: Guest, uid?: number) {
    super(guest.connect(daemon.socket, uid === undefined ? {} : { uid }));
  }

  async value(key: string): Promise<string> {
    return (await this.ask(requestFor(key))).split('\r\n\r\n')[1] ?? '';
  }
}

/** Calls of handlers since the last time. */
async function calls(): Promise<number> {
  const { guest } = await registered({});
  const marker = `user.marker${count}`;
  await new Line(guest).ask(requestFor(marker));
  const isHandler = ({ msg }: { msg: string }) => msg === 'handler';
  await eventually('the log has it', () => daemon.log.some(({ parameter }) => parameter === marker));
  const sinceThen = daemon.log.filter(isHandler).length - 1;
  daemon.log.splice(0);
  return sinceThen;
}

test('a request that comes again is answered the same, and no handler runs', async () => {
  const { guest } = await registered({ 'user.a': 'value', 'cloud-init.user-data': 'ünï\n' });
  await calls();
  const paths = [
    '/',
    '/1.0',
    '/1.0/config',
    '/1.0/config/user.a',
    '/1.0/config/cloud-init.user-data',
    '/1.0/meta-data',
  ];
  const errors = [
    '/1.0/devices',
    '/1.0/config/user.none',
    '/1.0/config/limits.cpu',
    '/nothing',
    '/1.0/config/user.%zz',
  ];
  const requests = [...paths, ...errors].map((path) => `GET ${path} HTTP/1.1\r\nHost: lxd\r\nX-Case: Kept\r\n\r\n`);
  const first = await Promise.all(requests.map((request) => new Line(guest).ask(request)));
  const before = await calls();
  assert.ok(before >= paths.length, String(before));
  const line = new Line(guest);
  for (let n = 0; n < 3; n++) {
    for (const [index, request] of requests.entries()) assert.equal(await line.ask(request), first[index]);
  }
  assert.deepEqual(await Promise.all(requests.map((request) => new Line(guest).ask(request))), first);
  assert.equal(await calls(), 0);
});

test('a change is seen by the next request, on every connection', async () => {
  const { guest, name } = await registered({ 'user.a': '0', 'user.b': 'b' });
  const lines = [1, 2, 3].map(() => new Line(guest));
  for (let n = 1; n <= 50; n++) {
    for (const line of lines) assert.equal(await line.value('user.a'), String(n - 1));
    await daemon.set(name, { 'user.a': String(n) });
  }
  await daemon.set(name, { 'security.devlxd': 'false' });
  for (const line of lines) assert.equal(await line.value('user.a'), 'Forbidden\n');
  await daemon.set(name, { 'security.devlxd': '' });
  for (const line of lines) assert.equal(await line.value('user.a'), '50');
});

test('a change of a profile is seen as well', async () => {
  const { guest } = await registered({});
  const line = new Line(guest);
  for (const value of ['one', 'two', '']) {
    await daemon.client.request('PATCH', '/1.0/profiles/default', { config: { 'user.p': value } });
    for (let n = 0; n < 2; n++) assert.equal(await line.value('user.p'), value || 'Not Found\n');
  }
});

test('what the guest itself changes is seen as well', async () => {
  const { guest } = await registered({});
  const line = new Line(guest);
  const state = async () =>
    JSON.parse((await line.ask('GET /1.0 HTTP/1.1\r\nHost: x\r\n\r\n')).split('\r\n\r\n')[1] ?? '').state;
  assert.equal(await state(), 'Started');
  assert.equal(await state(), 'Started');
  await line.ask('PATCH /1.0 HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n{"state":"Ready"}');
  assert.equal(await state(), 'Ready');
});

test('the same bytes get each instance its own answer, also one that has taken another’s place', async () => {
  const crowd = await Promise.all(Array.from({ length: 20 }, (_, n) => registered({ 'user.mark': `mark ${n}` })));
  for (let round = 0; round < 3; round++) {
    await Promise.all(
      crowd.map(async ({ guest }, n) => assert.equal(await new Line(guest).value('user.mark'), `mark ${n}`)),
    );
  }
  for (const { name } of crowd) await daemon.stopInstance(name);
  for (const { guest } of crowd) {
    const line = new Line(guest);
    const late = registered({ 'user.mark': 'late' });
    assert.equal(await new Line((await late).guest).value('user.mark'), 'late');
    line.socket.destroy();
  }
});

test('another user of the instance does not get what its root got', needsGuestUsers, async () => {
  const { guest, name } = await registered({ 'user.a': 'secret' });
  const [root, user] = [new Line(guest), new Line(guest, 1000)];
  for (let n = 0; n < 3; n++) {
    assert.equal(await root.value('user.a'), 'secret');
    assert.equal(await user.value('user.a'), 'Access denied for non-root user\n');
  }
  await daemon.set(name, { 'security.devlxd.nonroot': 'true' });
  assert.equal(await user.value('user.a'), 'secret');
  await daemon.set(name, { 'security.devlxd.nonroot': 'false' });
  assert.equal(await root.value('user.a'), 'secret');
  assert.equal(await user.value('user.a'), 'Access denied for non-root user\n');
});

test('answers come in the order of the requests, also to a guest that reads late', async () => {
  const values = { 'user.a': 'a', 'user.b': 'b'.repeat(1000), 'user.c': 'c', 'user.big': 'x'.repeat(300_000) } as const;
  const { guest } = await registered(values);
  const keys = ['user.a', 'user.b', 'user.c'] as const;
  for (const key of keys) await new Line(guest).value(key);
  const line = new Line(guest);
  line.socket.pause();
  // The last does not fit into what the kernel holds for a reader; more requests would be refused then.
  const asked = [...Array.from({ length: 40 }, (_, n) => keys[((n * 7) % 11) % 3] ?? 'user.a'), 'user.big'] as const;
  for (const key of asked) await new Promise((resolve) => line.socket.write(requestFor(key), resolve));
  line.socket.resume();
  for (const key of asked) assert.equal((await line.next()).split('\r\n\r\n')[1], values[key]);
  assert.equal(await line.value('user.c'), 'c');
});

test('requests in pieces, several at once, and with bodies are the parser’s', async () => {
  const { guest } = await registered({ 'user.a': 'a', 'user.b': 'b' });
  const [a, b] = [requestFor('user.a'), requestFor('user.b')];
  const [line, other] = [new Line(guest), new Line(guest)];
  const body = async () => (await line.next()).split('\r\n\r\n')[1];
  assert.equal(await line.value('user.a'), 'a');
  for (let cut = 1; cut < a.length; cut++) {
    for (const one of [line, new Line(guest)]) {
      one.socket.write(a.slice(0, cut));
      await other.value('user.b'); // the daemon has seen the first piece by now
      one.socket.write(a.slice(cut));
      assert.match(await one.next(), /\r\n\r\na$/, `cut at ${cut}`);
    }
  }
  line.socket.write(b + a + b);
  assert.deepEqual([await body(), await body(), await body()], ['b', 'a', 'b']);
  // A whole request as the body of another is that other's body.
  assert.equal(await other.value('user.a'), 'a');
  other.socket.write(`POST /1.0 HTTP/1.1\r\nHost: x\r\nContent-Length: ${a.length}\r\n\r\n`);
  other.socket.write(a);
  assert.match(await other.next(), /^HTTP\/1\.1 501 /);
  assert.equal(await other.value('user.b'), 'b');
  const third = new Line(guest);
  assert.equal(await third.value('user.a'), 'a');
  const closing = b.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
  for (const line of [new Line(guest), third]) {
    assert.match(await line.ask(closing), /\r\n\r\nb$/);
    await line.closed;
  }
});

test('a connection that is used stays, one that is not is closed', async () => {
  const { guest } = await registered({ 'user.a': 'a' });
  const [used, idle] = [new Line(guest), new Line(guest)];
  for (const line of [used, idle]) assert.equal(await line.value('user.a'), 'a');
  let closed = false;
  idle.closed.then(() => {
    closed = true;
  });
  // uWebSockets gives an idle connection 10 s, in steps of 4 s.
  for (const deadline = Date.now() + 30_000; !closed && Date.now() < deadline; await pause(500)) {
    assert.equal(await used.value('user.a'), 'a');
  }
  assert.ok(closed);
  assert.equal(await used.value('user.a'), 'a');
});
