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

before(() => {
  guests = new Guests();
});

after(() => guests.close());

async function withManaged(work: (managed: ManagedDaemon) => Promise<void>, options: string[] = []): Promise<void> {
  const managed = await ManagedDaemon.start(['--limit-hold-seconds', '60', ...options]);
  try {
    await work(managed);
  } finally {
    await managed.remove();
  }
}

const held = ({ daemon }: ManagedDaemon): Promise<number> => daemon.metric('devlxd_guest_requests_held');

async function areHeld(managed: ManagedDaemon, count: number): Promise<void> {
  await eventually(`${count} are held`, async () => (await held(managed)) === count);
}

async function isEmpty(managed: ManagedDaemon): Promise<void> {
  await eventually('the descriptor store is empty', () => managed.kept === 0);
}

test('a caller that is held when the daemon is killed is answered on its connection', async () => {
  await withManaged(async (managed) => {
    const guest = guests.one();
    const asked = ask(guest.connect(managed.daemon.socket), path);
    await areHeld(managed, 1);
    await managed.again('kill');
    await areHeld(managed, 1);
    await managed.daemon.register('held', guest.pid, { 'user.mark': 'mine' });
    assert.equal((await asked).body, 'mine');
    await isEmpty(managed);
  });
});

test('also twice, with a restart in between, and after each of them', async () => {
  await withManaged(async (managed) => {
    const all = guests.spawn(4);
    const asked = all.map((guest) => ask(guest.connect(managed.daemon.socket), path));
    for (const [n, how] of (['kill', 'restart', 'kill', 'kill'] as const).entries()) {
      await areHeld(managed, 4 - n);
      await managed.again(how);
      await areHeld(managed, 4 - n);
      const guest = all[n] as Guest;
      await managed.daemon.register(`held${n}`, guest.pid, { 'user.mark': `mark${n}` });
      assert.equal((await asked[n])?.body, `mark${n}`);
    }
    await isEmpty(managed);
  });
});

test('bytes that came in pieces, before and after the kill, are one request', async () => {
  await withManaged(async (managed) => {
    const guest = guests.one();
    const socket = guest.connect(managed.daemon.socket);
    socket.write(request.slice(0, 20));
    await areHeld(managed, 1);
    await managed.again('kill');
    const answer = exchange(socket, request.slice(20), (received) => received.endsWith('mine'));
    await areHeld(managed, 1);
    await managed.daemon.register('pieces', guest.pid, { 'user.mark': 'mine' });
    assert.match(await answer, /^HTTP\/1\.1 200 OK\r\n/);
    socket.destroy();
  });
});

test('a caller that leaves leaves the store as well: before the kill, or between two processes', async () => {
  await withManaged(async (managed) => {
    const [first, second, dead, stays] = guests.spawn(4) as [Guest, Guest, Guest, Guest];
    const leaving = [first, second].map((guest) => guest.connect(managed.daemon.socket)) as [Socket, Socket];
    for (const socket of leaving) socket.write(request);
    const ofDead = exchange(dead.connect(managed.daemon.socket), request);
    const asked = ask(stays.connect(managed.daemon.socket), path);
    await areHeld(managed, 4);
    leaving[0].destroy();
    await eventually('it has left', () => managed.kept === 3);
    const again = managed.again('kill');
    await managed.until(() => managed.told.some(({ exit }) => exit !== undefined));
    leaving[1].destroy();
    dead.kill();
    await again;
    await ofDead; // told, or refused: its process cannot be identified any more
    await managed.daemon.register('stays', stays.pid, { 'user.mark': 'mine' });
    assert.equal((await asked).body, 'mine');
    await isEmpty(managed);
  });
});

test('a connection that is closed, answered or told leaves the store, and its end arrives', async () => {
  await withManaged(
    async (managed) => {
      const [one, other] = guests.spawn(2) as [Guest, Guest];
      const silent = one.connect(managed.daemon.socket);
      const told = exchange(other.connect(managed.daemon.socket), request);
      await eventually('both lie in the store', () => managed.kept === 2);
      silent.destroy();
      assert.match(await told, /^HTTP\/1\.1 500 /); // and the connection ends
      await isEmpty(managed);
    },
    ['--limit-hold-seconds', '1'],
  );
});

test('an instance that is registered before its connections are taken in has them answered at once', async () => {
  await withManaged(async (managed) => {
    const guest = guests.one();
    await managed.daemon.create('known', { 'user.mark': 'mine' });
    const asked = ask(guest.connect(managed.daemon.socket), path);
    await areHeld(managed, 1);
    process.kill(managed.pid, 'SIGSTOP');
    const started = managed.daemon.startInstance('known', guest.pid).catch(() => undefined);
    await managed.again('kill');
    await started;
    if ((await managed.daemon.status('known')) !== 'Running') await managed.daemon.startInstance('known', guest.pid);
    assert.equal((await asked).body, 'mine');
    await isEmpty(managed);
  });
});
