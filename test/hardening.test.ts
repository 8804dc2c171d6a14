import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import type { FollowedFleet } from '../src/api/types.js';
import { identityMethods } from '../src/gate/gate.js';
import { packageRoot } from '../src/package-root.js';
import { TestDaemon } from './support/daemon.js';
import { Etcd, needsEtcd } from './support/etcd.js';
import { EventStream } from './support/event-stream.js';
import { eventually } from './support/eventually.js';
import { FakeLxd } from './support/fake-lxd.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask, Session } from './support/http.js';
import { ManagedDaemon } from './support/managed-daemon.js';
import { becomesAnotherUser } from './support/other-users.js';

const packaging = join(packageRoot, 'packaging');
const unit = join(packaging, 'devlxd.service');
const uid = 64_999;

let guests: Guests;
let scratch: string;

before(() => {
  guests = new Guests();
  scratch = mkdtempSync(join(tmpdir(), 'devlxd-hardening-'));
  chmodSync(scratch, 0o755);
});

after(async () => {
  await guests.close();
  rmSync(scratch, { recursive: true });
});

/** Says why a test cannot run here, and true. */
function cannot(t: TestContext, ...programs: string[]): boolean {
  const missing = programs.filter((program) => spawnSync(program, ['--version']).error !== undefined);
  const reason = missing.length > 0 ? `needs ${missing.join(', ')}: apt-get install systemd util-linux` : undefined;
  if (reason !== undefined) t.skip(reason);
  return reason !== undefined;
}

/** The units where systemd-analyze may look at them, with a program that is here. */
function unitFiles(): string[] {
  return ['devlxd.service', 'devlxd.socket', 'devlxd-control.socket', 'devlxd-vsock.socket'].map((name) => {
    const copy = join(scratch, name);
    const text = readFileSync(join(packaging, name), 'utf8');
    writeFileSync(copy, text.replace('/usr/bin/node ', `${process.execPath} `));
    return copy;
  });
}

test('the units are what systemd understands, and hardly exposed', (t) => {
  if (cannot(t, 'systemd-analyze')) return;
  const files = unitFiles();
  mkdirSync(join(scratch, 'devlxd.service.d'));
  for (const name of ['lxd.conf', 'incus.conf'])
    copyFileSync(join(packaging, name), join(scratch, 'devlxd.service.d', name));
  const verified = () => {
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' });
    return [status, stderr];
  };
  assert.deepEqual(verified(), [0, '']);
  const { stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', files[0] as string], {
    encoding: 'utf8',
  });
  const [, exposure] = /Overall exposure level for devlxd.service: ([\d.]+)/.exec(stdout) ?? [];
  assert.ok(Number(exposure) <= 1.5, stdout);
  copyFileSync(join(packaging, 'fleet.conf'), join(scratch, 'devlxd.service.d/fleet.conf'));
  assert.deepEqual(verified(), [0, '']);
});

/** A daemon under the unit's restrictions. changed: what the unit says instead; writable: beside its own directory */
function hardened(
  options: readonly string[],
  changed = (text: string): string => text,
  writable: readonly string[] = [],
): Promise<ManagedDaemon> {
  const file = join(scratch, 'under-test.service');
  writeFileSync(file, changed(readFileSync(unit, 'utf8')));
  // The directory is known when the daemon is prepared, and the wrapper is used after that.
  const wrapper = ['python3', join(packageRoot, 'test/support/sandbox.py'), file, String(uid), '', '--'];
  const prepare = (daemon: TestDaemon): void => {
    const directory = join(daemon.directory, 'state');
    mkdirSync(directory);
    chownSync(directory, uid, uid);
    wrapper[4] = [directory, ...writable].join(':');
  };
  return ManagedDaemon.start(options, { wrapper, prepare });
}

for (const path of identityMethods) {
  test(`it works under the unit's restrictions, on ${path}`, becomesAnotherUser, async (t) => {
    if (cannot(t, 'systemd-analyze', 'setpriv')) return;
    const managed = await hardened(['--identity', path]);
    try {
      const { daemon } = managed;
      const operator = new Operator(() => daemon);
      const guest = guests.one();
      await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
      for (const connecting of [
        {},
        { child: true },
        { nested: 1, child: true },
        { child: true, dies: 'zombie' } as const,
      ])
        assert.equal((await ask(guest.connect(daemon.socket, connecting), '/1.0/config/user.mark')).body, 'here');
      const session = new Session(guest.connect(daemon.socket));
      assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
      const listener = await EventStream.webSocket(guest, daemon.socket);
      await operator.metadata('PATCH', '/1.0/instances/c1', { config: { 'user.mark': 'there' } });
      await listener.atLeast(1);
      await managed.again('restart');
      assert.equal(await listener.closed, 1012);
      assert.equal((await session.ask('/1.0/config/user.mark')).body, 'there');
      await session.close();
      assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.mark')).body, 'there');
      assert.match((await operator.request('GET', '/1.0/metrics')).body, /^devlxd_instances/m);
    } finally {
      assert.equal(await managed.remove(), 0);
    }
  });
}

test(
  'with the drop-in for LXD it can take the socket of its guests, without it it cannot',
  becomesAnotherUser,
  async (t) => {
    if (cannot(t, 'systemd-analyze', 'setpriv')) return;
    const lxd = new FakeLxd();
    await lxd.start();
    const guest = guests.one();
    lxd.add('web', { config: { 'user.whose': 'of devlxd' }, pid: guest.pid });
    const whose = async () => (await ask(guest.connect(lxd.guestSocket), '/1.0/config/user.whose')).body;
    const dropIn = readFileSync(join(packaging, 'lxd.conf'), 'utf8');
    const [, more = ''] = /^AmbientCapabilities=(.*)$/m.exec(dropIn) ?? [];
    const withDropIn = (text: string) => text.replaceAll(/^(\w*Capabilit\w+=CAP_SYS_PTRACE)$/gm, `$1 ${more}`);
    const options = ['--source', `lxd:${lxd.socket}`, '--log-level', 'fatal'];
    try {
      const without = await hardened(options);
      try {
        assert.equal(await whose(), 'of LXD');
        assert.deepEqual((await without.daemon.client.instances.list()).length, 0);
      } finally {
        await without.remove();
      }
      const managed = await hardened(options, withDropIn, [dirname(lxd.socket)]);
      try {
        await eventually('the socket is taken', async () => (await whose()) === 'of devlxd');
      } finally {
        assert.equal(await managed.remove(), 0);
      }
      assert.equal(await whose(), 'of LXD');
    } finally {
      await lxd.remove();
    }
  },
);

test('with the drop-in for a fleet it reaches etcd, without it it has no network', becomesAnotherUser, async (t) => {
  if (cannot(t, 'systemd-analyze', 'setpriv')) return;
  if (needsEtcd.skip) {
    t.skip(String(needsEtcd.skip));
    return;
  }
  const etcd = await Etcd.start();
  const dropIn = readFileSync(join(packaging, 'fleet.conf'), 'utf8');
  const options = ['--source', 'etcd', '--etcd-endpoints', etcd.endpoints, '--etcd-host', 'h1', '--log-level', 'fatal'];
  const isReached = async ({ daemon }: ManagedDaemon): Promise<boolean> => {
    const read = async () => (await daemon.client.request('GET', '/1.0/source')) as FollowedFleet;
    await eventually('it has tried', async () => (await read()).connected || (await read()).away !== '');
    return (await read()).connected;
  };
  try {
    for (const [added, expected] of [
      ['', false],
      [dropIn, true],
    ] as const) {
      const managed = await hardened(options, (text) => `${text}\n${added}`);
      try {
        assert.equal(await isReached(managed), expected);
      } finally {
        await managed.remove();
      }
    }
  } finally {
    await etcd.remove();
  }
});

test('the restrictions are there', becomesAnotherUser, async (t) => {
  if (cannot(t, 'systemd-analyze', 'setpriv')) return;
  const managed = await hardened([]);
  try {
    const status = readFileSync(`/proc/${managed.pid}/status`, 'utf8');
    assert.match(status, new RegExp(`^Uid:\\s+${uid}\\s`, 'm'));
    const ptrace = (1n << 19n).toString(16).padStart(16, '0');
    for (const set of ['Prm', 'Eff', 'Bnd', 'Amb']) assert.match(status, new RegExp(`^Cap${set}:\\s+${ptrace}$`, 'm'));
    assert.match(status, /^NoNewPrivs:\s+1$/m);
    assert.match(status, /^Seccomp:\s+2$/m);
    const operator = new Operator(() => managed.daemon);
    const follower = await operator.follow('?type=lifecycle');
    await operator.metadata('POST', '/1.0/instances', { name: 'c1' });
    await eventually('an event', () => follower.events.length > 0);
    const requestor = follower.events[0]?.metadata['requestor'] as { username: string };
    assert.equal(requestor.username, 'root'); // and not by its number, though the daemon is another user
    follower.end();
  } finally {
    await managed.remove();
  }
});

test('where it can have no socket of vsock it says so, and what to do', becomesAnotherUser, async (t) => {
  if (cannot(t, 'systemd-analyze', 'setpriv')) return;
  const daemon = TestDaemon.prepared(['--vsock-port', '1234']);
  chownSync(daemon.directory, uid, uid);
  const sandbox = join(packageRoot, 'test/support/sandbox.py');
  const words = [sandbox, unit, String(uid), daemon.directory, '--', ...daemon.command()];
  const { status, stderr } = spawnSync('python3', words, { encoding: 'utf8', timeout: 60_000 });
  await daemon.remove();
  assert.deepEqual([status, stderr.includes('this kernel has no vsock(7)')], [1, true], stderr);
  assert.match(stderr, /Cannot listen on vsock port 1234 \(--vsock-port\): .*enable devlxd-vsock\.socket instead\./);
});

test('without its one capability it can register nobody', becomesAnotherUser, async (t) => {
  if (cannot(t, 'systemd-analyze', 'setpriv')) return;
  const managed = await hardened([], (text) => text.replaceAll(/^(\w*Capabilit\w+)=CAP_SYS_PTRACE$/gm, '$1='));
  try {
    const guest: Guest = guests.one();
    await assert.rejects(managed.daemon.register('c1', guest.pid), /The daemon may not inspect process/);
  } finally {
    await managed.remove();
  }
});
