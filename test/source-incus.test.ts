import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { instancePath } from '../src/cli/client.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { FakeLxd } from './support/fake-lxd.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { type Answer, ask } from './support/http.js';

const incus = new FakeLxd();
let daemon: TestDaemon;
let guests: Guests;
const operator = new Operator(() => daemon);
const commandLine = new CommandLine(() => daemon);

before(async () => {
  await incus.start();
  guests = new Guests();
  daemon = await TestDaemon.start(['--source', `incus:${incus.socket}`]);
  await eventually('the source is followed', () => incus.listeners === 1);
});

after(async () => {
  await daemon.remove();
  await guests.close();
  await incus.remove();
});

async function started(name: string, config: Readonly<Record<string, string>> = {}): Promise<Guest> {
  const guest = guests.one();
  incus.add(name, { config, pid: guest.pid });
  incus.tell('instance-started', name);
  await eventually(`${name} runs`, async () => (await daemon.status(name).catch(() => '')) === 'Running');
  return guest;
}

function asked(guest: Guest, path: string): Promise<Answer> {
  return ask(guest.connect(daemon.socket), path);
}

test('a guest of Incus is answered, and the instance can only be changed with incus', async () => {
  const guest = await started('web', { 'user.role': 'web' });
  assert.equal((await asked(guest, '/1.0/config/user.role')).body, 'web');
  const refused = '409 The instance "web" belongs to Incus; change it with incus';
  assert.equal(await operator.error('PATCH', instancePath('web'), { config: { 'user.role': 'db' } }), refused);
  assert.match(commandLine.does('list'), /^NAME .* SOURCE\n(.*\n)*web +RUNNING .* incus\n/);
});

test("Incus' keys say whether its guests are served, and may have images", async () => {
  const guest = await started('keys', { 'user.a': '1' });
  assert.equal((await asked(guest, '/1.0/images/none/export')).status, 403);
  incus.change('keys', { config: { 'user.a': '1', 'security.guestapi.images': 'true' } }, 'instance-updated');
  await eventually('images are allowed', async () => (await asked(guest, '/1.0/images/none/export')).status === 404);
  incus.change('keys', { config: { 'user.a': '1', 'security.guestapi': 'false' } }, 'instance-updated');
  await eventually('it is refused', async () => (await asked(guest, '/1.0/config/user.a')).status === 403);
  incus.change('keys', { config: { 'user.a': '1' } }, 'instance-updated');
  await eventually('it is served', async () => (await asked(guest, '/1.0/config/user.a')).status === 200);
});

test('the instances of another source than the one that is followed are forgotten', async () => {
  const guest = await started('left', { 'user.a': '1' });
  await daemon.end();
  await daemon.run(['--source', `lxd:${incus.socket}.none`]);
  assert.deepEqual(await operator.metadata('GET', '/1.0/instances'), []);
  assert.equal((await asked(guest, '/1.0/config/user.a')).status, 500);
});
