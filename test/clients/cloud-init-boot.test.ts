// cloud-init of three releases of Debian boots whole systems against the daemon: systemd, all of its stages, twice.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { programs } from './next-boot.js';
import { nspawn } from './nspawn.js';
import { rootFrom } from './unpacked.js';

const releases = [
  { suite: 'bookworm', version: /22\.4\.2/ },
  { suite: 'trixie', version: /25\.1\.4/ },
  { suite: 'sid', version: /2[6-9]\.\d/ },
];
const packages = 'adduser cloud-init dbus iproute2 login netcat-openbsd openssh-server passwd sudo systemd-sysv'.split(
  ' ',
);

const opsKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOPS ops';
const userData = `#cloud-config
users:
- default
- &ops
  name: ops
  shell: /bin/sh
  ssh_authorized_keys: &keys
  - ${opsKey}
- name: guestftp
  ssh_authorized_keys: *keys
write_files:
- path: /root/written
  permissions: "0600"
  content: ü
runcmd:
- echo once >>/root/once
`;
const vendorData = `## template: jinja
#cloud-config
bootcmd:
- echo "{{ v1.local_hostname }} {{ v1.instance_id }}" >>/root/boots
`;
const config = {
  'cloud-init.user-data': userData,
  'cloud-init.vendor-data': vendorData,
  'cloud-init.network-config': 'version: 2\nethernets: {}\n',
  'cloud-init.ssh-keys.a': 'root:ssh-ed25519 AAAAROOT mé',
  'cloud-init.ssh-keys.b': 'ops:ssh-ed25519 AAAAMORE mé',
};

function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, for root directories of its own';
  if (spawnSync('unshare', ['-m', 'sh', '-c', 'mount -t cgroup2 none /mnt']).status !== 0)
    return 'needs a kernel that mounts cgroup2';
  return nspawn.missing();
}

/** One boot: the instance is registered before its guest runs anything, or when the guest has asked and is held. */
async function boot(daemon: TestDaemon, name: string, root: string, kept: string, late: boolean): Promise<void> {
  await eventually(`${name} has stopped`, async () => (await daemon.status(name)) === 'Stopped');
  rmSync(join(kept, 'supervisor'), { force: true });
  const script = join(programs, 'boot-root.sh');
  const words = ['-m', script, root, kept, join(daemon.runDir, 'guest'), name];
  const exit = once(spawn('unshare', words, { stdio: ['ignore', 'inherit', 'inherit'] }), 'exit');
  const heldBefore = await daemon.metric('devlxd_guest_requests_held_total');
  const container = { name, directory: kept, rootFileSystem: root, mounts: [], command: [] };
  await eventually('there is an init', () => nspawn.initOf(container) !== undefined, 100);
  const pid = nspawn.initOf(container) as number;
  const held = async () => (await daemon.metric('devlxd_guest_requests_held_total')) > heldBefore;
  if (late) await eventually('the guest has asked', held, 100);
  await daemon.startInstance(name, pid);
  assert.deepEqual(await exit, [0, null], readFileSync(join(kept, 'console'), 'utf8').slice(-2000));
}

/** One of them in npm test: each takes some ten seconds, and a root of 250 MB that is kept in build/. */
const inShort = 'trixie';
const other = process.env['DEVLXD_TEST_BOOTS'] === 'all' ? undefined : 'npm run test:cloud-init boots this one as well';
const reason = missing();
for (const { suite, version } of releases) {
  const title = `cloud-init of ${suite} boots twice, the guest held at first, with ssh keys, jinja and nothing to complain of`;
  test(title, { skip: reason ?? (suite === inShort ? false : (other ?? false)) }, async (t) => {
    const { directory: root, problem } = rootFrom(suite, `boot-${suite}`, packages);
    if (problem !== undefined) return t.skip(problem);
    const prepared = spawnSync(join(programs, 'prepare-root.sh'), [root], { encoding: 'utf8' });
    assert.equal(prepared.status, 0, prepared.stderr);
    const ran = spawnSync('chroot', [root, 'cloud-init', '--version'], { encoding: 'utf8' });
    assert.match(`${ran.stdout}${ran.stderr}`, version);
    const kept = mkdtempSync(join(tmpdir(), 'devlxd-boot-'));
    const daemon = await TestDaemon.start(['--limit-hold-seconds', '60']);
    const left = (file: string) => readFileSync(join(kept, 'upper', file), 'utf8');
    const found = (file: string) => left(`root/found/${file}`);
    try {
      const name = `web-${suite}`;
      await daemon.create(name, config);
      const { config: stored } = await daemon.client.instances.get(name);
      const line = `${name} ${stored['volatile.cloud-init.instance-id']}\n`;
      for (const boots of [1, 2]) {
        await boot(daemon, name, root, kept, boots === 1);
        assert.deepEqual([found('code'), found('status')], ['0\n', found('status')], found('status'));
        assert.match(found('status'), /status: done/);
        assert.deepEqual(JSON.parse(found('result.json')).v1.errors, []);
        assert.match(JSON.parse(found('result.json')).v1.datasource, /DataSourceLXD/);
        assert.equal(left('root/boots'), line.repeat(boots), 'jinja is rendered, at each boot');
        assert.equal(left('root/once'), 'once\n', 'it is the same instance');
      }
      assert.equal(left('etc/hostname'), `${name}\n`);
      assert.equal(left('root/written'), 'ü');
      assert.match(left('root/.ssh/authorized_keys'), /ssh-ed25519 AAAAROOT mé/);
      assert.deepEqual(keysIn(left('home/ops/.ssh/authorized_keys')), [opsKey, 'ssh-ed25519 AAAAMORE mé'].sort());
      assert.deepEqual(keysIn(left('home/guestftp/.ssh/authorized_keys')), [opsKey]);
    } finally {
      await daemon.remove();
      rmSync(kept, { recursive: true, force: true });
    }
  });
}

function keysIn(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}
