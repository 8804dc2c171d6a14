import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { instancePath } from '../../src/cli/with-client.js';
import { CommandLine } from '../support/command.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { FleetHost } from '../support/fleet-host.js';
import { Operator } from '../support/host.js';

let etcd: Etcd;
let host: FleetHost;
const operator = new Operator(() => host.daemon);
const commandLine = new CommandLine(() => host.daemon);

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start();
  host = await FleetHost.start(etcd, 'h1');
});

after(async () => {
  await host?.remove();
  await etcd?.remove();
});

test('what is put into etcd is what the guest is told, and only etcd changes it', needsEtcd, async () => {
  const guest = await host.running('c1', { config: { 'user.a': '1' } });
  assert.equal(await host.answer(guest, 'user.a'), '1');
  host.put('c1', { config: { 'user.a': '2' } });
  await host.hears(guest, 'user.a', '2');
  const refused = '409 The instance "c1" belongs to the fleet; change it there: devlxd --fleet (docs/fleet.md)';
  for (const [method, path, body] of [
    ['PATCH', instancePath('c1'), { config: { 'user.a': '3' } }],
    ['PUT', instancePath('c1'), { config: {} }],
    ['POST', instancePath('c1'), { name: 'c9' }],
    ['DELETE', instancePath('c1'), undefined],
  ] as const)
    assert.equal(await operator.error(method, path, body), refused, method);
  assert.match(commandLine.does('list'), /c1 +RUNNING .* etcd\n/);
});

test('a shared profile changes all instances that use it, and only etcd changes it', needsEtcd, async () => {
  etcd.put('shared/profile/default/web', { config: { 'user.p': '1' } });
  const all = await Promise.all(['p1', 'p2', 'p3'].map((name) => host.running(name, { profiles: ['web'] })));
  for (const guest of all) assert.equal(await host.answer(guest, 'user.p'), '1');
  etcd.put('shared/profile/default/web', { config: { 'user.p': '2' } });
  for (const guest of all) await host.hears(guest, 'user.p', '2');
  const refused = /^409 The profile "web" belongs to the fleet/;
  assert.match(await operator.error('PATCH', '/1.0/profiles/web', { config: { 'user.p': '3' } }), refused);
  assert.match(await operator.error('DELETE', '/1.0/profiles/web'), refused);
  assert.match(commandLine.does('profile', 'list'), /web/);
});

test('a deleted profile stays for as long as an instance uses it', needsEtcd, async () => {
  etcd.put('shared/profile/default/old', { config: { 'user.p': 'old' } });
  const guest = await host.running('keeps', { profiles: ['old'] });
  etcd.does('del', '/devlxd/shared/profile/default/old');
  host.put('keeps', { profiles: ['old'], config: { 'user.q': '1' } });
  await eventually('it is refused', async () => (await host.source()).refused.length > 0);
  assert.deepEqual((await host.source()).refused, [
    { name: 'instance default/keeps', why: 'there is no profile "old"' },
  ]);
  assert.equal(await host.answer(guest, 'user.p'), 'old');
  host.put('keeps', { profiles: [], config: { 'user.q': '2' } });
  await host.hears(guest, 'user.q', '2');
  assert.equal(await host.answer(guest, 'user.p'), '404');
  const gone = async () => (await operator.request('GET', '/1.0/profiles/old')).status === 404;
  await eventually('it is removed', gone);
});

test('the profile "default" is the fleet\'s where the fleet has one', needsEtcd, async () => {
  const guest = await host.running('d1', { profiles: ['default'], config: {} });
  etcd.put('shared/profile/default/default', { config: { 'user.d': 'fleet' } });
  await host.hears(guest, 'user.d', 'fleet');
  etcd.does('del', '/devlxd/shared/profile/default/default');
  await host.hears(guest, 'user.d', '404');
  assert.equal((await host.source()).refused_count, 0);
});

test('ids and addresses follow from what the fleet says', needsEtcd, async () => {
  const devices = { eth0: { type: 'nic', network: 'lan' }, eth1: { type: 'nic', hwaddr: '00:16:3e:00:00:01' } };
  const uuid = '4c44b1c4-96a5-4c51-a4d3-2d2d3c0a4b8e';
  host.put('ids', { uuid, devices });
  await host.until('ids', 'Stopped');
  const first = await host.config('ids');
  assert.equal(first['volatile.uuid'], uuid);
  assert.match(first['volatile.eth0.hwaddr'] ?? '', /^[0-9a-f][26ae](?::[0-9a-f]{2}){5}$/);
  assert.equal(first['volatile.eth1.hwaddr'], undefined);
  host.delete('ids');
  await host.until('ids', 'none');
  host.put('ids', { uuid, devices });
  await host.until('ids', 'Stopped');
  assert.deepEqual(await host.config('ids'), first);
  const idOf = async () => (await host.config('ids'))['volatile.cloud-init.instance-id'];
  const id = await idOf();
  host.put('ids', { uuid, devices, config: { 'cloud-init.user-data': '#cloud-config\n' } });
  await eventually('cloud-init runs again', async () => (await idOf()) !== id);
});

const bad: readonly (readonly [name: string, value: unknown, why: RegExp])[] = [
  ['b1', 'no json', /no JSON/],
  ['b2', '[1]', /no JSON object/],
  ['b3', { config: { 'Bad Key': '1' } }, /Bad Key/],
  ['b4', { config: { 'user.a': 1 } }, /config\.user\.a: is not text/],
  ['b5', { config: { 'volatile.uuid': 'x' } }, /belong to devlxd/],
  ['b6', { devices: { data: { path: '/x' } } }, /devices\.data\.type/],
  ['b7', { profiles: 'web' }, /profiles/],
  ['b8', { profiles: ['nowhere'] }, /there is no profile "nowhere"/],
  ['b9', { uuid: 'x' }, /uuid/],
  ['b10', { created_at: 'then' }, /created_at/],
  ['b14', { created_at: '1' }, /created_at/],
  ['b15', { created_at: '2026-02-31T00:00:00Z' }, /created_at/],
  ['b11', { devices: [] }, /devices/],
  ['b12', '{"config": {"user.a": "\\ud800"}}', /Unicode/],
  ['b13', '{"devices": {"__proto__": {"type": "disk"}}}', /devices\.__proto__/],
  ['BAD name!', {}, /not an instance name/],
];

test('a value that cannot be read is refused by name; the last good one is served', needsEtcd, async () => {
  const good = { config: { 'user.a': 'good' } };
  const names = bad.map(([name]) => name).filter((name) => name !== 'BAD name!');
  for (const name of names) host.put(name, good);
  for (const name of names) await host.until(name, 'Stopped');
  for (const [name, value] of bad) host.put(name, value);
  await eventually('all are refused', async () => (await host.source()).refused_count === bad.length);
  const { refused } = await host.source();
  for (const [name, , why] of bad) {
    assert.match(refused.find((found) => found.name === `instance default/${name}`)?.why ?? '', why, name);
  }
  for (const name of names) assert.equal((await host.config(name))['user.a'], 'good', name);
  assert.equal(await host.daemon.metric('devlxd_source_refused'), bad.length);
  assert.match(commandLine.run(['check']).stdout, /values of the fleet: 16 not applied/);
  etcd.put('shared/profile/default/nowhere', {});
  await eventually('a profile that comes is used', async () => (await host.source()).refused_count === bad.length - 1);
  for (const [name] of bad) host.delete(name);
  await eventually('none is refused', async () => (await host.source()).refused_count === 0);
});

test("names and uuids that are others' are refused", needsEtcd, async () => {
  await operator.metadata('POST', '/1.0/instances', { name: 'own', config: { 'user.a': 'own' } });
  await operator.metadata('POST', '/1.0/profiles', { name: 'ours', config: {} });
  host.put('own', { config: { 'user.a': 'fleet' } });
  etcd.put('shared/profile/default/ours', { config: { 'user.a': 'fleet' } });
  host.put('twin1', { uuid: '4c44b1c4-96a5-4c51-a4d3-000000000001' });
  await host.until('twin1', 'Stopped');
  host.put('twin2', { uuid: '4c44b1c4-96a5-4c51-a4d3-000000000001' });
  await eventually('three are refused', async () => (await host.source()).refused_count === 3);
  assert.equal((await host.config('own'))['user.a'], 'own');
  host.delete('twin1');
  await host.until('twin2', 'Stopped');
  host.delete('own');
  etcd.does('del', '/devlxd/shared/profile/default/ours');
  await eventually('none is refused', async () => (await host.source()).refused_count === 0);
  assert.equal((await host.config('own'))['user.a'], 'own');
});
