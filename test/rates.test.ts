import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, ended, exchange, Session } from './support/http.js';

const path = '/1.0/config/user.mark';
const burst = 20;
const large = 'x'.repeat(1_000_000);
const upgrade = [
  'GET /1.0/events?since=2020-01-01T00:00:00.000000000Z HTTP/1.1',
  'Host: lxd',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');
const request = `GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`;

for (const kept of ['16384', '0']) {
  describe(`the rate of an instance, with --response-cache ${kept}`, () => {
    let daemon: TestDaemon;
    let guests: Guests;
    before(async () => {
      const rate = ['--limit-requests-per-second', '40', '--limit-request-burst', String(burst)];
      daemon = await TestDaemon.start([...rate, '--response-cache', kept]);
      guests = new Guests();
    });

    after(async () => {
      await guests.close();
      await daemon.remove();
    });

    let count = 0;
    async function registered(): Promise<{ guest: Guest; name: string; mark: string }> {
      const guest = guests.one();
      const name = `r${++count}`;
      await daemon.register(name, guest.pid, { 'user.mark': `mark of ${name}`, 'user.large': large });
      return { guest, name, mark: `mark of ${name}` };
    }

    async function delayed(): Promise<number> {
      return daemon.metric('devlxd_limit_hits_total', { limit: 'requests-per-second' });
    }

    /** An answer that costs so much that the next request has to wait for seconds. */
    async function spend({ guest }: { guest: Guest }): Promise<void> {
      assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.large')).body, large);
    }

    test('who asks too often waits, and another guest does not', async () => {
      const [flood, other] = [await registered(), await registered()];
      await spend(flood);
      const before = await delayed();
      const waiting = ask(flood.guest.connect(daemon.socket), path);
      await eventually('it waits', async () => (await delayed()) > before);
      const neighbour = new Session(other.guest.connect(daemon.socket));
      for (let i = 0; i < burst / 2; i++) assert.equal((await neighbour.ask(path)).body, other.mark);
      assert.equal((await waiting).body, flood.mark);
      await neighbour.close();
    });

    test('new connections wait as well, first come, first served, and nobody is refused', async () => {
      const { guest, mark } = await registered();
      await spend({ guest });
      const before = await delayed();
      const asked = Array.from({ length: 3 * burst }, () => ask(guest.connect(daemon.socket), path));
      for (const answer of await Promise.all(asked)) assert.deepEqual([answer.status, answer.body], [200, mark]);
      assert.ok((await delayed()) > before);
    });

    test('requests that are sent ahead count one by one', async () => {
      const { guest, mark } = await registered();
      const session = new Session(guest.connect(daemon.socket));
      await spend({ guest });
      const before = await delayed();
      assert.equal((await session.ask(path)).body, mark);
      assert.ok((await delayed()) > before);
      await session.close();
    });

    test('odd requests wait', async () => {
      const { guest, mark } = await registered();
      const odd = `GET http://lxd${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`;
      const times = 2 * burst;
      const received = await exchange(guest.connect(daemon.socket), odd.repeat(times), (text) => {
        return text.split(mark).length > times;
      });
      assert.equal(received.split(mark).length - 1, times);
    });

    test('who waits and leaves, or is stopped, leaves nothing behind', async () => {
      const { guest, name, mark } = await registered();
      const descriptors = () => readdirSync(`/proc/${daemon.pid}/fd`).length;
      const before = descriptors();
      await spend({ guest });
      const waiting = Array.from({ length: burst }, () => guest.connect(daemon.socket));
      for (const socket of waiting) socket.write(request);
      for (const socket of waiting.splice(0, burst / 2)) socket.destroy();
      assert.equal((await ask(guest.connect(daemon.socket), path)).body, mark);
      const more = Array.from({ length: burst }, () => guest.connect(daemon.socket));
      for (const socket of more) socket.write(request);
      const closed = Promise.all([...waiting, ...more].map((socket) => ended(socket)));
      await daemon.stopInstance(name);
      await closed;
      await eventually('all descriptors are closed', () => descriptors() <= before);
    });

    test('who has sent too much ahead of the rate is closed, and no one else', async () => {
      const [flood, other] = [await registered(), await registered()];
      await spend(flood);
      const received = await exchange(flood.guest.connect(daemon.socket), request.repeat(3000), () => false);
      assert.ok(received.split(flood.mark).length <= 3000);
      assert.equal((await ask(other.guest.connect(daemon.socket), path)).body, other.mark);
    });
  });
}

/** A test with a daemon and guests of its own. */
function alone(name: string, options: readonly string[], body: (daemon: TestDaemon, guests: Guests) => Promise<void>) {
  test(name, async () => {
    const daemon = await TestDaemon.start([...options]);
    const guests = new Guests();
    try {
      await body(daemon, guests);
    } finally {
      await guests.close();
      await daemon.remove();
    }
  });
}

/** Reads of this instance's connections that have waited. */
async function delayedOf(daemon: TestDaemon, name: string): Promise<number> {
  return daemon.metric('devlxd_instance_limit_hits_total', { instance: name, limit: 'requests-per-second' });
}

for (const kept of ['16384', '0']) {
  const slow = ['--limit-requests-per-second', '1', '--limit-request-burst', '10', '--response-cache', kept];
  alone(`requests one after the other count as well, with --response-cache ${kept}`, slow, async (daemon, guests) => {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'mark' });
    const session = new Session(guest.connect(daemon.socket));
    await eventually('one waits', async () => {
      assert.equal((await session.ask(path)).body, 'mark');
      return (await delayedOf(daemon, 'c1')) > 0;
    });
    await session.close();
  });
}

// Eleven connections, as many requests, and ten listeners, at five each; and one more.
const listening = ['--limit-requests-per-second', '2', '--limit-request-burst', '73'];
alone(
  'who sends on before it has become a listener becomes one',
  [...listening, '--limit-stored-requests-per-second', '1'], // ten at once
  async (daemon, guests) => {
    async function listenAndSendOn(name: string): Promise<void> {
      const guest = guests.one();
      await daemon.register(name, guest.pid, { 'user.mark': 'mark' });
      const eleven = Array.from({ length: 11 }, () => new Reader(guest.connect(daemon.socket)));
      for (const reader of eleven) {
        reader.read();
        reader.socket.write(upgrade);
      }
      const waiting = (): Reader[] => eleven.filter(({ received }) => !received.startsWith('HTTP/1.1 101 '));
      await eventually('ten listen, one waits for what it has missed', () => waiting().length === 1);
      const [last] = waiting() as [Reader];
      await exchange(guest.connect(daemon.socket), request.repeat(4), (text) => text.split('mark').length === 5);
      last.socket.write('sent ahead'); // waits for the response, and is dropped with it
      await eventually('it listens', () => last.received.startsWith('HTTP/1.1 101 '));
      for (const { socket } of eleven) socket.destroy();
      assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'mark'); // when there are tokens again
    }
    await Promise.all(['c1', 'c2', 'c3'].map(listenAndSendOn));
  },
);

alone(
  'who waits for its rate while a large answer is read is answered all the same, and the daemon lives',
  ['--limit-requests-per-second', '1000', '--limit-request-burst', '100'],
  async (daemon, guests) => {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'mark', 'user.large': 'x'.repeat(400_000) }); // more than a socket holds
    const readers = Array.from({ length: 80 }, () => new Reader(guest.connect(daemon.socket)));
    for (const { socket } of readers) socket.write(request.replace('user.mark', 'user.large'));
    await Promise.all(readers.map(({ socket }) => once(socket, 'readable')));
    // Now the requests of half a second are owed.
    await exchange(guest.connect(daemon.socket), request.repeat(500), (text) => text.includes('mark'));
    // uSockets reads from a connection again when it has written to it.
    for (const { socket } of readers) socket.write(`HEAD ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`);
    for (const reader of readers) reader.read();
    await eventually('all are answered or closed', () =>
      readers.every(({ answers, closed }) => answers() === 2 || closed),
    );
    assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'mark');
    for (const { socket } of readers) socket.destroy();
  },
);

/** Keeps all that it has read. */
class Reader {
  received = '';
  closed = false;
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket.setEncoding('utf8').on('error', () => undefined);
    socket.on('close', () => (this.closed = true));
  }

  read(): void {
    this.socket.on('data', (text: string) => (this.received += text));
  }

  readonly answers = (): number => this.received.split('HTTP/1.1 200 OK').length - 1;
}
