import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EtcdConnection } from '../../src/etcd/etcd-connection.js';
import type { HostShown } from '../../src/fleet/fleet-hosts.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { Endpoint, fleetCommand } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';

/** What a host tells may be a lie, and what is in etcd may be anything: it harms nobody else. */
let etcd: Etcd;
let host: FleetHost;
let endpoint: Endpoint;
let connection: EtcdConnection;

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start();
  [host, endpoint] = await Promise.all([FleetHost.start(etcd, 'h1'), Endpoint.start(etcd)]);
  connection = new EtcdConnection(etcd.endpoints, { endpoints: [], prefix: '/devlxd/', tls: undefined });
  etcd.put('host/liar/instance/default/e1', {});
  etcd.put('place/default/e1', 'liar');
  host.put('c1', { config: { 'user.a': '1' } });
  await host.until('c1', 'Stopped');
});

after(async () => {
  connection?.close();
  await endpoint?.remove();
  await host?.remove();
  await etcd?.remove();
});

/** Of any length, and with any bytes, which a command line cannot have. */
async function put(key: string, value: string): Promise<void> {
  await connection.write([{ put: `/devlxd/${key}`, value }]);
}

function shown(): HostShown[] {
  const { stdout, stderr } = fleetCommand(etcd, ['fleet', 'hosts', '--format', 'json']);
  assert.equal(stderr, '');
  return JSON.parse(stdout) as HostShown[];
}

function nested(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth);
}

test('what a host tells of itself is taken as far as it makes sense', needsEtcd, async () => {
  const odd = { refused: [null, 1, {}, { name: 'n', why: 'w' }], later: [null, { name: 5 }, { name: 'p', wave: {} }] };
  await put('status/liar/host', JSON.stringify({ ...odd, applied: '9'.repeat(100_000), held: {}, instances: 'x' }));
  await put('status/liar/seen', '{"at": {"toString": 1, "valueOf": 1}}');
  const [own, liar] = shown();
  assert.equal(own?.state, 'in step');
  assert.deepEqual([liar?.state, liar?.instances, liar?.later], ['behind', 0, []]);
  assert.deepEqual(liar?.refused, [{ name: 'n', why: 'w' }]);
  assert.match(fleetCommand(etcd, ['fleet', 'hosts']).stdout, /^liar +behind/m);
  await connection.write([{ remove: '/devlxd/status/liar/host' }]);
  assert.deepEqual(
    shown().map(({ state, age }) => [state, age]),
    [
      ['in step', 0],
      ['away', null],
    ],
  );
});

test('while an endpoint waits for a host, whatever that tells does it no harm', needsEtcd, async () => {
  const { client } = endpoint;
  await put('status/liar/host', '{"applied": "0"}');
  const member = (name: string) => client.request('GET', `/1.0/cluster/members/${name}`) as Promise<{ status: string }>;
  await eventually('the host is there', async () => (await member('liar')).status === 'Online');
  const applied = client.request('GET', '/1.0/fleet/applied?instance=e1&timeout=60');
  for (const value of ['null', nested(500_000), '\0', '{"__proto__": {"applied": "99999"}}', '{"refused": [null]}'])
    await put('status/liar/host', value);
  await put('status/liar/host', '{"applied": "99999", "refused": [null]}');
  assert.deepEqual(((await applied) as { hosts: object }).hosts, { liar: 'applied' });
});

test('keys that a host publishes for its documents leave those of others alone', needsEtcd, async () => {
  const { keys: own } = await host.daemon.client.identity.keys();
  const members = async () => (await endpoint.client.identity.keys()).keys;
  const forged = { kty: 'EC', kid: 'forged' };
  await put('status/liar/keys', JSON.stringify({ keys: [forged, null, { kty: { toString: 1 } }] }));
  await eventually('they are shown', async () => (await members()).length === own.length + 1);
  await put('status/liar/keys', `{"keys": [{"kty": ${nested(500_000)}}]}`);
  await eventually('no others are', async () => (await members()).length === own.length);
  await put('status/liar/keys', JSON.stringify({ keys: [forged] }));
  await eventually('they are shown again', async () => (await members()).length === own.length + 1);
});

test(
  'a host that has nothing in etcd any more is forgotten, also by an endpoint that missed it',
  needsEtcd,
  async () => {
    const hosts = () => endpoint.client.request('GET', '/1.0/cluster/members') as Promise<string[]>;
    assert.equal((await hosts()).length, 2);
    endpoint.signal('SIGSTOP');
    await etcd.killAll();
    etcd.launchAll();
    await etcd.ready();
    for (const part of ['host', 'status']) etcd.does('del', '--prefix', `/devlxd/${part}/liar/`);
    endpoint.signal('SIGCONT');
    const left = async () => (await hosts().catch(() => [])).join();
    await eventually('it is forgotten', async () => (await left()) === '/1.0/cluster/members/h1', 60);
    const { keys } = await host.daemon.client.identity.keys();
    assert.deepEqual((await endpoint.client.identity.keys()).keys, keys);
    await assert.rejects(endpoint.client.instances.create({ name: 'x' }, 'liar'), /no host "liar"/);
  },
);

test('values that are long, nested or of no kind are refused by name, and hold up nothing', needsEtcd, async () => {
  const many = Array.from({ length: 30_000 }, (_, index) => index);
  const values = {
    nested: `{"config": {"user.a": ${nested(500_000)}}}`,
    array: nested(500_000),
    nul: '\0',
    inside: '{"config": {"user.a": "\\u0000"}}',
    long: JSON.stringify({ config: { 'user.a': 'x'.repeat(1_400_000) } }),
    keys: JSON.stringify({ config: Object.fromEntries(many.map((index) => [`user.k${index}`, ''.padEnd(20, 'x')])) }),
    devices: JSON.stringify({ devices: Object.fromEntries(many.map((index) => [`d${index}`, { type: 'disk' }])) }),
    profiles: JSON.stringify({ profiles: many.map((index) => `p${index}`) }),
    prototype: '{"config": {"__proto__": "x"}}',
    profile: '{"profiles": ["__proto__"]}',
    uuid: '{"uuid": {"toString": 1}}',
  };
  await host.inStep();
  for (const [name, value] of Object.entries(values)) await put(`host/h1/instance/default/${name}`, value);
  // Of the last one, the list of what is refused would be longer than etcd takes.
  for (const name of ['__proto__', 'constructor', '..', '\0', 'x'.repeat(100_000)]) {
    await put(`host/h1/instance/default/${name}`, '{}');
    await put(`host/h1/instance/${name}/c1`, '{}');
    for (const kind of ['profile/default', 'project', 'image']) await put(`shared/${kind}/${name}`, '{}');
  }
  await put('shared/profile/default/waves', '{"rollout": {"waves": {"toString": 1}, "seconds": 1}}');
  for (const odd of ['host/h1/instance/', 'host/h1/instance/a/b/c', 'host/h1/odd', 'shared/', 'shared/odd/x'])
    await put(odd, '{}');
  await put('host/h1/instance/default/newer', '{"version": 99, "of": {"a": "later devlxd"}}');
  await host.until('newer', 'Stopped');
  host.put('c1', { config: { 'user.a': '2' } });
  await eventually('others are served', async () => (await host.config('c1'))['user.a'] === '2');
  // 8 of the values; each odd name 5 times, but where "constructor" may be one; and the waves.
  await eventually('all are refused', async () => (await host.source()).refused_count === 8 + 5 * 5 - 4 + 1);
  const { refused } = await host.source();
  for (const [name, why] of [
    ['nested', /config\.user\.a: is not text/],
    ['array', /no JSON object/],
    ['nul', /no JSON/],
    ['keys', /more than 4096 keys/],
    ['profiles', /there is no profile "p0"/],
    ['prototype', /config\.__proto__/],
  ] as const)
    assert.match(refused.find((found) => found.name === `instance default/${name}`)?.why ?? '', why, name);
  const told = () => JSON.parse(etcd.get('status/h1/host')) as { refused: object[] };
  await eventually('the fleet is told', () => told().refused.length === refused.length);
  assert.doesNotMatch(fleetCommand(etcd, ['fleet', 'hosts']).stderr, /./);
});
