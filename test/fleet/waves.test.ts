import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { HostShown } from '../../src/fleet/fleet-hosts.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { Endpoint, fleetCommand } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';
import type { Guest } from '../support/guest-processes.js';

/** A host of the first of two waves of the profile "web", and one of the second. */
let etcd: Etcd;
let endpoint: Endpoint;
let early: FleetHost;
let late: FleetHost;
let guests: Guest[];

const [first, second] = [0, 1].map((wave) => {
  const names = Array.from({ length: 20 }, (_, index) => `h${index}`);
  const waveOf = (name: string) =>
    createHash('sha256')
      .update(JSON.stringify([name, 'default', 'web']))
      .digest()
      .readUInt32BE() % 2;
  return names.find((name) => waveOf(name) === wave) as string;
}) as [string, string];

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start();
  etcd.put('shared/profile/default/web', { config: { 'user.role': 'v1' } });
  [early, late, endpoint] = await Promise.all([
    FleetHost.start(etcd, first),
    FleetHost.start(etcd, second),
    Endpoint.start(etcd),
  ]);
  guests = [await early.running('a', { profiles: ['web'] }), await late.running('b', { profiles: ['web'] })];
});

after(async () => {
  await endpoint?.remove();
  await early?.remove();
  await late?.remove();
  await etcd?.remove();
});

async function hears(host: FleetHost, value: string): Promise<void> {
  await host.hears(guests[host === early ? 0 : 1] as Guest, 'user.role', value);
}

async function set(value: string, waves?: { seconds: number }): Promise<void> {
  const query = waves === undefined ? {} : { waves: '2', 'wave-seconds': String(waves.seconds) };
  await endpoint.client.profiles.patch('web', { config: { 'user.role': value } }, undefined, query);
}

function shown(name: string): HostShown | undefined {
  const { stdout, stderr } = fleetCommand(etcd, ['fleet', 'hosts', '--format', 'json']);
  assert.equal(stderr, '');
  return (JSON.parse(stdout) as HostShown[]).find(({ host }) => host === name);
}

test('the hosts of a later wave keep what they have until it is their turn', needsEtcd, async () => {
  await set('v2', { seconds: 3600 });
  await hears(early, 'v2');
  await eventually('the other one tells that it waits', () => shown(second)?.state === 'in a later wave');
  await hears(late, 'v1');
  assert.deepEqual(shown(second)?.later, [{ name: 'profile default/web', wave: 2, waves: 2, stopped: false }]);
  assert.equal(shown(first)?.state, 'in step');
  const { hosts } = (await endpoint.client.request('GET', '/1.0/fleet/applied?profile=web&timeout=0')) as {
    hosts: object;
  };
  assert.deepEqual(hosts, { [first]: 'applied', [second]: 'behind' });
});

test('other changes are not kept waiting, and a restart does not hurry it', needsEtcd, async () => {
  late.put('b', { profiles: ['web'], config: { 'user.own': '1' } });
  await late.hears(guests[1] as Guest, 'user.own', '1');
  await hears(late, 'v1');
  await late.daemon.end('SIGKILL');
  await late.daemon.run();
  await late.inStep();
  await hears(late, 'v1');
});

test('it is halted, and goes on', needsEtcd, async () => {
  const { status, stderr } = fleetCommand(etcd, ['fleet', 'rollout', 'web', '--stop']);
  assert.deepEqual([status, stderr], [0, '']);
  await eventually('it is halted', () => shown(second)?.later[0]?.stopped === true);
  await hears(late, 'v1');
  await hears(early, 'v2');
  await endpoint.client.profiles.patch('web', {}, undefined, { rollout: 'resume' });
  await eventually('it goes on', () => shown(second)?.later[0]?.stopped === false);
  await hears(late, 'v1');
  await set('v3', { seconds: 1 });
  await hears(early, 'v3');
  await hears(late, 'v3');
  await eventually('nothing waits', () => shown(second)?.state === 'in step');
});

test('a change that is made without waves is everywhere at once', needsEtcd, async () => {
  await set('v4', { seconds: 3600 });
  await hears(early, 'v4');
  await set('v5');
  await hears(late, 'v5');
  await hears(early, 'v5');
  await assert.rejects(
    endpoint.client.profiles.patch('web', {}, undefined, { rollout: 'stop' }),
    /not being taken in waves/,
  );
  await assert.rejects(endpoint.client.profiles.patch('web', {}, undefined, { waves: '0' }), /from 1 to 1000/);
  await assert.rejects(
    early.daemon.client.profiles.patch('default', {}, undefined, { waves: '2' }),
    /only the hosts of a fleet/,
  );
});
