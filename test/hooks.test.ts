import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { FakeLxd } from './support/fake-lxd.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { type Called, fails, hooksFor, lxc, state, stopped, works } from './support/hook-calls.js';
import { ask } from './support/http.js';

let daemon: TestDaemon;
let guests: Guests;

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const hook = hooksFor(() => daemon);

test('LXC: a container is registered with its keys, answered, and stopped', async () => {
  const guest = guests.one();
  await works(hook(['lxc', 'user.role=a web=server ☃'], lxc('start-host', 'l1', guest.pid)));
  const answer = await ask(guest.connect(daemon.socket), '/1.0/config/user.role');
  assert.equal(answer.body, 'a web=server ☃');
  await works(hook(['lxc'], lxc('stop', 'l1', guest.pid)));
  assert.equal(await daemon.status('l1'), 'Stopped');
  await works(hook(['lxc'], lxc('stop', 'l1'))); // once more
});

test('LXC: the words of lxc.hook.version 0 say the same as the environment of version 1', async () => {
  const guest = guests.one();
  const environment = { LXC_NAME: 'l2', LXC_PID: String(guest.pid) };
  await works(hook(['lxc', 'user.role=web', 'l2', 'lxc', 'start-host'], { environment }));
  assert.equal(await daemon.status('l2'), 'Running');
  const namespaces = ['mnt:/proc/7/fd/11', 'uts:/proc/7/fd/12', 'pid:/proc/7/fd/13']; // which LXC 5 says as well
  await works(hook(['lxc', 'l2', 'lxc', 'stop', ...namespaces], { environment }));
  assert.equal(await daemon.status('l2'), 'Stopped');
});

test('a container that starts again under its name keeps what the operator has said', async () => {
  const first = guests.one();
  await works(hook(['lxc', 'user.role=web'], lxc('start-host', 'l3', first.pid)));
  await daemon.set('l3', { 'user.more': 'kept' });
  await works(hook(['lxc', 'user.role=web'], lxc('start-host', 'l3', first.pid))); // called twice
  first.kill();
  const second = guests.one();
  await works(hook(['lxc', 'user.role=db'], lxc('start-host', 'l3', second.pid)));
  const session = (path: string) => ask(second.connect(daemon.socket), path);
  assert.equal((await session('/1.0/config/user.more')).body, 'kept');
  assert.equal((await session('/1.0/config/user.role')).body, 'db');
  await fails(hook(['lxc'], lxc('start-host', 'l3', guests.one().pid)), /"l3" is already running/);
});

test('OCI: annotations name the instance and set its keys; it is deleted with the container', async () => {
  const guest = guests.one();
  const annotations = { 'devlxd.name': 'o1', 'devlxd.config.user.role': 'web', 'other.key': 'x' };
  await works(hook(['oci'], state('f'.repeat(64), guest.pid, annotations)));
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config')).body, '["/1.0/config/user.role"]\n');
  guest.kill();
  await works(hook(['oci'], state('f'.repeat(64), undefined, annotations)));
  await assert.rejects(daemon.status('o1'), /not found/);
  await works(hook(['oci'], state('f'.repeat(64), undefined, annotations))); // without a start
});

test('OCI: an instance that was there before its container stays; a generated id makes a name', async () => {
  await daemon.create('o2', { 'user.role': 'old' });
  const guest = guests.one();
  await works(hook(['oci'], state('o2', guest.pid, { 'devlxd.config.user.role': 'new' })));
  guest.kill();
  await works(hook(['oci'], state('o2', undefined)));
  assert.equal(await daemon.status('o2'), 'Stopped');
  const generated = guests.one();
  await works(hook(['oci'], state('0123456789abcdef'.repeat(4), generated.pid)));
  assert.equal(await daemon.status('oci-0123456789ab'), 'Running');
});

test('nspawn: the init is found below its supervisor', async (t) => {
  const family = new Guests();
  t.after(() => family.close());
  const only = family.one();
  const [, parent = ''] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${only.pid}/status`, 'utf8')) ?? [];
  await works(hook(['nspawn', 'start', 'n1', '--supervisor', parent, 'user.role=web']));
  assert.equal((await ask(only.connect(daemon.socket), '/1.0/config/user.role')).body, 'web');
  await works(hook(['nspawn', 'stop', 'n1']));
  await works(hook(['nspawn', 'start', 'n1'], { environment: { MAINPID: parent } }));
  assert.equal(await daemon.status('n1'), 'Running');
  await works(hook(['nspawn', 'stop', 'n1']));
});

test('a late stop of a container before it takes nothing from the one that runs', async () => {
  const calls: [string, (id: string, pid: number) => Promise<Called>, (id: string) => Promise<Called>][] = [
    ['OCI', (id, pid) => hook(['oci'], state(id, pid)), (id) => hook(['oci'], stopped(id, undefined))],
    ['OCI, pid 0', (id, pid) => hook(['oci'], state(id, pid)), (id) => hook(['oci'], stopped(id, 0))],
    ['OCI, another bundle', (id, pid) => hook(['oci'], state(id, pid)), (id) => hook(['oci'], stopped(id, 0, '/c'))],
    ['OCI, the pid before', (id, pid) => hook(['oci'], state(id, pid)), (id) => hook(['oci'], stopped(id, before.pid))],
    ['LXC', (id, pid) => hook(['lxc'], lxc('start-host', id, pid)), (id) => hook(['lxc'], lxc('stop', id, before.pid))],
    [
      'LXC, no pid',
      (id, pid) => hook(['lxc'], lxc('start-host', id, pid)),
      (id) => hook(['lxc'], lxc('post-stop', id)),
    ],
    ['nspawn', (id, pid) => hook(['lxc'], lxc('start-host', id, pid)), (id) => hook(['nspawn', 'stop', id])],
  ];
  const before = guests.one();
  before.kill();
  for (const [index, [what, start, stop]] of calls.entries()) {
    const [id, first, second] = [`late${index}`, guests.one(), guests.one()];
    await works(start(id, first.pid));
    first.kill();
    await works(start(id, second.pid));
    for (let twice = 0; twice < 2; twice++) {
      await works(stop(id));
      assert.equal(await daemon.status(id), 'Running', what);
    }
    assert.equal((await ask(second.connect(daemon.socket), '/1.0')).status, 200, what);
    second.kill();
    await works(stop(id));
    if (what.startsWith('OCI')) await assert.rejects(daemon.status(id), /not found/, what);
    else assert.equal(await daemon.status(id), 'Stopped', what);
  }
});

test('a container that did not get its name because another has it takes nothing from that one when it ends', async () => {
  const [one, other] = guests.spawn(2) as [Guest, Guest];
  const annotations = { 'devlxd.name': 'shared1' };
  await works(hook(['oci'], state('a'.repeat(64), one.pid, annotations)));
  await fails(hook(['oci'], state('b'.repeat(64), other.pid, annotations)), /"shared1" is already running/);
  other.kill();
  await works(hook(['oci'], state('b'.repeat(64), undefined, annotations)));
  assert.equal(await daemon.status('shared1'), 'Running');
});

test('a stop that names the init is believed while it runs', async () => {
  for (const id of ['named1', 'named2']) {
    const guest = guests.one();
    await works(hook(['oci'], state(id, guest.pid)));
    await works(hook(['oci'], stopped(id, guest.pid)));
    await assert.rejects(daemon.status(id), /not found/);
    assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 500);
  }
});

test('an instance made for an OCI container that ends while the daemon is away is forgotten', async () => {
  const [lives, ends, stops] = guests.spawn(3) as [Guest, Guest, Guest];
  await works(hook(['oci'], state('gone1', lives.pid)));
  await works(hook(['oci'], state('gone2', ends.pid)));
  await works(hook(['lxc'], lxc('start-host', 'gone3', stops.pid)));
  await daemon.end();
  for (const guest of [ends, stops]) guest.kill();
  await daemon.run();
  assert.equal(await daemon.status('gone1'), 'Running');
  await assert.rejects(daemon.status('gone2'), /not found/);
  assert.equal(await daemon.status('gone3'), 'Stopped');
});

test('names that are none of an instance get one of their own, and no two the same', async () => {
  const names = {
    '100': 'x--100',
    my_box: 'x--my-5fbox',
    'web.example.com': 'x--web-2eexample-2ecom',
    'debian.12': 'x--debian-2e12',
    'x--100': 'x--x-2d-2d100',
    'my-5fbox': 'my-5fbox',
    'oci-0123456789ab': 'x--oci-2d0123456789ab',
    'web-': 'x--web-2d',
    größe: 'x--gr-c3-b6-c3-9fe',
    WEB_1: 'x--WEB-5f1',
    web_1: 'x--web-5f1',
  };
  for (const [container, instance] of Object.entries(names)) {
    const [one, other] = guests.spawn(2) as [Guest, Guest];
    await works(hook(['lxc', `user.own=${container}`], lxc('start-host', container, one.pid)));
    assert.equal(await daemon.status(instance), 'Running', container);
    assert.equal((await ask(one.connect(daemon.socket), '/1.0/config/user.own')).body, container);
    await works(
      hook(['lxc', container, 'lxc', 'stop'], { environment: { LXC_NAME: container, LXC_PID: `${one.pid}` } }),
    );
    assert.equal(await daemon.status(instance), 'Stopped', container);
    await works(hook(['oci'], state(container, other.pid)));
    assert.equal(await daemon.status(instance), 'Running', container);
  }
  const long = ['1'.repeat(65), `${'1'.repeat(65)}2`, `${'a_'.repeat(40)}`, `${'a_'.repeat(39)}b_`];
  for (const container of long) await works(hook(['lxc'], lxc('start-host', container, guests.one().pid)));
  const made = (await daemon.client.instances.list())
    .filter(({ name }) => name.startsWith('x--'))
    .map(({ name }) => name);
  assert.equal(new Set(made).size, Object.values(names).filter((name) => name.startsWith('x--')).length + long.length);
  const said = daemon.log.filter(({ msg }) => msg.includes('has another here'));
  assert.equal(said.length, 1);
  assert.deepEqual([said[0]?.['container'], said[0]?.['instance']], ['100', 'x--100']);
});

test('LXC and nspawn can name the instance and its project', async (t) => {
  await daemon.client.request('POST', '/1.0/projects', { name: 'blue' });
  const family = new Guests();
  t.after(() => family.close());
  const [one, other, annotated] = [guests.one(), family.one(), guests.one()];
  await works(hook(['lxc', '--name', 'named', '--project=blue', 'user.a=b'], lxc('start-host', '100', one.pid)));
  const [, parent = ''] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${other.pid}/status`, 'utf8')) ?? [];
  await works(hook(['nspawn', 'start', 'debian.12', '--supervisor', parent, '--name', 'deb', '--project', 'blue']));
  const annotations = { 'devlxd.project': 'blue', 'devlxd.name': 'pod.web' };
  await works(hook(['oci', '--project', 'other'], state('c'.repeat(64), annotated.pid, annotations)));
  const named = (await daemon.client.request('GET', '/1.0/instances?project=blue&recursion=1')) as { name: string }[];
  assert.deepEqual(
    named.map(({ name }) => name),
    ['deb', 'named', 'x--pod-2eweb'],
  );
  annotated.kill();
  await works(hook(['oci'], state('c'.repeat(64), undefined, annotations)));
  const left = (await daemon.client.request('GET', '/1.0/instances?project=blue')) as string[];
  assert.equal(left.length, 2);
});

test('a container in a pid namespace that is not its own starts, which the log says once', async () => {
  const names = async () => (await daemon.client.instances.list()).map(({ name }) => name);
  const before = await names();
  const guest = guests.one();
  const inside = guest.connectFrom(daemon.socket, { child: true }); // another process of that pid namespace
  for (const pid of [process.pid, inside.pid, process.pid]) {
    await works(hook(['oci'], state('d'.repeat(64), pid)));
    await works(hook(['lxc'], lxc('start-host', 'hostpid', pid)));
    await works(hook(['oci'], state('d'.repeat(64), undefined)));
  }
  assert.deepEqual(await names(), before);
  const said = daemon.log.filter(({ msg }) => msg.includes('without a pid namespace of its own'));
  assert.equal(said.length, 1);
  assert.equal(said[0]?.['container'], 'd'.repeat(64));
  inside.socket.destroy();
});

test('of a pod its containers are served, and not what holds its namespaces', async () => {
  for (const word of ['io.kubernetes.cri.container-type', 'io.kubernetes.cri-o.ContainerType']) {
    const [holder, web] = guests.spawn(2) as [Guest, Guest];
    const pod = { 'devlxd.name': `pod${word.length}` };
    const sandbox = { ...pod, [word]: 'sandbox' };
    await works(hook(['oci'], state('e'.repeat(64), holder.pid, sandbox)));
    await assert.rejects(daemon.status(pod['devlxd.name']), /not found/);
    await works(hook(['oci'], state('f'.repeat(64), web.pid, { ...pod, [word]: 'container' })));
    await works(hook(['oci'], state('e'.repeat(64), undefined, sandbox)));
    assert.equal(await daemon.status(pod['devlxd.name']), 'Running');
  }
});

test('of an instance that belongs to a source, a hook only registers the init', async (t) => {
  const lxd = new FakeLxd();
  await lxd.start();
  lxd.add('theirs', { config: { 'user.role': 'theirs' } });
  const following = await TestDaemon.start(['--source', `lxd:${lxd.socket}`]);
  t.after(async () => {
    await following.remove();
    await lxd.remove();
  });
  /** but for what the daemon itself says of the guest */
  const config = async () => {
    const { config } = await following.client.instances.get('theirs');
    return Object.fromEntries(Object.entries(config).filter(([key]) => !key.startsWith('volatile.last_state.')));
  };
  await eventually('it is read', () =>
    config().then(
      () => true,
      () => false,
    ),
  );
  const before = await config();
  assert.notEqual(before['volatile.uuid'], undefined);
  const guest = guests.one();
  const { runDir } = following;
  await works(hook(['lxc', 'user.role=ours'], { ...lxc('start-host', 'theirs', guest.pid), runDir }));
  assert.equal((await ask(guest.connect(following.socket), '/1.0/config/user.role')).body, 'theirs');
  assert.deepEqual(await config(), before);
  await works(hook(['oci'], { ...stopped('theirs', guest.pid), runDir }));
  assert.equal(await following.status('theirs'), 'Stopped');
  assert.deepEqual(await config(), before);
});

test('how long a hook takes', async (t) => {
  const guest = guests.one();
  const times: number[] = [];
  for (let i = 0; i < 10; i++) {
    const start = await hook(['lxc'], lxc('start-host', 't1', guest.pid));
    const stop = await hook(['lxc'], lxc('stop', 't1', guest.pid));
    assert.deepEqual([start.code, stop.code], [0, 0]);
    times.push(start.milliseconds, stop.milliseconds);
  }
  times.sort((a, b) => a - b);
  t.diagnostic(`median ${times[10]?.toFixed(1)} ms, longest ${times.at(-1)?.toFixed(1)} ms; 150 ms are allowed`);
  await eventually('it is stopped', async () => (await daemon.status('t1')) === 'Stopped');
});
