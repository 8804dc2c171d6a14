// A machine boots Debian with systemd, cloud-init and the package of devlxd-agent, which is all that was put into it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { packageRoot } from '../../src/package-root.js';
import { programs } from '../clients/next-boot.js';
import { rootFrom, unpackedFrom } from '../clients/unpacked.js';
import { TestDaemon } from '../support/daemon.js';
import { Booted } from './booted.js';
import { parts } from './packages.js';

const suite = 'trixie';
const packages = 'adduser cloud-init dbus iproute2 login netcat-openbsd openssh-server passwd sudo systemd-sysv'.split(
  ' ',
);
const userData = `#cloud-config
write_files:
- path: /root/written
  permissions: "0600"
  content: ü
runcmd:
- echo once >>/root/ran
`;
const config = {
  'cloud-init.user-data': userData,
  'cloud-init.network-config': 'version: 2\nethernets: {}\n',
  // By Unix-socket vsock nobody can prove to be root.
  'security.devlxd.nonroot': 'true',
};

const found = parts();
const root = rootFrom(suite, `boot-${suite}`, packages);
const more = unpackedFrom(suite, `udev-${suite}`, ['kmod', 'libkmod2', 'udev']);
const reason = found instanceof Error ? found.message : (root.problem ?? more.problem ?? missing());

function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, to make the disk of a machine';
  if (spawnSync('mke2fs', ['-V']).error !== undefined) return 'needs mke2fs: apt-get install e2fsprogs';
  return undefined;
}

describe('cloud-init in a machine with devlxd-agent', { skip: reason ?? false }, () => {
  const name = 'web1';
  let daemon: TestDaemon;
  let scratch: string;
  let machine: Booted;
  const said = new Map<string, string>();

  before(async () => {
    if (found instanceof Error) throw found;
    scratch = mkdtempSync(join(tmpdir(), 'devlxd-system-'));
    const disk = join(scratch, 'disk');
    run(join(programs, 'prepare-root.sh'), root.directory);
    const deb = run('node', join(packageRoot, 'scripts/build-agent-deb.mjs'), '--output', scratch).trim();
    const script = join(packageRoot, 'test/vm/programs/system-image.sh');
    run('unshare', '-m', script, root.directory, more.directory, found.kernel, deb, disk);
    daemon = await TestDaemon.start();
    await daemon.client.instances.create({ name, type: 'virtual-machine', config });
    machine = await Booted.boot(found, {
      cid: 42,
      megabytes: 512,
      modules: ['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4'],
      programs: { init: 'machine_system' },
      options: ['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe`],
      socket: daemon.socket,
      beforeBoot: (pid) => daemon.client.instances.start(name, pid),
    });
    for (const line of machine.said) {
      const [, word, value] = /found: (\w+) ?(.*?)\r?$/.exec(line) ?? [];
      if (word !== undefined) said.set(word, value ?? '');
    }
  });

  after(async () => {
    await machine?.end();
    await daemon?.remove();
    rmSync(scratch, { recursive: true, force: true });
  });

  test('the data source is found, and all stages have done what it says', () => {
    const { v1 } = JSON.parse(said.get('result') ?? '{}');
    assert.match(v1.datasource, /DataSourceLXD/);
    assert.deepEqual([v1.errors, said.get('code')], [[], '0']);
    assert.match(said.get('status') ?? '', /status: done/);
    assert.equal(said.get('hostname'), name);
    assert.equal(said.get('written'), '600 ü');
    assert.equal(said.get('ran'), 'once');
    assert.equal(said.get('failed'), '');
  });

  test('the agent’s socket is there before cloud-init looks for it', (t) => {
    const microseconds = (word: string) => Number(said.get(word));
    const order = ['socket', 'local', 'localEnd', 'final'];
    const times = order.map(microseconds);
    t.diagnostic(`microseconds: ${[...said].map((each) => each.join(' ')).join(', ')}`);
    assert.ok((times[0] ?? 0) > 0, 'systemd has made it');
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
      order.join(', '),
    );
    assert.ok(microseconds('agent') < microseconds('localEnd'));
    assert.match(said.get('memory') ?? '', /^\d+ kB$/);
  });
});

function run(program: string, ...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, words, { encoding: 'utf8' });
  assert.equal(status, 0, error?.message ?? stderr);
  return stdout;
}
