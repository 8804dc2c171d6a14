import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../../src/package-root.js';
import { TestDaemon } from '../support/daemon.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { EventStream } from '../support/event-stream.js';
import { eventually } from '../support/eventually.js';
import { FleetHost } from '../support/fleet-host.js';

/** What an instance is, etcd says; whether it runs, the host, which tells the fleet. */
let etcd: Etcd;
let host: FleetHost;

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start();
  host = await FleetHost.start(etcd, 'h1');
});

after(async () => {
  await host?.remove();
  await etcd?.remove();
});

/** devlxd-hook as LXC calls it. */
function hook(type: 'start-host' | 'stop', name: string, pid: number, words: readonly string[] = []): void {
  const environment = { LXC_NAME: name, LXC_HOOK_TYPE: type, LXC_PID: String(pid), LXC_HOOK_VERSION: '1' };
  const env = { ...environment, DEVLXD_RUN_DIR: host.daemon.runDir, DEVLXD_HOOK_ON_ERROR: 'fail' };
  const { status, stderr } = spawnSync(join(packageRoot, 'bin/devlxd-hook'), ['lxc', ...words], {
    env,
    encoding: 'utf8',
  });
  assert.deepEqual([status, stderr], [0, '']);
}

test('a hook starts and stops an instance of the fleet, and changes nothing of it', needsEtcd, async () => {
  host.put('h', { config: { 'user.a': 'fleet' } });
  await host.until('h', 'Stopped');
  const all = Object.entries(await host.config('h'));
  const stopped = Object.fromEntries(all.filter(([key]) => !key.startsWith('volatile.last_state.')));
  const guest = host.guest();
  hook('start-host', 'h', guest.pid, ['user.a=hook', 'user.b=hook']);
  await host.until('h', 'Running');
  const keys = Object.entries(await host.config('h')).filter(([key]) => !key.startsWith('volatile.last_state.'));
  assert.deepEqual(Object.fromEntries(keys), stopped);
  assert.equal(await host.answer(guest, 'user.a'), 'fleet');
  hook('stop', 'h', guest.pid);
  await host.until('h', 'Stopped');
});

test('a container that starts before it is described becomes the instance of the fleet', needsEtcd, async () => {
  const guest = host.guest();
  hook('start-host', 'early', guest.pid, ['user.a=hook']);
  await host.until('early', 'Running');
  const events = await EventStream.webSocket(guest, host.daemon.socket);
  host.put('early', { config: { 'user.a': 'fleet' }, devices: { data: { type: 'disk', path: '/data' } } });
  await events.atLeast(2);
  events.end();
  assert.deepEqual(
    events.events.map(({ type, metadata }) => [type, metadata['old_value'], metadata['value'] ?? metadata['action']]),
    [
      ['config', 'hook', 'fleet'],
      ['device', undefined, 'added'],
    ],
  );
  assert.equal(await host.status('early'), 'Running');
  assert.equal((await host.daemon.client.instances.get('early')).source, 'etcd');
  await host.daemon.end('SIGKILL');
  await host.daemon.run();
  await host.until('early', 'Running');
  assert.equal((await host.daemon.client.instances.get('early')).source, 'etcd');
  assert.equal(await host.answer(guest, 'user.a'), 'fleet');
  hook('stop', 'early', guest.pid);
  await host.until('early', 'Stopped');
});

test('a stand-in that is never described goes with its container', needsEtcd, async () => {
  const guest = host.guest();
  hook('start-host', 'never', guest.pid);
  await host.until('never', 'Running');
  hook('stop', 'never', guest.pid);
  await host.until('never', 'none');
});

test('another uuid under the name of a running instance waits until it stops', needsEtcd, async () => {
  const [first, second] = ['4c44b1c4-96a5-4c51-a4d3-00000000000a', '4c44b1c4-96a5-4c51-a4d3-00000000000b'];
  const guest = await host.running('swap', { uuid: first, config: { 'user.a': 'first' } });
  host.put('swap', { uuid: second, config: { 'user.a': 'second' } });
  await eventually('it is refused', async () => (await host.source()).refused_count === 1);
  assert.equal(await host.answer(guest, 'user.a'), 'first');
  guest.kill();
  await eventually('it is the other one', async () => (await host.config('swap'))['volatile.uuid'] === second);
  assert.equal((await host.source()).refused_count, 0);
});

test(
  'deleted and put back, an instance that runs is the same; its guest hears of the difference',
  needsEtcd,
  async () => {
    const guest = await host.running('back', { config: { 'user.a': '1', 'user.b': '1' } });
    const events = await EventStream.webSocket(guest, host.daemon.socket);
    host.delete('back');
    host.put('back', { config: { 'user.a': '1', 'user.b': '2' } });
    await events.atLeast(1);
    events.end();
    assert.deepEqual(
      events.events.map(({ metadata }) => metadata),
      [{ key: 'user.b', old_value: '1', value: '2' }],
    );
    assert.equal(await host.status('back'), 'Running');
  },
);

test('the fleet is told of the host and of its instances', needsEtcd, async () => {
  const told = (name: string) => etcd.get(`status/h1/instance/default/${name}`);
  const guest = await host.running('told', {});
  await eventually('it runs', () => told('told') === '{"running":true,"ready":false}');
  guest.kill();
  await eventually('it has stopped', () => told('told') === '{"running":false,"ready":false}');
  host.delete('told');
  await eventually('it is gone', () => told('told') === '');
  etcd.put('status/h1/instance/default/stale', { running: true });
  host.put('late', { config: { 'user.a': '1' } });
  const revision = Number(
    JSON.parse(etcd.does('get', '/devlxd/host/h1/instance/default/late', '-w', 'json')).kvs[0].mod_revision,
  );
  const status = () => JSON.parse(etcd.get('status/h1/host'));
  await eventually('it is applied', () => Number(status().applied) >= revision);
  const { instances, held, refused } = status();
  assert.deepEqual([held, refused], ['', []]);
  const { length } = (await host.daemon.client.instances.list()).filter(({ source }) => source === 'etcd');
  assert.equal(instances, length);
  await host.daemon.end('SIGKILL');
  await host.daemon.run();
  await eventually('what no instance is for is gone', () => told('stale') === '');
});

test('a lease that ends while the daemon hangs is made anew', needsEtcd, async () => {
  const status = () => etcd.get('status/h1/host');
  await eventually('it is there', () => status() !== '');
  host.daemon.signal('SIGSTOP');
  const leases = etcd.does('lease', 'list').match(/^[0-9a-f]{8,}$/gm) ?? [];
  for (const lease of leases) etcd.does('lease', 'revoke', lease);
  assert.equal(status(), '');
  host.put('meanwhile', {});
  host.daemon.signal('SIGCONT');
  await host.until('meanwhile', 'Stopped');
  await eventually('it is there again', () => status() !== '', 30);
  await host.inStep();
});

test('a second daemon under the same name does not follow', needsEtcd, async () => {
  const options = ['--source', 'etcd', '--etcd-endpoints', etcd.endpoints, '--etcd-host', 'h1'];
  const second = await TestDaemon.start(options);
  try {
    await eventually('it says so', () =>
      second.log.some(({ err }) => /another daemon follows/.test(JSON.stringify(err))),
    );
    assert.equal(await second.metric('devlxd_source_connected'), 0);
    assert.deepEqual(await second.client.instances.list(), []);
    await host.inStep();
    await host.daemon.end();
    const follows = async () => (await second.metric('devlxd_source_connected')) === 1;
    await eventually('it follows once the first one has left', follows);
    await second.end();
  } finally {
    await second.remove();
    await host.daemon.run();
  }
  await host.inStep();
});

test('of two daemons with one store, as a copied machine has, the newer one follows', needsEtcd, async () => {
  await host.daemon.end();
  const copy = TestDaemon.prepared(['--source', 'etcd', '--etcd-endpoints', etcd.endpoints, '--etcd-host', 'h1']);
  cpSync(host.daemon.stateDir, copy.stateDir, { recursive: true });
  await host.daemon.run();
  await host.inStep();
  const connected = (daemon: TestDaemon) => daemon.metric('devlxd_source_connected');
  try {
    await copy.run();
    const isLost = async () => /copy of the store/.test((await host.source()).away);
    await eventually('the older one says so', isLost, 60); // it looks every 10 s
    assert.deepEqual([await connected(host.daemon), await connected(copy)], [0, 1]);
    await copy.end();
    await eventually('it follows again', async () => (await connected(host.daemon)) === 1, 60);
    etcd.does('del', '/devlxd/status/h1/host');
    await eventually('what is deleted is told again', () => etcd.get('status/h1/host') !== '', 60);
  } finally {
    await copy.remove();
  }
});
