import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, type TestContext, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask } from './support/http.js';

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

/** A daemon whose store lies on a small disk. */
class SmallDisk {
  readonly daemon: TestDaemon;
  readonly operator: Operator;

  private constructor(daemon: TestDaemon) {
    this.daemon = daemon;
    this.operator = new Operator(() => daemon);
  }

  static async with(t: TestContext, work: (disk: SmallDisk) => Promise<void>): Promise<void> {
    if (process.getuid?.() !== 0) return t.skip('needs root, to mount a small tmpfs');
    const daemon = TestDaemon.prepared();
    mkdirSync(daemon.stateDir);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'devlxd-test', daemon.stateDir]).status !== 0) {
      await daemon.remove();
      return t.skip('cannot mount a tmpfs');
    }
    try {
      await daemon.run();
      await work(new SmallDisk(daemon));
    } finally {
      await daemon.end();
      spawnSync('umount', ['-l', daemon.stateDir]);
      await daemon.remove();
    }
  }

  /** Not a byte is left, in the log of the store either. */
  async fill(): Promise<void> {
    spawnSync('dd', ['if=/dev/zero', `of=${this.#ballast}`, 'bs=512']);
    const pad = { config: { 'user.pad': 'p'.repeat(3000) } };
    for (let n = 0; n < 100; n++) {
      const { status } = await this.operator.request('PATCH', '/1.0/instances/filler', pad);
      pad.config['user.pad'] += n;
      if (status === 507) return;
    }
    assert.fail('the disk is not full');
  }

  free(): void {
    rmSync(this.#ballast);
  }

  get #ballast(): string {
    return join(this.daemon.stateDir, 'ballast');
  }
}

function unstored(daemon: TestDaemon): Promise<number> {
  return daemon.metric('devlxd_store_changes_unstored');
}

/** Inits of c1 and c2 exit on a full disk; c3 runs on. */
async function exitOnFullDisk(disk: SmallDisk): Promise<Guest> {
  const { daemon } = disk;
  const [one, two, three] = guests.spawn(3) as [Guest, Guest, Guest];
  await daemon.create('filler');
  for (const [n, guest] of [one, two, three].entries())
    await daemon.register(`c${n + 1}`, guest.pid, { 'user.mark': `of ${n + 1}` });
  await disk.fill();
  one.kill();
  two.kill();
  for (const name of ['c1', 'c2']) await eventually('stopped', async () => (await daemon.status(name)) === 'Stopped');
  assert.equal(await unstored(daemon), 2);
  return three;
}

test('an init that exits on a full disk does not run, and its next one starts once there is room', async (t) => {
  await SmallDisk.with(t, async (disk) => {
    const { daemon, operator } = disk;
    const three = await exitOnFullDisk(disk);
    const next = guests.one();
    await assert.rejects(daemon.startInstance('c1', next.pid), /is full/);
    assert.equal(await daemon.status('c1'), 'Stopped');
    assert.match(await operator.error('DELETE', '/1.0/instances/c1'), /is full/);
    assert.match(await operator.error('POST', '/1.0/instances/c1', { name: 'c9' }), /is full/);
    const asked = async (): Promise<string> => (await ask(three.connect(daemon.socket), '/1.0/config/user.mark')).body;
    await assert.rejects(daemon.stopInstance('c3'), /is full; nothing was changed/);
    assert.deepEqual([await daemon.status('c3'), await asked()], ['Running', 'of 3']);
    disk.free();
    await eventually('stored', async () => (await unstored(daemon)) === 0);
    await daemon.startInstance('c1', next.pid);
    assert.equal((await ask(next.connect(daemon.socket), '/1.0/config/user.mark')).body, 'of 1');
    await daemon.stopInstance('c3');
    assert.notEqual(await asked(), 'of 3');
    await daemon.end('SIGKILL');
    await daemon.run();
    const statuses = await Promise.all(['c1', 'c2', 'c3'].map((name) => daemon.status(name)));
    assert.deepEqual(statuses, ['Running', 'Stopped', 'Stopped']);
  });
});

test("a runtime's hook starts a container again whose exit could not be stored", async (t) => {
  await SmallDisk.with(t, async (disk) => {
    await exitOnFullDisk(disk);
    disk.free();
    const next = guests.one();
    const environment = { LXC_NAME: 'c1', LXC_HOOK_TYPE: 'start-host', LXC_PID: `${next.pid}` };
    const { body } = await disk.operator.request('POST', '/1.0/hooks/lxc', { arguments: [], environment, input: '' });
    assert.equal(body, 'ok\n');
    assert.equal(await disk.daemon.status('c1'), 'Running');
  });
});

for (const [how, again] of Object.entries({
  'a takeover': (daemon: TestDaemon) => daemon.takeOver(),
  'a restart': async (daemon: TestDaemon) => {
    await daemon.end();
    await daemon.run();
  },
  'kill -9': async (daemon: TestDaemon) => {
    await daemon.end('SIGKILL');
    await daemon.run();
  },
})) {
  test(`${how} on a full disk: what exited before does not run, what runs is answered`, async (t) => {
    await SmallDisk.with(t, async (disk) => {
      const { daemon } = disk;
      const three = await exitOnFullDisk(disk);
      await again(daemon);
      const statuses = await Promise.all(['c1', 'c2', 'c3'].map((name) => daemon.status(name)));
      assert.deepEqual(statuses, ['Stopped', 'Stopped', 'Running']);
      assert.equal((await ask(three.connect(daemon.socket), '/1.0/config/user.mark')).body, 'of 3');
      disk.free();
      await eventually('stored', async () => (await unstored(daemon)) === 0);
      await daemon.startInstance('c1', guests.one().pid);
    });
  });
}

test('whatever would be written on a full disk is refused, leaves nothing, and works once there is room', async (t) => {
  await SmallDisk.with(t, async (disk) => {
    const { daemon, operator } = disk;
    const three = await exitOnFullDisk(disk);
    const image = 'i'.repeat(300_000);
    const ready = () => ask(three.connect(daemon.socket), '/1.0', { method: 'PATCH', body: '{"state":"Ready"}' });
    const told = async (path: string) => (await ask(three.connect(daemon.socket), path)).body;
    const writes: Readonly<Record<string, () => Promise<unknown>>> = {
      set: () => daemon.set('c3', { 'user.mark': 'n'.repeat(5000) }),
      create: () => daemon.create('c4'),
      profile: () =>
        daemon.client.request('POST', '/1.0/profiles', { name: 'p', config: { 'user.pad': 'p'.repeat(5000) } }),
      project: () => daemon.client.request('POST', '/1.0/projects', { name: 'p' }),
      image: () =>
        daemon.client.upload('/1.0/images', Readable.from([image]), image.length, { 'x-lxd-public': 'true' }),
    };
    for (const [what, write] of Object.entries(writes)) await assert.rejects(write(), /is full/, what);
    const environment = { LXC_NAME: 'c1', LXC_HOOK_TYPE: 'start-host', LXC_PID: `${guests.one().pid}` };
    assert.match(
      (await operator.request('POST', '/1.0/hooks/lxc', { arguments: [], environment, input: '' })).body,
      /is full/,
    );
    assert.ok((await ready()).status >= 500);
    assert.match(await told('/1.0'), /"state":"Started"/);
    assert.equal(await told('/1.0/config/user.mark'), 'of 3');
    disk.free();
    await eventually('stored', async () => (await unstored(daemon)) === 0);
    for (const write of Object.values(writes)) await write();
    assert.equal((await ready()).status, 200);
    assert.match(await told('/1.0'), /"state":"Ready"/);
    await daemon.end('SIGKILL');
    await daemon.run();
    assert.match(await told('/1.0'), /"state":"Ready"/);
  });
});
