import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Connecting, type Guest, Guests, needsGuestUsers } from './support/guest-processes.js';
import { ask, ended } from './support/http.js';

// Each kind of caller has a room of its own; nobody takes the room of another kind.

const path = '/1.0/config/user.mark';
const dead: Connecting = { child: true, dies: 'exit' };

let daemon: TestDaemon;
let guests: Guests;
const open: Socket[] = [];

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** This many connections, each of which stays open unless the daemon closes it. */
function hold(count: number, guest: Guest, connecting: Connecting = {}): { readonly open: number } {
  const sockets = Array.from({ length: count }, () => guest.connect(daemon.socket, connecting));
  for (const socket of sockets) open.push(socket.on('error', () => undefined).resume());
  return {
    get open() {
      return sockets.filter(({ destroyed }) => !destroyed).length;
    },
  };
}

function letGo(): void {
  for (const socket of open.splice(0)) socket.destroy();
}

/** A guest that asks before it is registered is held, and served. */
async function isHeld(): Promise<void> {
  const early = guests.one();
  const name = `early${early.pid}`;
  const held = await daemon.metric('devlxd_guest_requests_held_total');
  const asked = ask(early.connect(daemon.socket), path);
  await eventually('it is held', async () => (await daemon.metric('devlxd_guest_requests_held_total')) > held);
  await daemon.register(name, early.pid, { 'user.mark': name });
  assert.equal((await asked).body, name);
}

const hits = (limit: string): Promise<number> => daemon.metric('devlxd_limit_hits_total', { limit });

for (const [what, users] of [
  ['of its root', 1],
  ['of many users', 20],
] as const) {
  test(
    `connections of dead children ${what} leave guests that are not registered yet their room`,
    needsGuestUsers,
    async () => {
      const guest = guests.one();
      await daemon.register(`dead${guest.pid}`, guest.pid, { 'user.mark': 'mine' });
      // It accepts when the children are dead.
      process.kill(daemon.pid, 'SIGSTOP');
      const held = Array.from({ length: users }, (_, uid) => hold(400 / users, guest, { ...dead, uid }));
      process.kill(daemon.pid, 'SIGCONT');
      const [limit, most] = users > 1 ? ['connections-unidentified', 256] : ['connections-per-uid', 32];
      await eventually('the surplus is closed', () => held.reduce((sum, part) => sum + part.open, 0) <= most);
      assert.equal(await hits(limit), 400 - most);
      await isHeld();
      assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'mine');
      letGo();
    },
  );
}

test('connections that have ended before they are accepted take no room', async () => {
  const guest = guests.one();
  const name = `ended${guest.pid}`;
  await daemon.register(name, guest.pid, { 'user.mark': 'mine' });
  process.kill(daemon.pid, 'SIGSTOP'); // until they have ended
  for (let n = 0; n < 300; n++) guest.connect(daemon.socket).destroy();
  const last = ask(guest.connect(daemon.socket), path);
  process.kill(daemon.pid, 'SIGCONT');
  assert.equal((await last).body, 'mine');
  const label = { instance: name, limit: 'connections-per-instance' };
  assert.equal(await daemon.metric('devlxd_instance_limit_hits_total', label), 0);
});

test('connections of a user of the host leave other users of the host, and guests, their room', async () => {
  const { connect } = await import('node:net');
  const sockets = Array.from({ length: 100 }, () =>
    connect(daemon.socket)
      .on('error', () => undefined)
      .resume(),
  );
  open.push(...sockets);
  await eventually('the surplus is closed', () => sockets.filter(({ destroyed }) => !destroyed).length <= 32);
  const guest = guests.one();
  await daemon.register(`beside${guest.pid}`, guest.pid);
  process.kill(daemon.pid, 'SIGSTOP'); // until the child is dead
  const ofAnother = guest.connect(daemon.socket, dead); // another user of the host
  process.kill(daemon.pid, 'SIGCONT');
  assert.equal((await ask(ofAnother, path)).status, 500);
  await isHeld();
  letGo();
});

test('connections of a guest that was told that it is not registered leave others their place to be held', async () => {
  const unregistered = guests.one();
  const told = Array.from({ length: 300 }, () => unregistered.connect(daemon.socket));
  for (const socket of told) {
    open.push(socket.on('error', () => undefined).resume());
    socket.write(`GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`);
  }
  // An answer to an unregistered caller ends its connection.
  await eventually('all are told', () => told.every(({ destroyed }) => destroyed));
  assert.ok((await hits('pending-callers')) >= 44);
  await isHeld();
  letGo();
});

test('a container that is not registered leaves others that are not their room to be told so', async () => {
  const small = await TestDaemon.start(['--limit-hold-seconds', '0', '--limit-connections-unregistered', '160']);
  try {
    const [greedy, other] = guests.spawn(2) as [Guest, Guest];
    const sockets = Array.from({ length: 200 }, () => greedy.connect(small.socket).on('error', () => undefined));
    for (const socket of sockets) socket.resume();
    await eventually(
      'it has no more than an instance may',
      async () => (await small.metric('devlxd_connections')) === 128,
    );
    assert.equal((await ask(other.connect(small.socket), path)).status, 500);
    const limit = 'connections-unregistered';
    assert.equal(await small.metric('devlxd_limit_hits_total', { limit }), 72);
    for (const socket of sockets) socket.destroy();
  } finally {
    await small.remove();
  }
});

test('a user of a guest who is not root leaves root its room', needsGuestUsers, async () => {
  const guest = guests.one();
  const name = `users${guest.pid}`;
  await daemon.register(name, guest.pid, { 'user.mark': 'mine' });
  const held = [hold(100, guest, { uid: 1000 }), hold(100, guest, { uid: 1001 })];
  await eventually('the surplus is closed', () => held.reduce((sum, part) => sum + part.open, 0) <= 16);
  const label = { instance: name, limit: 'connections-nonroot' };
  assert.equal(await daemon.metric('devlxd_instance_limit_hits_total', label), 184);
  for (let n = 0; n < 30; n++) assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'mine');
  const ofRoot = hold(112, guest);
  await ended(guest.connect(daemon.socket));
  assert.equal(ofRoot.open, 112);
  letGo();
});

test('users who are served share the connections of the instance equally', needsGuestUsers, async () => {
  const guest = guests.one();
  const name = `served${guest.pid}`;
  await daemon.register(name, guest.pid, { 'user.mark': 'mine', 'security.devlxd.nonroot': 'true' });
  const held = hold(100, guest, { uid: 1000 });
  assert.equal((await ask(guest.connect(daemon.socket, { uid: 1001 }), path)).body, 'mine');
  assert.equal(held.open, 100);
  // A connection that stays open counts also when users other than root are not served any more.
  await daemon.set(name, { 'security.devlxd.nonroot': 'false' });
  await ended(guest.connect(daemon.socket, { uid: 1001 }));
  assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'mine');
  letGo();
  await eventually('they count no more', async () => {
    const answer = await ask(guest.connect(daemon.socket, { uid: 1001 }), path).catch(() => undefined);
    return answer?.status === 401;
  });
});
