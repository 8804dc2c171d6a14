import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HostEvent } from '../../src/api/types.js';
import { HostClient } from '../../src/client/host-client.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { Endpoint, fleetCommand } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';
import { Lxc, needsLxc } from '../support/lxc.js';

/** One endpoint, or several, for three hosts, with three members of etcd. */
let etcd: Etcd;
let endpoint: Endpoint;
let second: Endpoint;
const hosts: FleetHost[] = [];

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start({ members: 3 });
  for (const name of ['h1', 'h2', 'h3']) hosts.push(await FleetHost.start(etcd, name));
  [endpoint, second] = await Promise.all([Endpoint.start(etcd), Endpoint.start(etcd)]);
});

after(async () => {
  await endpoint?.remove();
  await second?.remove();
  for (const host of hosts) await host.remove();
  await etcd?.remove();
});

function host(name: string): FleetHost {
  return hosts.find((each) => each.name === name) as FleetHost;
}

function does(...words: string[]): string {
  const { status, stdout, stderr } = fleetCommand(etcd, words);
  assert.deepEqual([status, stderr], [0, ''], words.join(' '));
  return stdout;
}

test('instances are created where they are to be, changed, and read from their hosts', needsEtcd, async () => {
  const { instances, profiles } = endpoint.client;
  await profiles.create({ name: 'web', config: { 'user.role': 'web' } });
  await instances.create({ name: 'a1', profiles: ['web'], config: { 'user.a': '1' } }, 'h1');
  await instances.create({ name: 'a2', profiles: ['default', 'web'] }, 'h2');
  const guest = host('h1').guest();
  await host('h1').until('a1', 'Stopped');
  await host('h1').daemon.startInstance('a1', guest.pid);
  assert.equal(await host('h1').answer(guest, 'user.role'), 'web');
  await instances.patch('a1', { config: { 'user.a': '2' } });
  await host('h1').hears(guest, 'user.a', '2');
  await profiles.patch('web', { config: { 'user.role': 'frontend' } });
  await host('h1').hears(guest, 'user.role', 'frontend');
  await eventually('it is seen to run', async () => (await instances.get('a1')).status === 'Running');
  const shown = await instances.get('a1');
  assert.equal(shown.location, 'h1');
  const there = await host('h1').daemon.client.instances.get('a1');
  assert.deepEqual(shown.expanded_config, there.expanded_config);
  await assert.rejects(instances.delete('a1'), /is running; stop it first/);
  await assert.rejects(instances.move('a1', 'h2'), /is running; stop it first/);
  assert.match(fleetCommand(etcd, ['fleet', 'move', 'a1', 'h2']).stderr, /is running; stop it first/);
  await assert.rejects(instances.start('a1', 1), /starts and stops on its host/);
  await assert.rejects(host('h1').daemon.client.instances.patch('a1', { description: 'x' }), /devlxd --fleet/);
  await assert.rejects(instances.create({ name: 'a3' }, 'h9'), /no host "h9"/);
  await assert.rejects(profiles.delete('web'), /in use/);
});

test('a name is one in the whole fleet; without a target, the host with the fewest has it', needsEtcd, async () => {
  await assert.rejects(second.client.instances.create({ name: 'a1' }, 'h2'), /already exists/);
  await endpoint.client.instances.create({ name: 'b1' });
  assert.equal((await endpoint.client.instances.get('b1')).location, 'h3');
  assert.equal(etcd.get('place/default/b1'), 'h3');
  await endpoint.client.instances.delete('b1');
  assert.equal(etcd.get('place/default/b1'), '');
  const made = await Promise.allSettled(
    [endpoint, second].flatMap(({ client }) =>
      ['h1', 'h2', 'h3'].map((target) => client.instances.create({ name: 'race' }, target)),
    ),
  );
  assert.equal(made.filter(({ status }) => status === 'fulfilled').length, 1);
  const keys = etcd.does('get', '--prefix', '--keys-only', '/devlxd/host/').match(/\/race$/gm);
  assert.equal(keys?.length, 1);
});

test('changes by two endpoints at once are all there; an old entity tag is refused', needsEtcd, async () => {
  await endpoint.client.instances.create({ name: 'both' }, 'h2');
  await eventually('the other one has it', () => second.client.instances.get('both').then(Boolean, () => false));
  const { value, etag } = await endpoint.client.instances.tagged('both');
  const all = Array.from({ length: 30 }, (_, index) => index);
  await Promise.all(
    all.map((index) => {
      const { client } = index % 2 === 0 ? endpoint : second;
      return client.instances.patch('both', { config: { [`user.k${index}`]: '1' } });
    }),
  );
  await eventually('all of them are there', async () => {
    const { config } = await endpoint.client.instances.get('both');
    return all.every((index) => config[`user.k${index}`] === '1');
  });
  await assert.rejects(second.client.instances.replace('both', value, etag), /ETag doesn't match/);
});

test('what is put with etcdctl is shown, what cannot be used is not, and is not overwritten', needsEtcd, async () => {
  host('h3').put('byhand', { config: { 'user.a': '1' } });
  await eventually('it is there', () => endpoint.client.instances.get('byhand').then(Boolean, () => false));
  await endpoint.client.instances.patch('byhand', { config: { 'user.b': '2' } });
  assert.match(etcd.get('host/h3/instance/default/byhand'), /"user.a":"1","user.b":"2"/);
  host('h3').put('odd', 'no JSON');
  host('h1').put('byhand', {});
  etcd.put('host/h3/instance/default/late', { profiles: ['later'] });
  await assert.rejects(
    endpoint.client.instances.create({ name: 'odd' }, 'h3'),
    /already exists in etcd, and is not shown: it is no JSON/,
  );
  await assert.rejects(
    endpoint.client.instances.create({ name: 'late' }, 'h3'),
    /already exists in etcd, and is not shown: there is no profile "later"/,
  );
  assert.equal((await endpoint.client.instances.get('byhand')).location, 'h3');
  etcd.put('shared/profile/default/later', {});
  await eventually('it has its profile', () => endpoint.client.instances.get('late').then(Boolean, () => false));
  host('h3').delete('byhand');
  await eventually('the other one is shown', async () => {
    const shown = await endpoint.client.instances.get('byhand').catch(() => undefined);
    return shown?.location === 'h1';
  });
});

test('a project of the fleet is one of each host, and goes when it is empty', needsEtcd, async () => {
  const { projects } = endpoint.client;
  await projects.create({ name: 'blue', description: 'of all', config: { 'user.a': '1' } });
  const blue = new HostClient(endpoint.runDir, { project: 'blue' });
  try {
    await blue.profiles.create({ name: 'web', config: { 'user.role': 'blue' } });
    await blue.instances.create({ name: 'p1', profiles: ['default', 'web'] }, 'h1');
    const here = `/1.0/instances/p1?project=blue`;
    await eventually('its host has it', () =>
      host('h1')
        .daemon.client.request('GET', here)
        .then(Boolean, () => false),
    );
    const { description, config } = await host('h1').daemon.client.projects.get('blue');
    assert.deepEqual([description, config['user.a']], ['of all', '1']);
    await assert.rejects(projects.delete('blue'), /Only empty projects/);
    await blue.instances.delete('p1');
    await blue.profiles.delete('web');
    await projects.delete('blue');
    assert.equal(etcd.does('get', '--prefix', '--keys-only', '/devlxd/shared/project/').trim(), '');
  } finally {
    await blue.close();
  }
});

test('more than one transaction can take is refused, and nothing is written', needsEtcd, async () => {
  const lines = Array.from({ length: 61 }, (_, index) => ({
    method: 'POST' as const,
    path: '/1.0/instances?target=h1',
    body: { name: `many${index}` },
  }));
  await assert.rejects(endpoint.client.batch(lines), /60/);
  await endpoint.client.batch(lines.slice(0, 60));
  const all = await endpoint.client.instances.list();
  assert.equal(all.filter(({ name }) => name.startsWith('many')).length, 60);
});

test('lxc lists, shows, sets, creates and moves on the fleet', { skip: needsEtcd.skip || needsLxc.skip }, async () => {
  const lxc = new Lxc(endpoint);
  try {
    const list = await lxc.run(['list', '--format', 'csv', '-c', 'nsL', 'a1']);
    assert.equal(list.out.trim(), 'a1,RUNNING,h1');
    assert.match((await lxc.run(['list'])).out, /LOCATION/);
    assert.match((await lxc.run(['cluster', 'list', '--format', 'csv'])).out, /^h1,.*ONLINE/m);
    assert.equal((await lxc.run(['config', 'set', 'a1', 'user.lxc', 'yes'])).out, '');
    await eventually('the host has it', async () => (await host('h1').config('a1'))['user.lxc'] === 'yes');
    const init = await lxc.run(['init', '--empty', 'l1', '--target', 'h3']);
    assert.equal(init.code, 0, init.out);
    await host('h3').until('l1', 'Stopped');
    const move = await lxc.run(['move', 'l1', '--target', 'h2']);
    assert.equal(move.code, 0, move.out);
    await host('h2').until('l1', 'Stopped');
    await host('h3').until('l1', 'none');
  } finally {
    lxc.remove();
  }
});

test('devlxd --fleet has the same commands', needsEtcd, async () => {
  does('create', 'c1', 'user.x=1', '--target', 'h2', '--wait');
  assert.equal(await host('h2').status('c1'), 'Stopped');
  does('set', 'c1', 'user.x=2', '--wait');
  assert.equal((await host('h2').config('c1'))['user.x'], '2');
  does('unset', 'c1', 'user.x', '--wait');
  assert.equal((await host('h2').config('c1'))['user.x'], undefined);
  does('profile', 'create', 'db', 'user.role=db');
  does('profile', 'assign', 'c1', 'db');
  does('profile', 'set', 'db', 'user.role=db2', '--wait');
  assert.equal((await host('h2').config('c1'))['user.role'], 'db2');
  assert.match(does('list'), /^NAME .*LOCATION/);
  assert.match(does('list', '--columns', 'name,location'), /^c1 +h2$/m);
  assert.match(does('show', 'c1'), /location: h2/);
  const uuid = (await host('h2').config('c1'))['volatile.uuid'];
  does('fleet', 'move', 'c1', 'h1');
  await host('h1').until('c1', 'Stopped');
  assert.equal((await host('h1').config('c1'))['volatile.uuid'], uuid);
  does('delete', 'c1');
  await host('h1').until('c1', 'none');
  assert.match(fleetCommand(etcd, ['show', 'c1']).stderr, /not found/);
  assert.match(fleetCommand(etcd, ['--fleet', etcd.endpoints, 'top']).stderr, /asked of one host/);
});

test('what runs while its host is away can be given to another one, and goes on where it is', needsEtcd, async () => {
  const [from, to] = [host('h3'), host('h1')];
  does('create', 'm1', 'user.m=1', '--target', 'h3', '--wait');
  const guest = from.guest();
  await from.daemon.startInstance('m1', guest.pid);
  await from.daemon.end('SIGKILL');
  etcd.does('del', '/devlxd/status/h3/host'); // as if 30 s had passed
  does('create', 'm2', '--target', 'h3');
  does('fleet', 'move', 'm1', 'h1');
  await to.until('m1', 'Stopped');
  await from.daemon.run();
  await from.inStep();
  assert.equal(await from.answer(guest, 'user.m'), '1');
  await from.until('m2', 'Stopped');
  guest.kill();
  await from.until('m1', 'none');
  assert.equal(await to.status('m1'), 'Stopped');
  for (const name of ['m1', 'm2']) does('delete', name);
});

test('an instance that was put by hand, with no place, is found, and its name is taken', needsEtcd, async () => {
  host('h2').put('handmade', { config: { 'user.x': '1' } });
  await host('h2').until('handmade', 'Stopped');
  assert.match(does('show', 'handmade'), /location: h2/);
  assert.match(fleetCommand(etcd, ['create', 'handmade', '--target', 'h1']).stderr, /already exists/);
  assert.match(fleetCommand(etcd, ['create', 'other', '--target', 'h9']).stderr, /no host "h9"/);
  does('device', 'add', 'handmade', 'data', 'disk', 'path=/data');
  await eventually('its host has it', async () => {
    const { devices } = await host('h2').daemon.client.instances.get('handmade');
    return devices['data']?.['path'] === '/data';
  });
});

test('devlxd apply writes more than one transaction, and says what is done', needsEtcd, async () => {
  const lines = Array.from({ length: 130 }, (_, index) =>
    JSON.stringify({ name: `apply${index}`, config: { 'user.a': '1' } }),
  );
  const { status, stdout, stderr } = fleetCommand(
    etcd,
    ['apply', '-f', '-', '--target', 'h3', '--quiet'],
    lines.join('\n'),
  );
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /3 transactions/);
  await host('h3').until('apply129', 'Stopped');
  const [first = ''] = lines;
  const wrong = [...lines.slice(1, 62), first.replace('"1"', '"2"'), '{"name":"apply-new","profiles":["none"]}'].map(
    (line) => line.replace('"1"', '"2"'),
  );
  const failed = fleetCommand(etcd, ['apply', '-f', '-', '--target', 'h3', '--quiet'], wrong.join('\n'));
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /transaction 2 of 2: .*Profile "none" not found; the 1 before it are done, no others/);
});

test('events of the fleet are told to operators', needsEtcd, async () => {
  const heard: HostEvent[] = [];
  const ended = new AbortController();
  const following = (async () => {
    for await (const event of second.client.events({ types: ['lifecycle'], signal: ended.signal })) heard.push(event);
  })();
  const actions = () => heard.map((event) => ('action' in event.metadata ? event.metadata.action : ''));
  await eventually('events are heard', async () => {
    await endpoint.client.instances.patch('both', { description: String(Math.random()) });
    return actions().includes('instance-updated');
  });
  const guest = host('h2').guest();
  await host('h2').daemon.startInstance('both', guest.pid);
  await eventually('the start is heard', () => actions().includes('instance-started'));
  ended.abort();
  await following;
});

test('after a backup is put back, what etcd has is shown, and changed', needsEtcd, async () => {
  const { instances } = endpoint.client;
  await instances.create({ name: 'old', config: { 'user.a': 'old' } }, 'h1');
  const snapshot = etcd.snapshot();
  await instances.create({ name: 'new' }, 'h1');
  await instances.patch('old', { config: { 'user.a': 'new' } });
  await etcd.restore(snapshot);
  const config = async () => (await instances.get('old').catch(() => undefined))?.config['user.a'];
  await eventually('the older value is shown', async () => (await config()) === 'old', 60);
  await assert.rejects(instances.get('new'), /not found/);
  await instances.patch('old', { config: { 'user.a': 'newest' } });
  assert.match(etcd.get('host/h1/instance/default/old'), /newest/);
  // Nothing is older for the others.
  await host('h1').isHeld();
  await host('h1').daemon.client.request('POST', '/1.0/source/accept');
  await eventually('its host has it', async () => (await host('h1').config('old'))['user.a'] === 'newest');
});

test('while etcd is away nothing is answered; afterwards everything is', needsEtcd, async () => {
  await etcd.killAll();
  await eventually('it refuses', () =>
    endpoint.client.instances.list().then(
      () => false,
      (error: Error) => /No member of the fleet's etcd answers/.test(error.message),
    ),
  );
  etcd.launchAll();
  await etcd.ready();
  await eventually('it answers', () => endpoint.client.instances.list().then(Boolean, () => false), 30);
  await endpoint.client.instances.patch('both', { config: { 'user.after': '1' } });
  await eventually('the host has it', async () => (await host('h2').config('both'))['user.after'] === '1', 30);
  assert.equal(await second.end(), 0);
});
