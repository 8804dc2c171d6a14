import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, exchange } from './support/http.js';
import { ManagedDaemon } from './support/managed-daemon.js';

// A caller that is held for its instance to be registered survives the process that holds it, also a kill -9.

const path = '/1.0/config/user.mark';
const request = `GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`;

let guests: Guests;
let managed: ManagedDaemon;

before(async () => {
  guests = new Guests();
  managed = await ManagedDaemon.start(['--limit-hold-seconds', '60']);
});

after(async () => {
  await guests.close();
  await managed.remove();
});

async function areHeld(count: number): Promise<void> {
  const held = (): Promise<number> => managed.daemon.metric('devlxd_guest_requests_held');
  await eventually(`${count} are held`, async () => (await held()) === count);
}

async function isEmpty(of = managed): Promise<void> {
  await eventually('the descriptor store is empty', () => of.kept === 0);
}

test('a caller that is held when the daemon is killed is answered on its connection', async () => {
  const guest = guests.one();
  const asked = ask(guest.connect(managed.daemon.socket), path);
  await areHeld(1);
  await managed.again('kill');
  await areHeld(1);
  await managed.daemon.register('held', guest.pid, { 'user.mark': 'mine' });
  assert.equal((await asked).body, 'mine');
  await isEmpty();
});

test('also twice, with a restart in between, and after each of them', async () => {
  const all = guests.spawn(4);
  const asked = all.map((guest) => ask(guest.connect(managed.daemon.socket), path));
  for (const [n, how] of (['kill', 'restart', 'kill', 'kill'] as const).entries()) {
    await areHeld(4 - n);
    await managed.again(how);
    await areHeld(4 - n);
    const guest = all[n] as Guest;
    await managed.daemon.register(`held${n}`, guest.pid, { 'user.mark': `mark${n}` });
    assert.equal((await asked[n])?.body, `mark${n}`);
  }
  await isEmpty();
});

test('bytes that came in pieces, before and after the kill, are one request', async () => {
  const guest = guests.one();
  const socket = guest.connect(managed.daemon.socket);
  socket.write(request.slice(0, 20));
  await areHeld(1);
  await managed.again('kill');
  const answer = exchange(socket, request.slice(20), (received) => received.endsWith('mine'));
  await areHeld(1);
  await managed.daemon.register('pieces', guest.pid, { 'user.mark': 'mine' });
  assert.match(await answer, /^HTTP\/1\.1 200 OK\r\n/);
  socket.destroy();
  await isEmpty();
});

test('a caller that leaves leaves the store as well: before the kill, or between two processes', async () => {
  const [first, second, dead, stays] = guests.spawn(4) as [Guest, Guest, Guest, Guest];
  const leaving = [first, second].map((guest) => guest.connect(managed.daemon.socket)) as [Socket, Socket];
  for (const socket of leaving) socket.write(request);
  const ofDead = exchange(dead.connect(managed.daemon.socket), request);
  const asked = ask(stays.connect(managed.daemon.socket), path);
  await areHeld(4);
  leaving[0].destroy();
  await eventually('it has left', () => managed.kept === 3);
  const before = managed.told.length;
  const again = managed.again('kill');
  await managed.until(() => managed.told.slice(before).some(({ exit }) => exit !== undefined));
  leaving[1].destroy();
  dead.kill();
  await again;
  await ofDead; // told, or refused: its process cannot be identified any more
  await managed.daemon.register('stays', stays.pid, { 'user.mark': 'mine' });
  assert.equal((await asked).body, 'mine');
  await isEmpty();
});

test('a connection that is closed, answered or told leaves the store, and its end arrives', async () => {
  const impatient = await ManagedDaemon.start(['--limit-hold-seconds', '1']);
  try {
    const [one, other] = guests.spawn(2) as [Guest, Guest];
    const silent = one.connect(impatient.daemon.socket);
    const told = exchange(other.connect(impatient.daemon.socket), request);
    await eventually('both lie in the store', () => impatient.kept === 2);
    silent.destroy();
    assert.match(await told, /^HTTP\/1\.1 500 /); // and the connection ends
    await isEmpty(impatient);
  } finally {
    await impatient.remove();
  }
});

test('an instance that is registered before its connections are taken in has them answered at once', async () => {
  const guest = guests.one();
  await managed.daemon.create('known', { 'user.mark': 'mine' });
  const asked = ask(guest.connect(managed.daemon.socket), path);
  await areHeld(1);
  process.kill(managed.pid, 'SIGSTOP');
  const started = managed.daemon.startInstance('known', guest.pid).catch(() => undefined);
  await managed.again('kill');
  await started;
  if ((await managed.daemon.status('known')) !== 'Running') await managed.daemon.startInstance('known', guest.pid);
  assert.equal((await asked).body, 'mine');
  await isEmpty();
});
