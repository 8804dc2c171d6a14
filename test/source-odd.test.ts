// What a source says that is not so, or not to be understood: it may cost the one that it is said of, and nobody else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { FakeLxd } from './support/fake-lxd.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask } from './support/http.js';

const lxd = new FakeLxd();
let daemon: TestDaemon;
let guests: Guests;
let sound: Guest;
let changes = 0;
const operator = new Operator(() => daemon);

before(async () => {
  await lxd.start();
  guests = new Guests();
  sound = guests.one();
  lxd.add('sound', { config: { 'user.n': '0' }, pid: sound.pid });
  daemon = await TestDaemon.start(['--source', `lxd:${lxd.socket}`]);
  await eventually('the sound one is served', async () => (await value(sound, 'user.n')) === '0');
});

after(async () => {
  await daemon.remove();
  await guests.close();
  await lxd.remove();
});

async function value(guest: Guest, key: string): Promise<string> {
  return (await ask(guest.connect(daemon.socket), `/1.0/config/${key}`)).body;
}

async function names(): Promise<string[]> {
  const all = await operator.metadata<{ name: string }[]>('GET', '/1.0/instances?recursion=1&all-projects=true');
  return all.map(({ name }) => name);
}

function change(): string {
  const n = String(++changes);
  lxd.change('sound', { config: { 'user.n': n } });
  return n;
}

/** Others are kept up to date by a single request, and by a list of all. */
async function assertOthersAreFollowed(): Promise<void> {
  const one = change();
  lxd.tell('instance-updated', 'sound');
  await eventually('a change is seen', async () => (await value(sound, 'user.n')) === one);
  const all = change();
  lxd.hangUp();
  await eventually('a change is found in the list', async () => (await value(sound, 'user.n')) === all);
}

const readAgain = { raw: {} };

test('an instance that LXD cannot load is served as it was, and the others are followed', async () => {
  const guest = guests.one();
  lxd.add('broken', { config: { 'user.a': '1' }, pid: guest.pid });
  lxd.tell('instance-created', 'broken');
  await eventually('it is served', async () => (await value(guest, 'user.a')) === '1');
  const nothing = { expanded_config: null, expanded_devices: null, created_at: '0001-01-01T00:00:00Z', state: null };
  lxd.change('broken', { raw: { ...nothing, status: 'Error', status_code: 112 } }, 'instance-updated');
  await assertOthersAreFollowed();
  assert.equal(await value(guest, 'user.a'), '1');
  lxd.change('broken', { ...readAgain, config: { 'user.a': '2' } }, 'instance-updated');
  await eventually('it can be read again', async () => (await value(guest, 'user.a')) === '2');
});

const oddities = [
  { expanded_config: { 'user.a': 1 } },
  { expanded_devices: { eth0: null } },
  { expanded_devices: [] },
  { state: { pid: '1' } },
  { state: { pid: 1.5 } },
  { state: { pid: 2 ** 40 } },
  { state: { pid: -1 } },
  { created_at: null },
  { status_code: undefined },
  {}, // its pid is the host's init
];

test('instances of which something else is said than what there can be: the others are followed', async () => {
  for (const [index, raw] of oddities.entries()) {
    lxd.add(`odd${index}`, { pid: 1, raw });
    lxd.tell('instance-created', `odd${index}`);
  }
  await assertOthersAreFollowed();
  for (const index of oddities.keys()) lxd.delete(`odd${index}`);
});

test('an instance in a project whose name is none here is served', async () => {
  const guest = guests.one();
  const project = `été & co. ${'x'.repeat(100)}`;
  lxd.add('odd', { project, config: { 'user.a': '1' }, pid: guest.pid });
  lxd.tell('instance-created', 'odd', project);
  await eventually('it is served', async () => (await value(guest, 'user.a')) === '1');
  await assertOthersAreFollowed();
  lxd.delete('odd');
});

test('two with one identity, as while LXD moves an instance, are never taken for each other', async () => {
  const guest = guests.one();
  lxd.add('first', { uuid: 'shared', config: { 'user.a': 'first' }, pid: guest.pid });
  lxd.tell('instance-created', 'first');
  await eventually('the first is served', async () => (await value(guest, 'user.a')) === 'first');
  lxd.add('second', { uuid: 'shared', config: { 'user.a': 'second' } });
  lxd.tell('instance-created', 'second');
  await eventually('both are there', async () => (await names()).includes('second'));
  await assertOthersAreFollowed();
  assert.equal(await value(guest, 'user.a'), 'first');
  lxd.delete('second');
  lxd.tell('instance-deleted', 'second');
  await eventually('it is gone', async () => !(await names()).includes('second'));
  assert.equal(await value(guest, 'user.a'), 'first');
});

test('two with one init: it goes on being the one whose it was first', async () => {
  const guest = guests.one();
  lxd.add('owner', { config: { 'user.a': 'owner' }, pid: guest.pid });
  lxd.tell('instance-started', 'owner');
  await eventually('the owner is served', async () => (await value(guest, 'user.a')) === 'owner');
  lxd.add('thief', { config: { 'user.a': 'thief' }, pid: guest.pid });
  lxd.tell('instance-started', 'thief');
  await eventually('it is refused', () => daemon.log.some(({ instance }) => instance === 'thief'));
  await assertOthersAreFollowed();
  assert.equal(await value(guest, 'user.a'), 'owner');
  lxd.delete('thief');
});

test('an instance that is given the name of one of ours is left out', async () => {
  await daemon.create('ours', { 'user.a': 'ours' });
  const guest = guests.one();
  lxd.add('theirs', { config: { 'user.a': 'theirs' }, pid: guest.pid });
  lxd.tell('instance-started', 'theirs');
  await eventually('it is served', async () => (await value(guest, 'user.a')) === 'theirs');
  lxd.change('theirs', { name: 'ours' }, 'instance-renamed');
  lxd.tell('instance-renamed', 'theirs');
  await assertOthersAreFollowed();
  assert.deepEqual(
    (await names()).filter((name) => /ours|theirs|^\./.test(name)),
    ['ours'],
  );
  assert.match(await value(guest, 'user.a'), /Process ID not found in container/);
  lxd.delete('ours');
});

test('values that no operator could set are served as the source has them, also after a restart', async () => {
  const guest = guests.one();
  const config: Record<string, string> = { 'user.long': 'x'.repeat(5 * 1024 * 1024), 'user.nul': 'a\0b\r\nc' };
  for (let n = 0; n < 10_000; n++) config[`user.many.${n}`] = String(n);
  lxd.add('large', { config, pid: guest.pid });
  lxd.tell('instance-started', 'large');
  await eventually('it is served', async () => (await value(guest, 'user.many.9999')) === '9999');
  await assertOthersAreFollowed();
  for (const restarted of [false, true]) {
    if (restarted) await daemon.end('SIGKILL').then(() => daemon.run());
    assert.equal(await value(guest, 'user.long'), config['user.long']);
    assert.equal(await value(guest, 'user.nul'), config['user.nul']);
  }
  lxd.delete('large');
});

for (const [what, body] of Object.entries({
  'half a JSON': '{"metadata":[{"name":"sou',
  'no list': '{"metadata":{}}',
  'no names': '{"metadata":[{"type":"container"}]}',
  'an end in the middle': undefined,
})) {
  test(`LXD lists with ${what}: it is taken to be away, and its last state is served`, async () => {
    const before = lxd.fetches.lists;
    lxd.garble(body);
    lxd.hangUp();
    await eventually('it was asked', () => lxd.fetches.lists > before);
    assert.equal(await value(sound, 'user.n'), String(changes));
    assert.ok((await names()).includes('sound'));
    lxd.garble('none');
    await assertOthersAreFollowed();
  });
}

test('what is done in an instance, or belongs to it, is no reason to ask', async () => {
  await assertOthersAreFollowed();
  const before = { ...lxd.fetches };
  for (const action of ['exec', 'console', 'console-retrieved', 'file-pushed']) lxd.tell(`instance-${action}`, 'sound');
  lxd.tell('instance-snapshot-created', 'sound/snapshots/s');
  const n = change();
  lxd.tell('instance-updated', 'sound');
  await eventually('a change is seen', async () => (await value(sound, 'user.n')) === n);
  assert.deepEqual(lxd.fetches, { ...before, singles: before.singles + 1 });
});

test('after a long list LXD has a rest from lists, while single instances go on being followed', async () => {
  lxd.add('gone');
  lxd.add('also-gone');
  for (const name of ['gone', 'also-gone']) lxd.tell('instance-created', name);
  await eventually('both are there', async () => (await names()).includes('also-gone'));
  lxd.listMilliseconds = 1000;
  lxd.delete('gone');
  lxd.tell('instance-deleted', 'gone');
  await eventually('it is gone', async () => !(await names()).includes('gone'));
  const { lists } = lxd.fetches;
  lxd.delete('also-gone');
  lxd.tell('instance-deleted', 'also-gone');
  const guest = guests.one();
  lxd.add('new', { config: { 'user.a': 'new' }, pid: guest.pid });
  lxd.tell('instance-started', 'new');
  await eventually('the new one is served', async () => (await value(guest, 'user.a')) === 'new');
  assert.equal(lxd.fetches.lists, lists);
  lxd.listMilliseconds = 0;
  await eventually('the other one is gone', async () => !(await names()).includes('also-gone'));
});
