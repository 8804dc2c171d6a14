import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { EtcdConnection, mostOperations } from '../../src/etcd/etcd-connection.js';
import { binary } from '../support/command.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { fleetCommand } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';

let etcd: Etcd;
let first: FleetHost;
let second: FleetHost;

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start();
  [first, second] = await Promise.all([FleetHost.start(etcd, 'h1'), FleetHost.start(etcd, 'h2')]);
});

after(async () => {
  await first?.remove();
  await second?.remove();
  await etcd?.remove();
});

function run(words: readonly string[], endpoints = etcd.endpoints) {
  const env = { ...process.env, DEVLXD_FLEET: endpoints };
  return spawnSync(process.execPath, [binary, 'fleet', 'hosts', ...words], { env, encoding: 'utf8', timeout: 60_000 });
}

function shown(): Record<string, string> {
  const { stdout, stderr } = run(['--format', 'json']);
  assert.equal(stderr, '');
  const hosts = JSON.parse(stdout) as { host: string; state: string; instances: number; running: number }[];
  return Object.fromEntries(
    hosts.map(({ host, state, instances, running }) => [host, `${state} ${running}/${instances}`]),
  );
}

test('an instance that has never run has a status, and a name that is no text holds up nobody', needsEtcd, async () => {
  second.put('never', {});
  const status = 'status/h2/instance/default/never';
  await eventually('it is told', () => etcd.get(status) === '{"running":false,"ready":false}');
  second.delete('never');
  await eventually('it is told no more', () => etcd.get(status) === '');
  const odd = "$'/devlxd/host/\\377/instance/default/x'";
  etcd.does('put', odd, '{}');
  assert.equal(shown()['\ufffd'], 'away 0/0');
  etcd.does('del', odd);
});

test('each host is shown, and whether it has what is put for it', needsEtcd, async () => {
  await first.running('a', {});
  etcd.put('shared/profile/default/web', {});
  second.put('b', {});
  second.put('c', {});
  etcd.put('host/h3/instance/default/d', {});
  await second.until('c', 'Stopped');
  const expected = { h1: 'in step 1/1', h2: 'in step 0/2', h3: 'away 0/0' };
  await eventually('they are in step', () => JSON.stringify(shown()) === JSON.stringify(expected));
  assert.match(run([]).stdout, /^HOST +STATE .*\nh1 +in step +1 +1 +0 /);
  second.daemon.signal('SIGSTOP');
  second.put('b', { config: { 'user.a': '1' } });
  assert.deepEqual(shown(), { ...expected, h2: 'behind 0/2' });
  second.daemon.signal('SIGCONT');
  await eventually('it is in step again', () => shown()['h2'] === 'in step 0/2');
  etcd.does('del', '--prefix', '/devlxd/host/h2/');
  await eventually('it holds that back', () => shown()['h2'] === 'held back 0/2');
  await first.daemon.end();
  assert.equal(shown()['h1'], 'away 0/0');
  assert.match(run([]).stdout, /^h1 +away +\d+ (?:s|min) /m);
  etcd.does('del', '--prefix', '/devlxd/place/');
  const set = fleetCommand(etcd, ['set', 'a', 'user.a=2', '--wait']);
  assert.deepEqual([set.status, set.stderr], [0, '']);
  assert.equal(set.stdout, 'Away, and will have it when they are back: h1\n');
});

test('a member that is not there, and a wrong endpoint, are told in a sentence', needsEtcd, () => {
  assert.equal(run(['--format', 'json'], `127.0.0.1:1,${etcd.endpoints}`).status, 0);
  assert.match(run([], '127.0.0.1:1').stderr, /^devlxd: No member of etcd answers: 127\.0\.0\.1:1: /);
  assert.match(
    run([], 'nowhere').stderr,
    /^devlxd: --fleet \(DEVLXD_FLEET\) takes HOST:PORT,HOST:PORT,\.\.\., not "nowhere"\./,
  );
});

test('the names of hosts are found among any number of keys', needsEtcd, async () => {
  const connection = new EtcdConnection(etcd.endpoints, { endpoints: [], prefix: '/many/', tls: undefined });
  const names = ['a', 'b', 'b-c', 'd'];
  const all = names.flatMap((name) => Array.from({ length: 4000 }, (_, index) => `/many/${name}/${index}`));
  for (let first = 0; first < all.length; first += mostOperations)
    await connection.write(all.slice(first, first + mostOperations).map((put) => ({ put, value: '' })));
  assert.deepEqual((await connection.names('/many/')).sort(), names);
  assert.deepEqual(await connection.names('/none/'), []);
  connection.close();
});
