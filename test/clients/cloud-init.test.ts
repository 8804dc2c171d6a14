// Debian's own cloud-init, unpacked and not installed, against the daemon.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TestDaemon } from '../support/daemon.js';
import { guestsCannotRead } from '../support/other-users.js';
import { debianCloudInit } from './debian-cloud-init.js';
import { type Boot, nextBoot, programs } from './next-boot.js';

const { directory: debian, problem } = debianCloudInit();
const dsIdentify = join(debian, 'usr/lib/cloud-init/ds-identify');

const nonAscii = '#!/bin/sh\necho "Grüße, 世界, 🐧"\n';
const megabyte = `${nonAscii}: <<'END'\n${'zwölf Zeichen '.repeat(70_000)}\nEND\n`;
const network = { version: 2, ethernets: { eth0: { dhcp4: true, addresses: ['10.0.0.2/24'] } } };
const config = {
  'cloud-init.user-data': megabyte,
  'cloud-init.vendor-data': '#cloud-config\nfinal_message: "süß ☃"\n',
  'cloud-init.network-config': JSON.stringify(network),
  'user.role': 'wéb',
};
const devices = { eth0: { type: 'nic', nictype: 'bridged', parent: 'br0', hwaddr: '00:16:3e:00:00:01' } };

interface BootResult {
  readonly source: string;
  /** check_instance_id of the data source that the boot before has left; null at the first boot */
  readonly same_instance: boolean | null;
  readonly restored: boolean;
  readonly instance_id: string;
  readonly hostname: string;
  readonly user_data: string | null;
  readonly vendor_data: string | null;
  readonly network: unknown;
  readonly network_source: string;
}

describe('cloud-init', { skip: problem ?? guestsCannotRead }, () => {
  const environment = {
    PYTHONPATH: join(debian, 'usr/lib/python3/dist-packages'),
    PYTHONDONTWRITEBYTECODE: '1',
    PATH_RUN: '/dev/shm',
    PATH_SYS_CLASS_DMI_ID: '/nonexistent', // what machine the tests run on does not matter
    DI_LOG: 'stderr',
  };
  let daemon: TestDaemon;
  let directory: string;

  before(async () => {
    daemon = await TestDaemon.start();
    directory = mkdtempSync(join(tmpdir(), 'devlxd-cloud-init-'));
    chmodSync(directory, 0o755);
    await daemon.create('c1', config, devices);
    await daemon.create('plain');
  });

  after(async () => {
    await daemon.remove();
    rmSync(directory, { recursive: true });
  });

  async function output(name: string, command: readonly string[], how: Partial<Boot> = {}): Promise<string> {
    const ran = await nextBoot(daemon, name, { command, ...how, environment: { ...environment, ...how.environment } });
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout;
  }

  async function instanceId(name: string): Promise<string | undefined> {
    return (await daemon.client.instances.get(name)).config['volatile.cloud-init.instance-id'];
  }

  /** Each instance has its own /var/lib. */
  async function boot(name: string): Promise<BootResult> {
    const lib = join(directory, name);
    mkdirSync(lib, { recursive: true });
    chmodSync(lib, 0o777); // the guest's root is another uid
    return JSON.parse(await output(name, ['/usr/bin/python3', join(programs, 'boot.py'), lib])) as BootResult;
  }

  for (const [how, boot] of [
    ['', {}],
    [' behind a proxy', { environment: { http_proxy: 'http://proxy.invalid:3128' } }],
    [' to a guest that asks before it is registered', { early: true }],
  ] as const) {
    test(`python3 -m cloudinit.sources.DataSourceLXD prints the data${how}`, async () => {
      const command = ['/usr/bin/python3', '-m', 'cloudinit.sources.DataSourceLXD'];
      assert.deepEqual(JSON.parse(await output('c1', command, boot)), {
        _metadata_api_version: '1.0',
        config,
        devices,
        'meta-data': `#cloud-config\ninstance-id: ${await instanceId('c1')}\nlocal-hostname: c1\n`,
        'user-data': config['cloud-init.user-data'],
        'vendor-data': config['cloud-init.vendor-data'],
        'network-config': config['cloud-init.network-config'],
      });
    });
  }

  const identify = ['/bin/sh', '-c', '/bin/sh "$0" --force && cat /dev/shm/cloud-init/cloud.cfg', dsIdentify];

  test('ds-identify --force chooses LXD', async () => {
    assert.match(await output('c1', identify), /^datasource_list: \[ LXD, None \]$/m);
  });

  test('ds-identify does not choose LXD where there is no socket', async () => {
    const empty = join(directory, 'empty');
    mkdirSync(empty);
    const { stdout, stderr } = await nextBoot(daemon, 'c1', { command: identify, environment, devLxd: empty });
    assert.doesNotMatch(stdout, /LXD/);
    assert.match(stderr, /No ds found/);
  });

  test('the data source finds everything; it is valid for the next boot, and not after an id change', async () => {
    const expected = {
      source: 'DataSourceLXD',
      hostname: 'c1',
      user_data: config['cloud-init.user-data'],
      vendor_data: config['cloud-init.vendor-data'],
      network,
      network_source: 'ds',
    };
    const first = { ...expected, instance_id: await instanceId('c1') };
    assert.deepEqual(await boot('c1'), { ...first, same_instance: null, restored: false });
    assert.deepEqual(await boot('c1'), { ...first, same_instance: true, restored: true });
    await daemon.set('c1', { 'user.role': 'which changes no id' });
    assert.deepEqual(await boot('c1'), { ...first, same_instance: true, restored: true });
    await daemon.set('c1', { 'cloud-init.user-data': nonAscii });
    const changed = { ...expected, user_data: nonAscii, instance_id: await instanceId('c1') };
    assert.notEqual(changed.instance_id, first.instance_id);
    assert.deepEqual(await boot('c1'), { ...changed, same_instance: false, restored: false });
  });

  test('an instance with nothing set still has a host name and an id', async () => {
    const { source, hostname, instance_id, user_data, vendor_data } = await boot('plain');
    const found = { source, hostname, instance_id, user_data, vendor_data };
    const id = await instanceId('plain');
    const nothing = { user_data: null, vendor_data: null };
    assert.deepEqual(found, { source: 'DataSourceLXD', hostname: 'plain', instance_id: id, ...nothing });
  });

  test('ssh keys arrive in its vendor-data', async () => {
    await daemon.set('plain', { 'cloud-init.ssh-keys.me': 'root:ssh-ed25519 AAAA mé' });
    const { same_instance, vendor_data } = await boot('plain');
    assert.equal(same_instance, false);
    assert.match(vendor_data ?? '', /^#cloud-config\nusers:\n- name: "root"\n.*- "ssh-ed25519 AAAA mé" #lxd/s);
  });
});
