// A source that answers, but not about one instance: that is this instance's affair.
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
let sound: Guest;
let web: Guest;

before(() => {
  guests = new Guests();
});
after(() => guests.close());

beforeEach(async () => {
  incus = new FakeLxd('incus');
  await incus.start();
  sound = guests.one();
  web = guests.one();
  incus.add('sound', { config: { 'user.n': '0' }, pid: sound.pid });
  incus.add('web', { config: { 'user.n': '0' }, pid: web.pid });
  daemon = await TestDaemon.start(['--source', `incus:${incus.socket}`]);
  await eventually('both are served', async () => (await value(sound)) === '0' && (await value(web)) === '0');
});

afterEach(async () => {
  await daemon.remove();
  await incus.remove();
});

async function value(guest: Guest): Promise<string> {
  return (await ask(guest.connect(daemon.socket), '/1.0/config/user.n')).body;
}

const status = (name: string) => daemon.status(name).catch(() => 'none');
const logged = (text: string) => daemon.log.filter(({ msg }) => msg === text).length;

let changes = 0;
/** The other instance is followed all the while, by single requests. */
async function assertUndisturbed(): Promise<void> {
  const n = String(++changes);
  incus.change('sound', { config: { 'user.n': n } }, 'instance-updated');
  await eventually('a change is seen', async () => (await value(sound)) === n);
  assert.equal(logged('the source is away; its last state is served'), 0);
  assert.equal(incus.fetches.lists, 1, 'all were asked for again');
}

test('Incus cannot say which pid an instance has that stops, and then can: only that instance is asked again', async () => {
  for (let round = 0; round < 5; round++) {
    process.kill(web.pid, 'SIGKILL');
    await eventually('it has stopped', async () => (await status('web')) === 'Stopped');
    await assertUndisturbed();
    web = guests.one();
    incus.change('web', { pid: web.pid, config: { 'user.n': `of ${round}` } }, 'instance-started');
    await eventually('the next is answered', async () => (await value(web)) === `of ${round}`);
    await assertUndisturbed();
  }
});

for (const status of [500, 503, 403]) {
  test(`a change that is answered ${status} is asked for again, until it is told`, async () => {
    incus.refused.set('web', { status, error: 'not now' });
    incus.change('web', { config: { 'user.n': 'late' } }, 'instance-updated');
    for (let n = 0; n < 3; n++) await assertUndisturbed();
    assert.equal(await value(web), '0');
    incus.refused.clear();
    await eventually('the change is seen', async () => (await value(web)) === 'late');
    await assertUndisturbed();
  });
}

test('one that cannot be read for long is named in the log once, and served as it was', async () => {
  incus.refused.set('web', { status: 500, error: 'Invalid PID -1' });
  incus.tell('instance-updated', 'web');
  await eventually('the log names it', () => logged('cannot be read at the source') === 1);
  const line = daemon.log.find(({ msg }) => msg === 'cannot be read at the source');
  assert.match(`${line?.['instance']}: ${line?.['reason']}`, /^web: Incus on .*: 500 .*Invalid PID -1/);
  await assertUndisturbed();
  assert.equal(await value(web), '0');
  assert.equal(logged('cannot be read at the source'), 1);
});

test('one that is deleted while it is read is gone, and no list of all is needed for it', async () => {
  incus.refused.set('web', { status: 500, error: 'Failed to fetch instance' });
  incus.tell('instance-updated', 'web');
  await assertUndisturbed();
  incus.delete('web');
  incus.refused.clear();
  incus.tell('instance-deleted', 'web');
  await eventually('it is gone', async () => (await status('web')) === 'none');
  await assertUndisturbed();
});

test('an instance that has vanished without a word is looked for in the list of all', async () => {
  incus.change('web', { name: 'other' }, 'instance-renamed');
  await eventually('it has its new name', async () => (await status('other')) === 'Running');
  assert.equal(await value(web), '0');
  assert.equal(incus.fetches.lists, 2);
});
