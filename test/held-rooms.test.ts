import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { type TestDaemon, withDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests, needsGuestUsers } from './support/guest-processes.js';
import { ask, ended } from './support/http.js';

// Whatever asks before its instance is registered is held in one of few places, of which no one can take those of others.

const path = '/1.0/config/user.mark';
const limits = ['--limit-pending-callers', '4', '--limit-hold-seconds', '60'];

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

const held = (daemon: TestDaemon): Promise<number> => daemon.metric('devlxd_guest_requests_held');

async function areHeld(daemon: TestDaemon, count: number): Promise<void> {
  await eventually(`${count} are held`, async () => (await held(daemon)) === count);
}

test('a container that fills all places loses the newest of them to others, until each has as many', async () => {
  await withDaemon(async (daemon) => {
    const [greedy, one, other] = guests.spawn(3) as [Guest, Guest, Guest];
    const asking: Promise<{ status: number }>[] = [];
    for (const n of [1, 2, 3, 4]) {
      asking.push(ask(greedy.connect(daemon.socket), path));
      await areHeld(daemon, n);
    }
    const [first, second, third, newest] = asking;
    const asked = ask(one.connect(daemon.socket), path);
    assert.equal((await newest)?.status, 500);
    await areHeld(daemon, 4);
    const also = ask(other.connect(daemon.socket), path);
    assert.equal((await third)?.status, 500);
    await areHeld(daemon, 4);
    assert.equal((await ask(greedy.connect(daemon.socket), path)).status, 500, 'it has enough');
    await daemon.register('one', one.pid, { 'user.mark': 'one' });
    await daemon.register('other', other.pid, { 'user.mark': 'other' });
    assert.equal((await asked).body, 'one');
    assert.equal((await also).body, 'other');
    await daemon.register('greedy', greedy.pid, { 'user.mark': 'greedy' });
    assert.deepEqual([(await first)?.status, (await second)?.status], [200, 200]);
  }, limits);
});

const user = { uid: 4242, gid: 4242 };

/** A process of an ordinary user of the host, in namespaces of its own, that asks and waits. */
function asksFromNamespaces(socket: string): ChildProcess {
  const script = `import socket, time
s = socket.socket(socket.AF_UNIX)
s.connect("${socket}")
s.sendall(b"GET ${path} HTTP/1.1\\r\\nHost: lxd\\r\\n\\r\\n")
s.recv(1)
time.sleep(600)`;
  const namespaces = ['--user', '--map-root-user', '--pid', '--fork', '--kill-child'];
  return spawn('unshare', [...namespaces, 'python3', '-c', script], { ...user, stdio: 'ignore' });
}

test('a user of the host who makes many pid namespaces leaves containers their places', needsGuestUsers, async (t) => {
  if (spawnSync('unshare', ['--user', '--map-root-user', 'true'], user).status !== 0) {
    t.skip('needs a host whose users may make user namespaces');
    return;
  }
  await withDaemon(async (daemon) => {
    const crowd = Array.from({ length: 6 }, () => asksFromNamespaces(daemon.socket));
    try {
      await areHeld(daemon, 4);
      const all = guests.spawn(3);
      const asked = all.map((guest) => ask(guest.connect(daemon.socket), path));
      await eventually('containers have crowded users out', async () => {
        return (await daemon.metric('devlxd_guest_requests_held_total')) >= 7 && (await held(daemon)) === 4;
      });
      for (const [n, guest] of all.entries()) await daemon.register(`c${n}`, guest.pid, { 'user.mark': `c${n}` });
      for (const [n, each] of asked.entries()) assert.equal((await each).body, `c${n}`);
    } finally {
      for (const child of crowd) child.kill('SIGKILL');
    }
  }, limits);
});

test('a caller that loses its place without having asked can still ask', async () => {
  await withDaemon(async (daemon) => {
    const [greedy, one] = guests.spawn(2) as [Guest, Guest];
    const silent = Array.from({ length: 4 }, () => greedy.connect(daemon.socket));
    const asked = ask(one.connect(daemon.socket), path);
    await areHeld(daemon, 1);
    const newest = silent.at(-1);
    assert.ok(newest);
    newest.write(`GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`);
    await ended(newest);
    await daemon.register('one', one.pid, { 'user.mark': 'one' });
    assert.equal((await asked).body, 'one');
    for (const socket of silent) socket.destroy();
  }, limits);
});
