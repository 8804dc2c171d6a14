import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask } from './support/http.js';

interface Expanded {
  readonly profiles: string[];
  readonly config: Record<string, string>;
  readonly expanded_config: Record<string, string>;
  readonly expanded_devices: Record<string, Record<string, string>>;
}

let daemon: TestDaemon;
let guests: Guests;
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

function instance(name: string): Promise<Expanded> {
  return operator.metadata<Expanded>('GET', `/1.0/instances/${name}`);
}

/** Everything that a guest hears, in order: key, old and new value; or action and device. */
async function listen(guest: Guest): Promise<string[]> {
  const heard: string[] = [];
  const socket = new WebSocket('ws://lxd/1.0/events', { createConnection: () => guest.connect(daemon.socket) });
  socket.on('message', (data) => {
    const { type, metadata } = JSON.parse(String(data));
    if (type === 'config') heard.push(`${metadata.key} ${metadata.old_value}>${metadata.value}`);
    else heard.push(`${metadata.action} ${metadata.name}`);
  });
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  return heard;
}

test('every new instance has the default profile, unless it is told which', async () => {
  await operator.metadata('POST', '/1.0/profiles', { name: 'other' });
  await operator.metadata('POST', '/1.0/instances', { name: 'plain' });
  await operator.metadata('POST', '/1.0/instances', { name: 'chosen', profiles: ['other'] });
  await operator.metadata('POST', '/1.0/instances', { name: 'bare', profiles: [] });
  const profiles = await Promise.all(['plain', 'chosen', 'bare'].map(async (name) => (await instance(name)).profiles));
  assert.deepEqual(profiles, [['default'], ['other'], []]);
  const users = await operator.metadata<{ used_by: string[] }>('GET', '/1.0/profiles/other');
  assert.deepEqual(users.used_by, ['/1.0/instances/chosen']);
});

test('a list says of each profile of each project who uses it, as the profile itself does', async () => {
  await operator.metadata('POST', '/1.0/projects', { name: 'green' });
  await operator.metadata('POST', '/1.0/profiles?project=green', { name: 'other' });
  await operator.metadata('POST', '/1.0/instances?project=green', { name: 'both', profiles: ['default', 'other'] });
  type Shown = { readonly name: string; readonly used_by: readonly string[] };
  for (const project of ['default', 'green']) {
    const listed = await operator.metadata<Shown[]>('GET', `/1.0/profiles?recursion=1&project=${project}`);
    assert.ok(listed.length >= 2);
    for (const profile of listed)
      assert.deepEqual(profile, await operator.metadata('GET', `/1.0/profiles/${profile.name}?project=${project}`));
  }
  const all = await operator.metadata<Shown[]>('GET', '/1.0/profiles?recursion=1&all-projects=true');
  const users = all.filter(({ name }) => name === 'other').map((profile) => profile.used_by);
  assert.deepEqual(users, [['/1.0/instances/chosen'], ['/1.0/instances/both?project=green']]);
});

test('expanded: the profiles in their order, then the own; a device is replaced as a whole', async () => {
  const disk = (source: string) => ({ type: 'disk', source });
  await operator.metadata('POST', '/1.0/profiles', {
    name: 'first',
    config: { 'user.a': 'first', 'user.b': 'first', 'user.c': 'first' },
    devices: { d: { ...disk('first'), path: '/first' }, only: disk('first') },
  });
  await operator.metadata('POST', '/1.0/profiles', {
    name: 'second',
    config: { 'user.b': 'second', 'user.c': 'second' },
    devices: { d: disk('second') },
  });
  await operator.metadata('POST', '/1.0/instances', {
    name: 'layered',
    profiles: ['first', 'second'],
    config: { 'user.c': 'own' },
  });
  const expanded = await instance('layered');
  const user = Object.entries(expanded.expanded_config).filter(([key]) => key.startsWith('user.'));
  assert.deepEqual(user, [
    ['user.a', 'first'],
    ['user.b', 'second'],
    ['user.c', 'own'],
  ]);
  assert.deepEqual(expanded.expanded_devices, { d: disk('second'), only: disk('first') });
  await operator.metadata('PATCH', '/1.0/instances/layered', { profiles: ['second', 'first'] });
  assert.equal((await instance('layered')).expanded_config['user.b'], 'first');
});

test('an edit of a profile reaches the guests of its users, what they override does not', async () => {
  await operator.metadata('POST', '/1.0/profiles', { name: 'shared', config: { 'user.role': 'web' } });
  const [one, two, foreign] = guests.spawn(3) as [Guest, Guest, Guest];
  for (const [name, guest, config] of [
    ['one', one, {}],
    ['two', two, { 'user.role': 'mine' }],
    ['foreign', foreign, {}],
  ] as const) {
    const profiles = name === 'foreign' ? [] : ['default', 'shared'];
    await operator.metadata('POST', '/1.0/instances', { name, profiles, config });
    await daemon.startInstance(name, guest.pid);
  }
  const [first, second, third] = [await listen(one), await listen(two), await listen(foreign)];
  assert.equal((await ask(one.connect(daemon.socket), '/1.0/config/user.role')).body, 'web');
  await operator.metadata('PATCH', '/1.0/profiles/shared', {
    config: { 'user.role': 'db', 'user.more': '1', 'limits.cpu': '2' },
    devices: { data: { type: 'disk', source: '/srv', path: '/data' } },
  });
  await eventually('both have heard all', () => first.length === 3 && second.length === 2);
  assert.deepEqual(first, ['user.more >1', 'user.role web>db', 'added data']);
  assert.deepEqual(second, ['user.more >1', 'added data']);
  assert.equal((await ask(one.connect(daemon.socket), '/1.0/config/user.role')).body, 'db');
  assert.equal((await ask(two.connect(daemon.socket), '/1.0/config/user.role')).body, 'mine');
  const devices = JSON.parse((await ask(two.connect(daemon.socket), '/1.0/devices')).body);
  assert.deepEqual(devices, { data: { path: '/data', source: '/srv', type: 'disk' } });
  await operator.metadata('PATCH', '/1.0/instances/one', { profiles: ['default'] });
  await eventually('the profile is gone from the first', () => first.length === 6);
  assert.deepEqual(first.slice(3), ['user.more 1>', 'user.role db>', 'removed data']);
  await operator.metadata('PATCH', '/1.0/instances/foreign', { config: { 'user.end': '1' } });
  await eventually('the last has heard its own', () => third.length > 0);
  assert.deepEqual(third, ['user.end >1']);
});

test('security.devlxd in a profile holds for its users', async () => {
  const guest = guests.one();
  await operator.metadata('POST', '/1.0/profiles', { name: 'closed', config: { 'security.devlxd': 'false' } });
  await operator.metadata('POST', '/1.0/instances', { name: 'shut', profiles: ['closed'] });
  await daemon.startInstance('shut', guest.pid);
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 403);
  await operator.metadata('PATCH', '/1.0/profiles/closed', { config: { 'security.devlxd': '' } });
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 200);
});

test("a profile's nic gets an address, and its cloud-init data give a new instance id", async () => {
  await operator.metadata('POST', '/1.0/profiles', { name: 'net' });
  await operator.metadata('POST', '/1.0/instances', { name: 'booted', profiles: ['net'] });
  const id = async () => (await instance('booted')).config['volatile.cloud-init.instance-id'];
  const before = await id();
  await operator.metadata('PATCH', '/1.0/profiles/net', { config: { 'user.x': '1' } });
  assert.equal(await id(), before);
  await operator.metadata('PATCH', '/1.0/profiles/net', { config: { 'cloud-init.user-data': '#cloud-config\n' } });
  const second = await id();
  assert.notEqual(second, before);
  await operator.metadata('PATCH', '/1.0/profiles/net', { devices: { eth0: { type: 'nic' } } });
  const after = await instance('booted');
  assert.match(after.config['volatile.eth0.hwaddr'] ?? '', /^00:16:3e:/);
  assert.notEqual(after.config['volatile.cloud-init.instance-id'], second);
});

test('rename, and what may not be done to a profile', async () => {
  const error = operator.error.bind(operator);
  await operator.metadata('POST', '/1.0/profiles', { name: 'used', config: { 'user.kept': '1' } });
  await operator.metadata('POST', '/1.0/instances', { name: 'user', profiles: ['used'] });
  assert.match(
    await error('DELETE', '/1.0/profiles/used'),
    /^400 The profile "used" is in use, by the instance "user"/,
  );
  const moved = await operator.request('POST', '/1.0/profiles/used', { name: 'moved' });
  assert.deepEqual([moved.status, moved.headers['location']], [201, '/1.0/profiles/moved']);
  const after = await instance('user');
  assert.deepEqual([after.profiles, after.expanded_config['user.kept']], [['moved'], '1']);
  assert.match(await error('GET', '/1.0/profiles/used'), /^404 Profile "used" not found/);
  assert.match(await error('DELETE', '/1.0/profiles/default'), /^403 The "default" profile cannot be deleted/);
  assert.match(await error('POST', '/1.0/profiles/default', { name: 'x' }), /^403 .*cannot be renamed/);
  assert.match(await error('POST', '/1.0/profiles', { name: 'moved' }), /^409 Profile "moved" already exists/);
  assert.match(await error('POST', '/1.0/profiles', { name: 'a/b' }), /^400 name: "a\/b" is not a profile name/);
  assert.match(await error('POST', '/1.0/profiles', { name: 'x', config: { bad: '1' } }), /^400 config\.bad: Unknown/);
  assert.match(await error('PUT', '/1.0/profiles/moved', { devices: { d: {} } }), /^400 devices\.d\.type/);
  assert.match(
    await error('PATCH', '/1.0/instances/user', { profiles: ['none'] }),
    /^400 profiles: Profile "none" not found/,
  );
  assert.match(await error('PATCH', '/1.0/instances/user', { profiles: ['moved', 'moved'] }), /^400 profiles: .*twice/);
  assert.match(
    await error('PATCH', '/1.0/profiles/moved', { description: 'x' }, { 'if-match': 'stale' }),
    /^412 ETag doesn't match: stale vs /,
  );
  assert.deepEqual(await instance('user'), after);
});

test('profiles and who uses them are there again after kill -9', async () => {
  const before = await operator.metadata('GET', '/1.0/profiles?recursion=1');
  const layered = await instance('layered');
  await daemon.end('SIGKILL');
  await daemon.run();
  assert.deepEqual(await operator.metadata('GET', '/1.0/profiles?recursion=1'), before);
  assert.deepEqual(await instance('layered'), layered);
});
