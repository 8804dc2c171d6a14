import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestDaemon, withDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { failedHandover } from './support/failed-handover.js';
import { Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { exchange, Session } from './support/http.js';
import { ManagedDaemon } from './support/managed-daemon.js';

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

test('when the new daemon fails, the old one goes on, and with it whoever is connected', async () => {
  await withDaemon(async (daemon) => {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    const session = new Session(guest.connect(daemon.socket));
    assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
    const damaged = join(daemon.directory, 'damaged');
    mkdirSync(damaged);
    writeFileSync(join(damaged, 'devlxd.db'), 'no database at all, and long enough to be looked at'.repeat(100));
    for (let round = 0; round < 2; round++) {
      assert.match(await failedHandover(daemon, ['--state-dir', damaged]), /devlxd: .*devlxd\.db is damaged/);
      assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
      await daemon.set('c1', { 'user.mark': 'here' });
      assert.equal(await daemon.status('c1'), 'Running');
    }
    const said = daemon.log.filter(
      ({ msg }) => msg === 'the devlxd that was to take over has failed; this one goes on',
    );
    assert.equal(said.length, 2);
    assert.equal(await daemon.takeOver(), 0);
    assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
    await session.close();
    // Init exits: one daemon hears of it, once.
    guest.kill();
    await eventually('stopped', async () => (await daemon.status('c1')) === 'Stopped');
    assert.equal(daemon.log.filter(({ level }) => Number(level) >= 50).length, said.length);
  });
});

test('a daemon that dies when it has given everything away is not missed', async () => {
  await withDaemon(async (daemon) => {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    const session = new Session(guest.connect(daemon.socket));
    assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
    const before = daemon.pid;
    const leaving = daemon.takeOver();
    await eventually('everything is there', () => daemon.log.some(({ msg }) => msg === 'taken over'));
    process.kill(before, 'SIGKILL');
    await leaving;
    assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
    await session.close();
    assert.equal(await daemon.end(), 0);
  });
});

test('a takeover from nobody is a start; one from a managed daemon is refused', async () => {
  const managed = await ManagedDaemon.start();
  try {
    assert.match(
      await failedHandover(managed.daemon, ['--state-dir', join(managed.daemon.directory, 'other')]),
      /does not hand over: a service manager runs it: systemctl restart devlxd/,
    );
    assert.equal((await new Operator(() => managed.daemon).request('GET', '/1.0')).status, 200);
  } finally {
    await managed.remove();
  }
  const alone = TestDaemon.prepared();
  try {
    await alone.run(['--takeover']);
    assert.ok(alone.log.some(({ msg }) => msg === 'no devlxd runs that could be taken over from'));
  } finally {
    await alone.remove();
  }
});

test('only a takeover takes over', async () => {
  await withDaemon(async (daemon) => {
    const head = 'GET /1.0/takeover HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    const path = join(daemon.runDir, 'control.sock');
    assert.match(await exchange(connect(path), head), /^HTTP\/1\.1 400 [\s\S]*this is for devlxd serve --takeover/);
    await daemon.create('c1');
  });
});

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root, to be another user' };

test('who is let in by the group of the control socket may not take over', asRoot, async () => {
  const [uid, gid] = [65534, 12345];
  const daemon = await TestDaemon.start(['--group', `${gid}`]);
  try {
    const [program, ...options] = daemon.command(['--takeover']);
    const { status, stderr } = spawnSync(program, options, { encoding: 'utf8', uid, gid });
    assert.equal(status, 1);
    assert.match(stderr, /only root and the user that runs devlxd may take over from it/);
    await daemon.create('c1');
  } finally {
    await daemon.remove();
  }
});
