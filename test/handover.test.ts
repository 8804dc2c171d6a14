import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { type TestDaemon, withDaemon } from './support/daemon.js';
import { EventStream } from './support/event-stream.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask, exchange, Session } from './support/http.js';

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

/** Listens, and again whenever it is told to, until it has heard of so many changes. Gives them, and the close codes. */
async function heardOf(count: number, guest: Guest, socket: string): Promise<{ values: unknown[]; codes: number[] }> {
  const values: unknown[] = [];
  const codes: number[] = [];
  for (let since = ''; values.length < count; ) {
    const stream = await EventStream.webSocket(guest, socket, since);
    await stream.atLeast(count - values.length);
    if (stream.events.length + values.length < count) codes.push(await stream.closed);
    else stream.end();
    values.push(...stream.events.map(({ metadata }) => metadata['value']));
    const last = stream.events.at(-1)?.timestamp;
    if (last !== undefined) since = `?since=${last}`;
  }
  return { values, codes };
}

test('listeners are told 1012, come back, and have heard every change once, in order', async () => {
  await withDaemon(async (daemon) => {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.n': '0' });
    const operator = new Operator(() => daemon);
    const first = await operator.request('GET', '/1.0');
    assert.equal(first.status, 200);
    const hearing = heardOf(30, guest, daemon.socket);
    for (let n = 1; n <= 30; n++) {
      await operator.metadata('PATCH', '/1.0/instances/c1', { config: { 'user.n': `${n}` } });
      if (n % 10 === 0 && n < 30) assert.equal(await daemon.takeOver(), 0);
    }
    const { values, codes } = await hearing;
    assert.deepEqual(
      values,
      Array.from({ length: 30 }, (_, n) => `${n + 1}`),
    );
    assert.deepEqual(codes, [1012, 1012]);
  });
});

const unknown = { status: 500, body: 'Process ID not found in container\n' };

function held(daemon: TestDaemon): Promise<number> {
  return daemon.metric('devlxd_guest_requests_held');
}

test('who is not registered after a takeover either is told so, and asks anew on another connection', async () => {
  await withDaemon(
    async (daemon) => {
      const guest = guests.one();
      const session = new Session(guest.connect(daemon.socket));
      const asked = session.ask('/1.0');
      await eventually('it waits', async () => (await held(daemon)) === 1);
      assert.equal(await daemon.takeOver(), 0);
      const { status, body, headers } = await asked;
      assert.deepEqual({ status, body }, unknown);
      assert.equal(headers['connection'], 'close');
      await daemon.register('c1', guest.pid);
      await session.close();
      assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 200);
    },
    ['--limit-hold-seconds', '1'],
  );
});

test('who waits to be known when a daemon ends for good is told so', async () => {
  await withDaemon(
    async (daemon) => {
      const asked = ask(guests.one().connect(daemon.socket), '/1.0');
      await eventually('it waits', async () => (await held(daemon)) === 1);
      assert.equal(await daemon.end(), 0);
      const { status, body } = await asked;
      assert.deepEqual({ status, body }, unknown);
    },
    ['--limit-hold-seconds', '60'],
  );
});

test('who waits because it asks too often goes along as well', async () => {
  await withDaemon(
    async (daemon) => {
      const guest = guests.one();
      await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
      const sessions = Array.from({ length: 10 }, () => new Session(guest.connect(daemon.socket)));
      const ask = async (): Promise<void> => {
        const answers = await Promise.all(sessions.map((session) => session.ask('/1.0/config/user.mark')));
        for (const { body } of answers) assert.equal(body, 'here');
      };
      await ask(); // that was the burst
      const waiting = ask();
      await eventually('they wait', async () => {
        return (await daemon.metric('devlxd_limit_hits_total', { limit: 'requests-per-second' })) >= 5;
      });
      const leaving = daemon.takeOver();
      await waiting;
      await ask();
      assert.equal(await leaving, 0);
      await ask();
      await Promise.all(sessions.map((session) => session.close()));
    },
    ['--limit-requests-per-second', '20', '--limit-request-burst', '10'],
  );
});

test('operators who follow are told 1012', async () => {
  await withDaemon(async (daemon) => {
    const follower = await new Operator(() => daemon).follow();
    assert.equal(await daemon.takeOver(), 0);
    assert.equal(await follower.closed, 1012);
  });
});

const large = `${'0123456789'.repeat(400_000)}.`;

test('an answer that is being read slowly comes whole from the daemon that goes, and delays nobody', async () => {
  await withDaemon(
    async (daemon) => {
      const guest = guests.one();
      await daemon.register('c1', guest.pid, { 'user.large': large, 'user.mark': 'here' });
      const slow = guest.connect(daemon.socket).setEncoding('latin1');
      slow.write('GET /1.0/config/user.large HTTP/1.1\r\nHost: lxd\r\n\r\n');
      await once(slow, 'readable');
      let left = false;
      const leaving = daemon.takeOver().then((code) => {
        left = true;
        return code;
      });
      await eventually('the new one answers', () => daemon.log.filter(({ msg }) => msg === 'ready').length === 2);
      assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.mark')).body, 'here');
      assert.equal(left, false);
      const received = await exchange(slow, '', (text) => text.endsWith('.'));
      assert.equal(received.slice(received.indexOf('\r\n\r\n') + 4), large);
      assert.equal(await leaving, 0);
    },
    ['--limit-drain-seconds', '30'],
  );
});

test('a change that a guest has asked for is answered before the daemon goes', async () => {
  await withDaemon(async (daemon) => {
    const guest = guests.one();
    await daemon.register('c1', guest.pid);
    const body = '{"state":"Ready"}';
    const asking = guest.connect(daemon.socket);
    // The body comes when the daemon has begun to stop.
    asking.write(`PATCH /1.0 HTTP/1.1\r\nHost: lxd\r\nContent-Length: ${body.length}\r\n\r\n`);
    const other = new Session(guest.connect(daemon.socket));
    await other.ask('/1.0'); // the head of the first has been read by now, too
    const leaving = daemon.takeOver();
    await eventually('it is asked to go', () => daemon.log.some(({ msg }) => msg === 'another devlxd takes over'));
    const answer = await exchange(asking, body, (text) => text.includes('\r\n\r\n'));
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.equal(await leaving, 0);
    assert.match((await other.ask('/1.0')).body, /"state":"Ready"/);
    await other.close();
  });
});
