import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask } from './support/http.js';
import { ManagedDaemon } from './support/managed-daemon.js';

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

test('after kill -9 instances are taken up again, and whoever asked meanwhile is answered', async () => {
  const managed = await ManagedDaemon.start();
  try {
    const { daemon } = managed;
    const [guest, other] = guests.spawn(2) as [Guest, Guest];
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    await daemon.register('c2', other.pid);
    const again = managed.again('kill');
    await managed.until(() => managed.told.some(({ exit }) => exit !== undefined));
    const answer = ask(guest.connect(daemon.socket), '/1.0/config/user.mark');
    other.kill();
    await again;
    assert.equal((await answer).body, 'here');
    const status = async (name: string): Promise<string> => {
      const { status: found } = await new Operator(() => daemon).metadata<{ status: string }>(
        'GET',
        `/1.0/instances/${name}`,
      );
      return found;
    };
    assert.equal(await status('c1'), 'Running');
    await eventually('stopped', async () => (await status('c2')) === 'Stopped');
  } finally {
    await managed.remove();
  }
});

test('a service manager hears when it is ready, alive and stopping', async () => {
  const managed = await ManagedDaemon.start();
  assert.deepEqual(managed.notified('READY'), ['1']);
  await managed.until(() => managed.notified('WATCHDOG').length >= 3);
  await managed.again('restart');
  assert.deepEqual(managed.notified('STOPPING'), ['1']);
  assert.equal(await managed.remove(), 0);
});

test('systemd itself passes the sockets', async (t) => {
  if (spawnSync('systemd-socket-activate', ['--version']).error) {
    t.skip('needs systemd-socket-activate: apt-get install systemd');
    return;
  }
  const daemon = TestDaemon.prepared();
  mkdirSync(join(daemon.runDir, 'guest'), { recursive: true });
  const control = join(daemon.runDir, 'control.sock');
  const listen = ['-l', daemon.socket, '-l', control, '--fdname=guest:control'];
  const systemd: ChildProcess = spawn('systemd-socket-activate', [...listen, '--', ...daemon.command()], {
    stdio: ['ignore', 'inherit', 'ignore'],
  });
  try {
    await eventually('systemd listens', () => existsSync(control));
    chmodSync(daemon.socket, 0o666); // which SocketMode= does in a unit
    const guest = guests.one();
    const early = ask(guest.connect(daemon.socket), '/1.0/config/user.mark'); // this starts it
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    assert.equal((await early).body, 'here');
  } finally {
    const exit = once(systemd, 'exit');
    systemd.kill('SIGTERM');
    assert.deepEqual(await exit, [0, null]);
    assert.ok(existsSync(control), 'the files are not its own to remove');
    await daemon.remove();
  }
});
