import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { instancePath } from '../src/cli/with-client.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask } from './support/http.js';

const plain = 'GET /1.0/events HTTP/1.1\r\nHost: lxd\r\n\r\n';
const requests = {
  plain,
  'absolute form': 'GET http://lxd/1.0/events HTTP/1.1\r\nHost: lxd\r\n\r\n',
  'HTTP/1.0': 'GET /1.0/events HTTP/1.0\r\n\r\n',
  'no Host': 'GET /1.0/events HTTP/1.1\r\n\r\n',
  since: 'GET /1.0/events?since=2020-01-01T00:00:00.000000000Z HTTP/1.1\r\nHost: lxd\r\n\r\n',
  WebSocket: '',
};

let daemon: TestDaemon;
let guests: Guests;
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

interface Listening {
  /** what has come, as text */
  readonly text: () => string;
  readonly closed: Promise<void>;
}

/** reads: false: nothing beyond the head is read, so that what is sent fills the socket */
async function listen(guest: Guest, request: string, reads = true): Promise<Listening> {
  const socket = guest.connect(daemon.socket);
  return request === '' ? overWebSocket(socket, reads) : overStream(socket, request, reads);
}

async function overWebSocket(socket: Socket, reads: boolean): Promise<Listening> {
  let received = '';
  const webSocket = new WebSocket('ws://lxd/1.0/events', {
    createConnection: () => socket,
    perMessageDeflate: false,
  });
  webSocket.on('message', (data) => {
    received += `${data}\n`;
  });
  webSocket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => webSocket.on('close', () => resolve()));
  await new Promise((resolve) => webSocket.on('open', resolve));
  if (!reads) socket.pause();
  return { text: () => received, closed };
}

async function overStream(socket: Socket, request: string, reads: boolean): Promise<Listening> {
  let received = '';
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.on('error', () => undefined);
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text;
  });
  socket.write(request);
  await eventually('the head', () => received.includes('\r\n\r\n'));
  assert.match(received, /^HTTP\/1\.1 200 OK\r\n/);
  if (!reads) socket.pause();
  return { text: () => received, closed };
}

async function alive(): Promise<void> {
  const guest = guests.one();
  const name = `alive${++count}`;
  await daemon.register(name, guest.pid, { 'user.a': name });
  const { body } = await ask(guest.connect(daemon.socket), '/1.0/config/user.a');
  assert.equal(body, name);
  guest.kill();
}

/** Several changes of one instance, in one commit. */
async function change(name: string, ...configs: Readonly<Record<string, string>>[]): Promise<void> {
  const lines = configs.map((config) =>
    JSON.stringify({ method: 'PATCH', path: instancePath(name), body: { config } }),
  );
  const answer = await operator.request('POST', '/1.0/batch', lines.join('\n'), {
    'Content-Type': 'application/x-ndjson',
  });
  assert.ok(answer.status < 300, answer.body);
  const { operation } = JSON.parse(answer.body) as { operation: string };
  const waited = JSON.parse((await operator.request('GET', `${operation}/wait`)).body);
  assert.equal(waited.metadata.status, 'Success', JSON.stringify(waited));
}

let count = 0;
const big = 'x'.repeat(300_000);

for (const [way, request] of Object.entries(requests)) {
  for (const reads of [true, false]) {
    const reader = reads ? 'a reader' : 'one that reads nothing';
    const started = async () => {
      const guest = guests.one();
      const name = `ended${++count}`;
      await daemon.register(name, guest.pid);
      const listener = await listen(guest, request, reads);
      if (!reads) for (const n of ['1', '2', '3']) await daemon.set(name, { 'user.big': `${n}${big}` });
      return { guest, name, listener };
    };

    test(`${way}, ${reader}: forbidden and changed in one commit, and afterwards`, async () => {
      const { guest, name, listener } = await started();
      await change(name, { 'user.a': '1' }, { 'security.devlxd': 'false' }, { 'user.b': '1' }, { 'user.c': '1' });
      await daemon.set(name, { 'user.d': '1' });
      await change(name, { 'security.devlxd': 'true' }, { 'user.e': '1' }, { 'security.devlxd': 'false' });
      await alive();
      if (!reads) return guest.kill();
      await listener.closed;
      assert.match(listener.text(), /"user\.a"/);
      assert.doesNotMatch(listener.text(), /"user\.[bcde]"/); // all of them after it was forbidden
      guest.kill();
    });

    test(`${way}, ${reader}: stopped, started and changed`, async () => {
      const { guest, name, listener } = await started();
      await daemon.stopInstance(name);
      await daemon.startInstance(name, guest.pid);
      await daemon.set(name, { 'user.a': '1' });
      await alive();
      if (reads) await listener.closed;
      assert.doesNotMatch(listener.text(), /"user\.a"/);
      guest.kill();
    });

    test(`${way}, ${reader}: its init killed, renamed, changed, deleted and made again`, async () => {
      const { guest, name, listener } = await started();
      const renamed = `${name}r`;
      guest.kill();
      await eventually('the stop', async () => (await daemon.status(name)) === 'Stopped');
      await daemon.client.request('POST', instancePath(name), { name: renamed });
      await daemon.set(renamed, { 'user.b': '1' });
      await daemon.client.request('DELETE', instancePath(renamed));
      await daemon.create(renamed, { 'user.c': '1' });
      await alive();
      assert.doesNotMatch(listener.text(), /"user\.[bc]"/);
    });
  }
}

test('listeners that leave at the moment of a change', async () => {
  const guest = guests.one();
  await daemon.register('leaving', guest.pid);
  for (let round = 0; round < 10; round++) {
    const listeners = Object.values(requests).filter((request) => request !== '');
    const sockets = listeners.map((request) => {
      const socket = guest.connect(daemon.socket);
      socket.on('error', () => undefined);
      socket.write(request);
      return socket;
    });
    const webSockets = [1, 2].map(() => {
      const made = new WebSocket('ws://lxd/1.0/events', { createConnection: () => guest.connect(daemon.socket) });
      made.on('error', () => undefined);
      return made;
    });
    await Promise.all(webSockets.map((made) => new Promise((resolve) => made.on('open', resolve))));
    const changes = change('leaving', { 'user.n': String(round) }, { 'user.big': `${round}${big}` });
    for (const socket of sockets) socket.destroy();
    webSockets[0]?.terminate();
    webSockets[1]?.close();
    await changes;
  }
  await alive();
});

test('a listener that writes is ended, and its instance is served on', async () => {
  const guest = guests.one();
  await daemon.register('writing', guest.pid);
  const socket = guest.connect(daemon.socket);
  let received = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text;
  });
  const closed = new Promise((resolve) => socket.on('close', resolve));
  socket.on('error', () => undefined);
  socket.write(plain);
  await eventually('the head', () => received.includes('\r\n\r\n'));
  socket.write('x'.repeat(100_000));
  await closed;
  await daemon.set('writing', { 'user.a': '1' });
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.a')).body, '1');
});
