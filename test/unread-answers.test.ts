import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';

// Answers that guests leave unread are in memory once, and bounded for each instance and in all.

const values = 8;
const megabyte = 1_000_000;

let daemon: TestDaemon;
let guests: Guests;
const open: Socket[] = [];

before(async () => {
  const limits = ['--limit-unread-answers-instance', '3500000', '--limit-unread-answers-total', '6000000'];
  daemon = await TestDaemon.start(limits);
  guests = new Guests();
});

after(async () => {
  for (const socket of open) socket.destroy();
  await guests.close();
  await daemon.remove();
});

const text = (n: number, letter: string): string => `${n}${letter.repeat(megabyte)}`;

async function registered(name: string, letter: string): Promise<Guest> {
  const guest = guests.one();
  const config = Object.fromEntries(Array.from({ length: values }, (_, n) => [`user.v${n}`, text(n, letter)]));
  await daemon.register(name, guest.pid, config);
  return guest;
}

/** Asks, and reads nothing. */
function unread(guest: Guest, n: number): Socket {
  const socket = guest.connect(daemon.socket).on('error', () => undefined);
  open.push(socket);
  socket.write(`GET /1.0/config/user.v${n} HTTP/1.1\r\nHost: lxd\r\n\r\n`);
  return socket;
}

const used = (limit: string): Promise<number> => daemon.metric('devlxd_limit_used', { limit });
const hits = (limit: string): Promise<number> => daemon.metric('devlxd_limit_hits_total', { limit });

/** All that comes before the end. */
async function rest(socket: Socket): Promise<number> {
  let bytes = 0;
  for await (const data of socket) {
    bytes += (data as Buffer).length;
    if (bytes >= megabyte) break;
  }
  return bytes;
}

for (const letter of ['a', 'ü'] as const) {
  test(`the oldest answers are cut off, the others come whole: ${letter}`, async () => {
    const name = letter === 'a' ? 'ascii' : 'other';
    const guest = await registered(name, letter);
    const size = Buffer.byteLength(text(0, letter));
    const most = Math.floor(3_500_000 / size);
    const sockets: Socket[] = [];
    for (let n = 0; n < values; n++) {
      sockets.push(unread(guest, n));
      const waits = Math.min(n + 1, most);
      await eventually('it waits', async () => (await used('unread-answers-instance')) === waits * size);
    }
    assert.equal((await hits('unread-answers-instance')) > 0, true);
    const last = sockets.at(-1) as Socket;
    assert.ok((await rest(last)) >= megabyte, 'the newest comes whole');
    assert.ok((await rest(sockets[0] as Socket)) < megabyte, 'the oldest does not');
    assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.v1')).body, text(1, letter));
    for (const socket of sockets) socket.destroy();
    await eventually('nothing waits', async () => (await used('unread-answers-total')) === 0);
  });
}

test('readers of one answer are one in memory', async () => {
  const guest = await registered('same', 'x');
  const sockets = Array.from({ length: 50 }, () => unread(guest, 0));
  await eventually('it waits', async () => (await used('unread-answers-instance')) === megabyte + 1);
  const before = await hits('unread-answers-instance');
  for (const bytes of await Promise.all(sockets.map(rest))) assert.ok(bytes >= megabyte);
  assert.equal(await hits('unread-answers-instance'), before);
  for (const socket of sockets) socket.destroy();
  await eventually('nothing waits', async () => (await used('unread-answers-total')) === 0);
});

test('all instances together have a bound as well', async () => {
  const all = await Promise.all(['p', 'q', 'r'].map((letter) => registered(`all-${letter}`, letter)));
  const before = await hits('unread-answers-total');
  for (const guest of all) for (let n = 0; n < 3; n++) unread(guest, n);
  await eventually('the oldest are cut off', async () => (await hits('unread-answers-total')) >= before + 4);
  assert.ok((await used('unread-answers-total')) <= 6_000_000);
});
