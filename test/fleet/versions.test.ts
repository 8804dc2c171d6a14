import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Etcd, etcdOf } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { Endpoint } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';
import type { Guest } from '../support/guest-processes.js';

/** etcd 3.4.23 of Debian 12, whose word on its progress is not taken. */
const old = etcdOf('bookworm');
const needsOld = { skip: old.problem ?? false };
let etcd: Etcd;
let host: FleetHost;
let endpoint: Endpoint;
let guest: Guest;

before(async () => {
  if (needsOld.skip) return;
  etcd = await Etcd.start({ members: 3, directory: old.directory });
  [host, endpoint] = await Promise.all([FleetHost.start(etcd, 'h1'), Endpoint.start(etcd)]);
  etcd.put('shared/profile/default/web', { config: { 'user.p': '1' } });
  guest = await host.running('c1', { profiles: ['web'], config: { 'user.a': '1' } });
});

after(async () => {
  await endpoint?.remove();
  await host?.remove();
  await etcd?.remove();
});

test('changes are heard, and what is applied is told, of own and of shared keys', needsOld, async () => {
  assert.match(etcd.does('version'), /3\.4\./);
  for (const [what, change] of [
    ['user.a', () => endpoint.client.instances.patch('c1', { config: { 'user.a': '2' } })],
    ['user.p', () => endpoint.client.profiles.patch('web', { config: { 'user.p': '2' } })],
  ] as const) {
    await change();
    await host.hears(guest, what, '2');
    const about = what === 'user.a' ? 'instance=c1' : 'profile=web';
    const { hosts } = (await endpoint.client.request('GET', `/1.0/fleet/applied?${about}&timeout=30`)) as {
      hosts: object;
    };
    assert.deepEqual(hosts, { h1: 'applied' });
  }
});

test('members are killed, and history is compacted; each last value is heard', needsOld, async () => {
  for (let member = 0; member < etcd.size; member++) {
    await etcd.kill(member);
    await etcd.ready();
    host.put('c1', { profiles: ['web'], config: { 'user.a': `k${member}` } });
    await host.hears(guest, 'user.a', `k${member}`);
    etcd.launch(member);
    await etcd.ready();
  }
  host.daemon.signal('SIGSTOP');
  await etcd.killAll();
  etcd.launchAll();
  await etcd.ready();
  host.put('c1', { profiles: ['web'], config: { 'user.a': 'after' } });
  const { header } = JSON.parse(etcd.does('endpoint', 'status', '-w', 'json'))[0].Status;
  etcd.does('compact', String(header.revision));
  host.daemon.signal('SIGCONT');
  await eventually('it is heard', async () => (await host.answer(guest, 'user.a')) === 'after', 60);
});
