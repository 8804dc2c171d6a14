import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Etcd, etcdOf } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { Endpoint } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';
import type { Guest } from '../support/guest-processes.js';

/** Other etcds than that of the other tests: 3.4.23 of Debian 12, whose word on its progress is not taken, and the newest. */
for (const suite of ['bookworm', 'sid'] as const) {
  const { directory, problem } = etcdOf(suite);

  test(`the etcd of ${suite}`, { skip: problem ?? false }, async (t) => {
    const etcd = await Etcd.start({ members: 3, directory });
    const [host, endpoint] = await Promise.all([FleetHost.start(etcd, 'h1'), Endpoint.start(etcd)]);
    try {
      const version = /etcdctl version: (\S+)/.exec(etcd.does('version'))?.[1] ?? '';
      t.diagnostic(version);
      assert.equal(version.startsWith('3.4.'), suite === 'bookworm');
      etcd.put('shared/profile/default/web', { config: { 'user.p': '1' } });
      const guest = await host.running('c1', { profiles: ['web'], config: { 'user.a': '1' } });
      await t.test('changes are heard, and what is applied is told', () => changes(host, endpoint, guest));
      await t.test('members are killed; each value is heard', () => kills(etcd, host, guest));
      await t.test('what is compacted meanwhile is read anew', () => compaction(etcd, host, guest));
    } finally {
      await endpoint.remove();
      await host.remove();
      await etcd.remove();
    }
  });
}

function put(host: FleetHost, value: string): void {
  host.put('c1', { profiles: ['web'], config: { 'user.a': value } });
}

/** Of own keys, and of shared ones. */
async function changes(host: FleetHost, { client }: Endpoint, guest: Guest): Promise<void> {
  const applied = async (about: string) => {
    const answer = await client.request('GET', `/1.0/fleet/applied?${about}&timeout=30`);
    assert.deepEqual((answer as { hosts: object }).hosts, { h1: 'applied' });
  };
  await client.instances.patch('c1', { config: { 'user.a': '2' } });
  await host.hears(guest, 'user.a', '2');
  await applied('instance=c1');
  await client.profiles.patch('web', { config: { 'user.p': '2' } });
  await host.hears(guest, 'user.p', '2');
  await applied('profile=web');
}

async function kills(etcd: Etcd, host: FleetHost, guest: Guest): Promise<void> {
  for (let member = 0; member < etcd.size; member++) {
    await etcd.kill(member);
    await etcd.ready();
    put(host, `k${member}`);
    await host.hears(guest, 'user.a', `k${member}`);
    etcd.launch(member);
    await etcd.ready();
  }
}

async function compaction(etcd: Etcd, host: FleetHost, guest: Guest): Promise<void> {
  host.daemon.signal('SIGSTOP');
  await etcd.killAll();
  etcd.launchAll();
  await etcd.ready();
  put(host, 'after');
  const { header } = JSON.parse(etcd.does('endpoint', 'status', '-w', 'json'))[0].Status;
  etcd.does('compact', String(header.revision));
  host.daemon.signal('SIGCONT');
  await eventually('it is heard', async () => (await host.answer(guest, 'user.a')) === 'after', 60);
}
