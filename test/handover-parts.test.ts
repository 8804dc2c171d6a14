import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ManagedDaemon } from './support/managed-daemon.js';

// A connection on which a part of a request has come goes to the next process with that part.

const path = '/1.0/config/user.mark';
const request = `GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`;
const padded = `GET ${path} HTTP/1.1\r\nHost: lxd\r\nX-Pad: ${'p'.repeat(100_000)}\r\n\r\n`;

const splits: Readonly<Record<string, readonly [string, string]>> = {
  'one letter': ['G', request.slice(1)],
  'a request line': [request.slice(0, 30), request.slice(30)],
  'all but the last byte': [request.slice(0, -1), request.slice(-1)],
  'a request, and a part of the next': [request + request.slice(0, 40), request.slice(40)],
  'a head of 100 KB': [padded.slice(0, 90_000), padded.slice(90_000)],
  'absolute form without Host': [`GET http://lxd${path} HT`, 'TP/1.1\r\n\r\n'],
};

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

/** What has come on a connection so far. */
function received(socket: Socket): () => string {
  let text = '';
  socket.setEncoding('latin1').on('data', (data: string) => {
    text += data;
  });
  socket.on('error', () => undefined);
  return () => text;
}

const answers = (text: string): number => text.split('\r\n\r\nmine').length - 1;

/** The first parts are sent and read, another process goes on, the rest is sent. */
async function survives(daemon: TestDaemon, handOver: () => Promise<unknown>): Promise<void> {
  const guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.mark': 'mine' });
  const open = Object.entries(splits).map(([name, [first, rest]]) => {
    const socket = guest.connect(daemon.socket);
    socket.write(first);
    return { name, socket, rest, text: received(socket), whole: answers(first.replaceAll(request, '\r\n\r\nmine')) };
  });
  await eventually('what is whole is answered', () => open.every(({ text, whole }) => answers(text()) === whole));
  await handOver();
  for (const { socket, rest } of open) socket.write(rest);
  for (const { name, socket, text, whole } of open) {
    await eventually(`${name} is answered`, () => answers(text()) === whole + 1 || socket.destroyed);
    assert.equal(answers(text()), whole + 1, `${name}: ${text()}`);
    socket.write(request);
    await eventually(`${name} goes on`, () => answers(text()) === whole + 2 || socket.destroyed);
    assert.equal(answers(text()), whole + 2, name);
    socket.destroy();
  }
}

test('at a takeover', async () => {
  const daemon = await TestDaemon.start();
  try {
    await survives(daemon, () => daemon.takeOver());
  } finally {
    await daemon.remove();
  }
});

test('at a restart by a service manager, whose store is empty afterwards', async () => {
  const managed = await ManagedDaemon.start();
  try {
    await survives(managed.daemon, () => managed.again('restart'));
    await eventually('the store is empty', () => managed.kept === 0);
  } finally {
    await managed.remove();
  }
});

test('a connection that ends between two processes leaves nothing behind: the store gives its part alone', async () => {
  const managed = await ManagedDaemon.start();
  try {
    const guest = guests.one();
    await managed.daemon.register('c1', guest.pid, { 'user.mark': 'mine' });
    const [socket, stays] = [guest.connect(managed.daemon.socket), guest.connect(managed.daemon.socket)];
    for (const each of [socket, stays]) each.write(request + request.slice(0, 40));
    const [text, textOfOther] = [received(socket), received(stays)];
    await eventually('both have begun', () => answers(text()) === 1 && answers(textOfOther()) === 1);
    const again = managed.again('restart');
    await managed.until(() => managed.kept === 4);
    socket.destroy();
    await again;
    stays.write(request.slice(40));
    await eventually('the other one goes on', () => answers(textOfOther()) === 2);
    await eventually('the store is empty', () => managed.kept === 0);
    stays.destroy();
  } finally {
    await managed.remove();
  }
});

test('requests that wait for their rate go along, all of them, and are answered in order', async () => {
  const daemon = await TestDaemon.start(['--limit-requests-per-second', '5', '--limit-request-burst', '1']);
  try {
    const guest: Guest = guests.one();
    await daemon.register('c2', guest.pid, { 'user.mark': 'mine' });
    const socket = guest.connect(daemon.socket);
    const text = received(socket);
    socket.write(request.repeat(5) + request.slice(0, 10));
    await eventually('the first is answered', () => answers(text()) > 0);
    await daemon.takeOver();
    socket.write(request.slice(10));
    await eventually('all are answered', () => answers(text()) === 6 || socket.destroyed);
    assert.equal(answers(text()), 6);
    socket.destroy();
  } finally {
    await daemon.remove();
  }
});
