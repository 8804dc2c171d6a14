import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { EventStream } from './support/event-stream.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';
import { frame, frames, opcodes, upgrade } from './support/websocket-frames.js';

// What a guest sends on its WebSocket, whether it reads or not, takes neither memory nor time from the others.

const path = '/1.0/config/user.mark';
const floodBytes = 8 * 1024 * 1024;
const mostGrowth = 40 * 1024 * 1024;

let daemon: TestDaemon;
let guests: Guests;
let flooding: Guest;
let neighbour: Guest;

before(async () => {
  daemon = await TestDaemon.start(['--limit-websocket-frames', '4000']);
  guests = new Guests();
  [flooding, neighbour] = guests.spawn(2) as [Guest, Guest];
  await daemon.register('flood', flooding.pid);
  await daemon.register('neighbour', neighbour.pid, { 'user.mark': 'here' });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** Writes until the daemon has closed the connection, or has read all of it. */
async function flood(piece: Buffer, reads: boolean): Promise<{ readonly socket: Socket; readonly written: number }> {
  const socket = flooding.connect(daemon.socket).on('error', () => undefined);
  socket.write(upgrade);
  await once(socket, 'readable');
  if (reads) socket.resume();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let written = 0;
  while (!socket.destroyed && written < floodBytes) {
    written += piece.length;
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain').catch(() => undefined), closed]);
  }
  return { socket, written };
}

function residentBytes(): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

const pieces: Readonly<Record<string, Buffer>> = {
  'pings without a payload': frames(opcodes.ping, 0, 3000),
  'pings of one byte': frames(opcodes.ping, 1, 3000),
  'pings of 125 bytes': frames(opcodes.ping, 125, 3000),
  pongs: frames(opcodes.pong, 0, 3000),
  'pongs of 125 bytes': frames(opcodes.pong, 125, 3000),
  'empty messages': frames(opcodes.text, 0, 3000),
  'binary messages': frames(opcodes.binary, 100, 3000),
  'frames that are not masked': frames(opcodes.ping, 10, 3000, '', { masked: false }),
  'pings in fragments': frames(opcodes.ping, 10, 3000, '', { last: false }),
  'a message of ever more fragments': frames(opcodes.text, 100, 3000, '', { last: false }),
  'bytes that are no frames': Buffer.alloc(300_000, 0xff),
};

for (const [name, piece] of Object.entries(pieces)) {
  for (const reads of [true, false]) {
    test(`${name}, ${reads ? 'read' : 'unread'}: the listener is dropped, and memory is bounded`, async () => {
      const start = residentBytes();
      const { socket, written } = await flood(piece, reads);
      assert.ok(written < floodBytes, 'the daemon has read all of it');
      assert.ok(residentBytes() - start < mostGrowth);
      assert.equal((await ask(neighbour.connect(daemon.socket), path)).body, 'here');
      socket.destroy();
    });
  }
}

test('a close frame, and more behind it: memory is bounded', async () => {
  const start = residentBytes();
  const { socket } = await flood(frames(opcodes.close, 0, 3000), false);
  assert.ok(residentBytes() - start < mostGrowth);
  assert.equal((await ask(neighbour.connect(daemon.socket), path)).body, 'here');
  socket.destroy();
});

test('frames that no handler sees are bounded as well: the listener is dropped before they are looked at', async () => {
  const begun = frame(opcodes.text, 0, { last: false });
  const rest = frames(opcodes.continuation, 0, 100_000, '', { last: false });
  const label = { instance: 'flood', limit: 'websocket-frames' };
  const before = await daemon.metric('devlxd_instance_limit_hits_total', label);
  const { socket, written } = await flood(Buffer.concat([begun, rest]), true);
  assert.ok(written < floodBytes, 'the daemon has read all of it');
  assert.ok((await daemon.metric('devlxd_instance_limit_hits_total', label)) > before);
  socket.destroy();
});

test('what was dropped is counted for its instance', async () => {
  for (const limit of ['websocket-frames', 'pong-backlog'])
    assert.ok((await daemon.metric('devlxd_instance_limit_hits_total', { instance: 'flood', limit })) > 0, limit);
});

test('a listener that pings now and then, and reads, stays and hears the events', async () => {
  const stream = await EventStream.webSocket(neighbour, daemon.socket);
  await daemon.set('neighbour', { 'user.other': '1' });
  await stream.atLeast(1);
  stream.end();
});

test('a stream of events whose reader floods it ends', async () => {
  const socket = flooding.connect(daemon.socket).on('error', () => undefined);
  socket.write('GET /1.0/events HTTP/1.1\r\nHost: lxd\r\n\r\n');
  await once(socket, 'readable');
  socket.pause();
  socket.write(Buffer.alloc(floodBytes, 'x'));
  await eventually('it is closed', () => {
    socket.read();
    return socket.destroyed;
  });
});

test('what a listener sends after its instance has stopped is not charged to the next one', async () => {
  const [stopped, next] = guests.spawn(2) as [Guest, Guest];
  await daemon.register('stopped', stopped.pid);
  const socket = stopped.connect(daemon.socket).on('error', () => undefined);
  socket.allowHalfOpen = true; // it stays when the daemon says goodbye
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(upgrade);
  await once(socket, 'readable');
  socket.resume();
  await daemon.stopInstance('stopped');
  await daemon.register('next', next.pid, { 'user.mark': 'here' });
  socket.write(frames(opcodes.ping, 125, 40_000));
  await closed;
  assert.equal((await ask(next.connect(daemon.socket), path)).body, 'here');
  const label = { instance: 'next', limit: 'websocket-frames' };
  assert.equal(await daemon.metric('devlxd_instance_limit_hits_total', label), 0);
});
