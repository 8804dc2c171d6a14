import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, exchange, Session } from './support/http.js';
import { frames, opcodes, upgrade } from './support/websocket-frames.js';

// Work is charged to the instance, or to the user of the host, that causes it: whoever has used up its budget waits.

const path = '/1.0/config/user.mark';
const get = (of: string): string => `GET ${of} HTTP/1.1\r\nHost: lxd\r\n\r\n`;

let daemon: TestDaemon;
let guests: Guests;
let count = 0;

before(async () => {
  daemon = await TestDaemon.start(['--limit-requests-per-second', '20', '--limit-request-burst', '60']);
  guests = new Guests();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

async function registered(config: Readonly<Record<string, string>> = {}): Promise<{ guest: Guest; name: string }> {
  const guest = guests.one();
  const name = `w${++count}`;
  await daemon.register(name, guest.pid, { 'user.mark': 'here', ...config });
  return { guest, name };
}

const waited = (instance: string): Promise<number> =>
  daemon.metric('devlxd_instance_limit_hits_total', { instance, limit: 'requests-per-second' });

/** A neighbour is answered although this instance waits. */
async function leavesOthers(): Promise<void> {
  const { guest } = await registered();
  assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'here');
}

for (const [what, head] of [
  ['a body', `PATCH /1.0 HTTP/1.1\r\nHost: lxd\r\nContent-Length: 20000\r\n\r\n`],
  ['a body in chunks', `PATCH /1.0 HTTP/1.1\r\nHost: lxd\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n`],
  ['a head', `GET ${path} HTTP/1.1\r\nHost: lxd\r\nX-Long: `],
] as const) {
  test(`${what} byte by byte: each read is paid for`, async () => {
    const { guest, name } = await registered();
    const socket = guest.connect(daemon.socket).on('error', () => undefined);
    socket.write(head);
    let written = 0;
    for (let hits = 0; hits === 0 && written < 20_000; ) {
      for (let n = 0; n < 50; n++, written++) {
        await new Promise((resolve) => socket.write('x', resolve));
        await setImmediate();
      }
      hits = await waited(name);
    }
    assert.ok(written < 20_000, 'it has not waited');
    await leavesOthers();
    // It goes on where it was.
    const rest = 'x'.repeat(20_000 - written);
    const end = { 'a body': rest, 'a body in chunks': `${rest}\r\n0\r\n\r\n`, 'a head': '\r\n\r\n' }[what];
    socket.setEncoding('utf8').write(end);
    const [text] = (await once(socket, 'data')) as [string];
    assert.match(text, what === 'a head' ? /^HTTP\/1\.1 200 OK\r\n/ : /^HTTP\/1\.1 400 /);
    socket.destroy();
  });
}

test('large responses are paid for', async () => {
  const { guest, name } = await registered({ 'user.large': 'x'.repeat(1_000_000) });
  const session = new Session(guest.connect(daemon.socket));
  for (let n = 0; n < 3; n++) assert.equal((await session.ask('/1.0/config/user.large')).body.length, 1_000_000);
  assert.ok((await waited(name)) > 0);
  await leavesOthers();
  await session.close();
});

test('changes of the state are paid for', async () => {
  const { guest, name } = await registered();
  const session = new Session(guest.connect(daemon.socket));
  for (let n = 0; n < 12; n++) {
    const body = JSON.stringify({ state: n % 2 === 0 ? 'Ready' : 'Started' });
    assert.equal((await session.ask('/1.0', { method: 'PATCH', body })).status, 200);
  }
  assert.ok((await waited(name)) > 0);
  await leavesOthers();
  await session.close();
});

test('identity documents are paid for, and each is answered', async () => {
  const { guest, name } = await registered();
  const sessions = Array.from({ length: 4 }, () => new Session(guest.connect(daemon.socket)));
  const documents = sessions.map(async (session) => {
    for (let n = 0; n < 3; n++) assert.equal((await session.ask('/1.0/identity?audience=a')).status, 200);
  });
  await Promise.all(documents);
  assert.ok((await waited(name)) > 0);
  await leavesOthers();
  for (const session of sessions) await session.close();
});

test('frames on a WebSocket are paid for', async () => {
  const { guest, name } = await registered();
  const open = Array.from({ length: 5 }, () => guest.connect(daemon.socket).on('error', () => undefined));
  for (const socket of open) {
    socket.write(upgrade);
    await once(socket, 'readable');
    socket.resume().write(frames(opcodes.ping, 0, 90));
  }
  assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'here');
  await eventually('it waits', async () => {
    assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'here');
    return (await waited(name)) > 0;
  });
  await leavesOthers();
  for (const socket of open) socket.destroy();
});

test('a user of the host waits as well, and no instance does', async () => {
  const hits = (): Promise<number> => daemon.metric('devlxd_limit_hits_total', { limit: 'requests-per-second' });
  const start = await hits();
  // Twenty at a time: more are beyond connections-per-uid.
  await eventually('it waits', async () => {
    const asked = Array.from({ length: 20 }, () => ask(connect(daemon.socket), path));
    for (const { status } of await Promise.all(asked)) assert.equal(status, 500);
    return (await hits()) > start;
  });
  await leavesOthers();
});

test('an instance with a full budget is answered over several turns of the loop, and has not reached a limit', async () => {
  const wide = await TestDaemon.start(['--response-cache', '0']);
  try {
    const [guest, neighbour] = guests.spawn(2) as [Guest, Guest];
    await wide.register('wide', guest.pid, { 'user.mark': 'here' });
    await wide.register('beside', neighbour.pid, { 'user.mark': 'here' });
    const times = 40;
    const all = Array.from({ length: 100 }, () =>
      exchange(guest.connect(wide.socket), get(path).repeat(times), (text) => text.split('here').length > times),
    );
    assert.equal((await ask(neighbour.connect(wide.socket), path)).body, 'here');
    for (const received of await Promise.all(all)) assert.equal(received.split('here').length - 1, times);
    const labels = { instance: 'wide', limit: 'requests-per-second' };
    assert.equal(await wide.metric('devlxd_instance_limit_hits_total', labels), 0);
  } finally {
    await wide.remove();
  }
});

test('a WebSocket that sent a close frame is not kept, however long its peer keeps it', async () => {
  const descriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;
  const { guest } = await registered();
  const start = descriptors();
  const kept = Array.from({ length: 30 }, () => guest.connect(daemon.socket).on('error', () => undefined));
  for (const socket of kept) {
    socket.allowHalfOpen = true;
    socket.write(upgrade);
    await once(socket, 'readable');
    socket.read();
    socket.write(frames(opcodes.close, 0, 1));
  }
  await eventually('their descriptors are closed', () => descriptors() <= start);
  for (const socket of kept) socket.destroy();
});
