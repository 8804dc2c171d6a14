import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, test } from 'node:test';
import { instancePath } from '../src/cli/with-client.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { FakeLxd } from './support/fake-lxd.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { type Answer, ask, exchange, Session } from './support/http.js';

const incus = new FakeLxd('incus');
let daemon: TestDaemon;
let guests: Guests;
const operator = new Operator(() => daemon);
const commandLine = new CommandLine(() => daemon);

before(async () => {
  await incus.start();
  guests = new Guests();
  daemon = await TestDaemon.start(['--source', `incus:${incus.socket}`, '--limit-hold-seconds', '0']);
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

test("it is asked on Incus' own socket, which is given back", async () => {
  const guest = await started('served', { 'user.a': '1' });
  const answer = () => ask(guest.connect(incus.guestSocket), '/1.0/config/user.a').catch(() => undefined);
  await eventually('the socket is taken', async () => (await answer())?.body === '1');
  await daemon.end();
  assert.equal((await answer())?.body, 'of LXD');
  await daemon.run();
  await eventually('the socket is taken again', async () => (await answer())?.body === '1');
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

test("what it is told, and why it is refused, is said in Incus' words, also when it is said again", async () => {
  const guest = await started('words', { 'user.a': '1', 'security.guestapi.images': 'true' });
  const session = new Session(guest.connect(daemon.socket));
  const rendered = ({ status, headers, body }: Answer): string => `${status} ${headers['content-type']} ${body}`;
  const said = async (path: string, method = 'GET'): Promise<string> => rendered(await session.ask(path, { method }));
  const exported = async (): Promise<string> => rendered(await asked(guest, image)); // its connection is closed afterwards
  const text = 'text/plain; charset=utf-8';
  const info = `{"state":"Started","api_version":"1.0","instance_type":"container","location":"${hostname()}"}\n`;
  const image = `/1.0/images/${'f'.repeat(64)}/export`;
  for (let n = 0; n < 2; n++) {
    assert.equal(await said('/1.0'), `200 application/json ${info}`);
    assert.equal(await said('/1.0/config/user.b'), `404 ${text} not found\n`);
    assert.equal(await said('/1.0/none'), `404 ${text} not found\n`);
    assert.equal(await said('/1.0/config/limits.cpu'), `403 ${text} not authorized\n`);
    assert.equal(await said('/1.0/config/user.%zz'), `400 ${text} bad request\n`);
    assert.equal(await said('/1.0/config', 'POST'), `501 ${text} not implemented\n`);
    assert.match(
      await exported(),
      /^404 application\/json \{.*"error_code":404,"error":"Image \\"f{64}\\" not found","metadata":null\}\n$/,
    );
  }
  incus.change('words', { config: {} }, 'instance-updated');
  await eventually('images are refused', async () => (await exported()) === `403 ${text} not authorized\n`);
  incus.change('words', { config: { 'security.guestapi': 'false' } }, 'instance-updated');
  await eventually('it is refused', async () => (await said('/1.0')) === `403 ${text} not authorized\n`);
  await session.close();
});

test("what is no state is refused in Incus' words", async () => {
  const guest = await started('states');
  const session = new Session(guest.connect(daemon.socket));
  for (const [body, sentence] of [
    ['', 'EOF'],
    ['[]', 'json: cannot unmarshal array into Go value of type api.DevIncusPut'],
    ['"x"', 'json: cannot unmarshal string into Go value of type api.DevIncusPut'],
    ['5', 'json: cannot unmarshal number into Go value of type api.DevIncusPut'],
    ['true', 'json: cannot unmarshal bool into Go value of type api.DevIncusPut'],
    ['null', 'Invalid state ""'],
    ['{}', 'Invalid state ""'],
    ['{"state":null}', 'Invalid state ""'],
    ['{"state":"Bogus"}', 'Invalid state "Bogus"'],
    ['{"state":5}', 'json: cannot unmarshal number into Go struct field DevIncusPut.state of type string'],
    ['{"state":[]}', 'json: cannot unmarshal array into Go struct field DevIncusPut.state of type string'],
    ['{"state":{}}', 'json: cannot unmarshal object into Go struct field DevIncusPut.state of type string'],
  ] as const) {
    const answer = await session.ask('/1.0', { method: 'PATCH', body });
    assert.deepEqual([answer.status, answer.body], [400, `${sentence}\n`], body);
  }
  await session.close();
});

test("a caller whom nobody knows is told so in Incus' words, by both edges", async () => {
  const stranger = guests.one();
  assert.equal((await asked(stranger, '/1.0')).body, 'pid not in container?\n');
  const odd = await exchange(
    stranger.connect(daemon.socket),
    'GET http://incus/1.0 HTTP/1.1\r\nConnection: close\r\n\r\n',
  );
  assert.match(odd, /^HTTP\/1\.1 500 Internal Server Error\r\n(.*\r\n)+\r\npid not in container\?\n$/);
});

test('an instance of our own keeps its words beside Incus', async () => {
  const guest = guests.one();
  await daemon.register('ours', guest.pid);
  assert.equal((await asked(guest, '/1.0/config/user.b')).body, 'Not Found\n');
  assert.match((await asked(guest, '/1.0')).body, /"auth":"untrusted"/);
  await daemon.stopInstance('ours');
  await daemon.client.request('DELETE', instancePath('ours'));
});

test('the instances of another source than the one that is followed are forgotten', async () => {
  const guest = await started('left', { 'user.a': '1' });
  await daemon.end();
  await daemon.run(['--source', `lxd:${incus.socket}.none`]);
  assert.deepEqual(await operator.metadata('GET', '/1.0/instances'), []);
  assert.equal((await asked(guest, '/1.0/config/user.a')).status, 500);
});
