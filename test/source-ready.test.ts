// What a guest says of itself is told to its source, where people and programs wait for it.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { FakeLxd } from './support/fake-lxd.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';

let incus: FakeLxd;
let daemon: TestDaemon;
let guests: Guests;
let web: Guest;
const key = 'volatile.last_state.ready';

before(() => {
  guests = new Guests();
});
after(() => guests.close());

beforeEach(async () => {
  incus = new FakeLxd('incus');
  incus.keepsReady = true;
  await incus.start();
  web = guests.one();
  incus.add('web', { config: { [key]: 'false' }, pid: web.pid });
  daemon = await TestDaemon.start(['--source', `incus:${incus.socket}`]);
  await eventually('it is served', async () => (await daemon.status('web').catch(() => '')) === 'Running');
});

afterEach(async () => {
  await daemon.remove();
  await incus.remove();
});

async function say(guest: Guest, state: string): Promise<void> {
  const answer = await ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: JSON.stringify({ state }) });
  assert.equal(answer.status, 200);
}

async function stateOf(guest: Guest): Promise<string> {
  return JSON.parse((await ask(guest.connect(daemon.socket), '/1.0')).body).state;
}

const told = () => incus.instances[0]?.config[key];
const followed = () => eventually('the source is followed', () => incus.listeners === 1);

test('a guest is ready: the source is told once, however often it says so', async () => {
  for (let n = 0; n < 5; n++) await say(web, 'Ready');
  await eventually('the source knows', () => told() === 'true');
  await say(web, 'Ready');
  incus.change('web', { config: { [key]: 'true', 'user.a': '1' } }, 'instance-updated');
  await eventually(
    'it was read again',
    async () => (await daemon.client.instances.get('web')).config['user.a'] === '1',
  );
  assert.deepEqual(incus.patches, ['web true']);
  assert.equal(await stateOf(web), 'Ready');
});

test('a guest that goes to and fro while the source is slow: the source is told little, and the last of it', async () => {
  incus.patchMilliseconds = 100;
  for (let n = 0; n < 10; n++) await say(web, n % 2 === 0 ? 'Ready' : 'Started');
  await eventually(
    'all is told',
    () => incus.patches.length > 0 && told() === 'false' && incus.patches.at(-1) === 'web false',
  );
  assert.ok(incus.patches.length <= 10, incus.patches.join());
  assert.equal(await stateOf(web), 'Started');
  await say(web, 'Ready');
  await eventually('and the last', () => told() === 'true');
  assert.equal(await stateOf(web), 'Ready');
});

test('a source that is away, or does not take it now, is told when it does', async () => {
  incus.refused.set('web', { status: 500, error: 'busy' });
  await say(web, 'Ready');
  await eventually('it was tried', () => incus.patches.length >= 2);
  incus.refused.clear();
  await eventually('the source knows', () => told() === 'true');
  await incus.stop();
  await say(web, 'Started');
  await incus.start();
  await eventually('the source knows that, too', () => told() === 'false');
  assert.equal(await stateOf(web), 'Started');
});

test('one that never takes it is asked a few times, and the log says so', async () => {
  incus.refused.set('web', { status: 400, error: 'Unknown configuration key' });
  await say(web, 'Ready');
  const message = 'the source does not take that it is ready';
  await eventually('the log says so', () => daemon.log.some(({ msg }) => msg === message));
  assert.equal(incus.patches.length, 6);
  assert.equal(await stateOf(web), 'Ready');
});

test('said while devlxd had no source: it is told after a restart, and not of the next run of the instance', async () => {
  await incus.stop();
  await say(web, 'Ready');
  await daemon.end('SIGKILL');
  await incus.start();
  await daemon.run();
  await followed();
  await eventually('the source knows', () => told() === 'true');
  const next = guests.one();
  const { length } = incus.patches;
  process.kill(web.pid, 'SIGKILL');
  incus.change('web', { pid: next.pid, config: { [key]: 'false' } }, 'instance-restarted');
  await eventually('the next run is answered', async () => (await stateOf(next).catch(() => '')) === 'Started');
  assert.deepEqual(incus.patches.slice(length), []);
  assert.equal(told(), 'false');
});

test('an LXD that knows no such state is not told', async () => {
  incus.keepsReady = false;
  incus.hangUp();
  await followed();
  await eventually('it was read again', () => incus.fetches.lists === 2);
  await say(web, 'Ready');
  incus.change('web', { config: { [key]: 'false', 'user.a': '1' } }, 'instance-updated');
  await eventually('it was read', async () => (await daemon.client.instances.get('web')).config['user.a'] === '1');
  assert.deepEqual(incus.patches, []);
  assert.equal(await stateOf(web), 'Ready');
});
