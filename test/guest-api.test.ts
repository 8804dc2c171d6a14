import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { instancePath } from '../src/cli/with-client.js';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { type Answer, ask } from './support/http.js';

const raw = 'application/octet-stream; charset=utf-8';

const config = { 'user.foo': 'bar' };

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;
let volatile: Readonly<Record<string, string>>;

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
  guest = guests.one();
  await daemon.create('c1', config);
  await daemon.startInstance('c1', guest.pid);
  volatile = (await daemon.client.instances.get('c1')).config;
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const metaData = () =>
  `#cloud-config\ninstance-id: ${volatile['volatile.cloud-init.instance-id']}\nlocal-hostname: c1\n`;

test('ssh keys are merged into vendor-data, live, and give cloud-init a new instance id', async () => {
  const get = (path: string) => ask(guest.connect(daemon.socket), path);
  const before = (await get('/1.0/meta-data')).body;
  await daemon.set('c1', { 'cloud-init.ssh-keys.me': 'root:gh:somebody' });
  const { body } = await get('/1.0/config/cloud-init.vendor-data');
  assert.match(
    body,
    /^#cloud-config\nusers:\n- name: "root"\n {2}ssh_import_id:\n {2}- "gh:somebody" #lxd:cloud-init\.ssh-keys\n$/,
  );
  const listed = JSON.parse((await get('/1.0/config')).body) as string[];
  assert.ok(listed.includes('/1.0/config/cloud-init.vendor-data'));
  assert.ok(!listed.includes('/1.0/config/user.vendor-data'));
  assert.ok(!listed.some((path) => path.includes('ssh-keys')));
  assert.notEqual((await get('/1.0/meta-data')).body, before);
  await daemon.set('c1', { 'cloud-init.ssh-keys.me': '' });
  assert.equal((await get('/1.0/config/cloud-init.vendor-data')).status, 404);
  volatile = (await daemon.client.instances.get('c1')).config;
});

test('PATCH /1.0: the guest says that it is ready, and that is durable', async () => {
  const patch = (body: string) => ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body });
  const state = async () => JSON.parse((await ask(guest.connect(daemon.socket), '/1.0')).body).state;
  const answer = await patch('{"state":"Ready"}');
  assert.deepEqual([answer.status, answer.body, answer.headers['content-type']], [200, '', raw]);
  assert.equal(await state(), 'Ready');
  await daemon.end('SIGKILL');
  await daemon.run();
  assert.equal(await state(), 'Ready');
  for (const [body, sentence] of [
    ['{"state":"x"}', /^Invalid state "x"\n$/],
    ['{}', /^Invalid state ""\n$/],
    ['{', /^Invalid request body: /],
    ['', /^Invalid request body: /],
    ['[1]', /^Invalid state ""\n$/],
    ['{"state":1}', /^Invalid request body: state is not a string\n$/],
  ] as const) {
    const refused = await patch(body);
    assert.equal(refused.status, 400, body);
    assert.match(refused.body, sentence);
  }
  assert.equal(await state(), 'Ready');
  assert.equal((await patch('{"state":"Started"}')).status, 200);
  assert.equal(await state(), 'Started');
});

test('a body beyond the limit is refused, and the daemon goes on', async () => {
  const answer = await ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: 'x'.repeat(100_000) });
  assert.deepEqual([answer.status, answer.body], [413, 'Request body too large\n']);
  assert.equal((await ask(guest.connect(daemon.socket), '/')).status, 200);
});

test('HEAD is GET without the body', async () => {
  for (const path of ['/1.0', '/1.0/config/user.foo', '/1.0/config/user.unset', '/1.0/nothing']) {
    const [get, head] = await Promise.all(
      ['GET', 'HEAD'].map((method) => ask(guest.connect(daemon.socket), path, { method })),
    );
    assert.equal(head?.body, '');
    assert.equal(head?.status, get?.status);
    for (const name of ['content-type', 'content-length']) assert.equal(head?.headers[name], get?.headers[name]);
  }
});

test('security.devlxd false: 403 for every path that there is, on each request anew', async () => {
  const request = (path: string): Promise<Answer> => ask(guest.connect(daemon.socket), path);
  await daemon.set('c1', { 'security.devlxd': 'false' });
  assert.equal((await request('/1.0/config/user.foo')).body, 'Forbidden\n');
  assert.equal((await request('/1.0')).status, 403);
  assert.equal((await request('/1.0/nothing')).status, 404);
  await daemon.set('c1', { 'security.devlxd': '' });
  assert.equal((await request('/1.0/config/user.foo')).body, 'bar');
  for (const config of [{ 'security.guestapi': 'false' }, { 'security.guestapi': 'off', 'security.devlxd': 'true' }]) {
    await daemon.set('c1', config);
    assert.equal((await request('/1.0')).status, 403);
    await daemon.set('c1', { 'security.guestapi': '', 'security.devlxd': '' });
    assert.equal((await request('/1.0')).status, 200);
  }
});

test('user.meta-data is given after the default lines, as it is', async () => {
  await daemon.set('c1', { 'user.meta-data': 'instance-id: mine\nx: ü' });
  const answer = await ask(guest.connect(daemon.socket), '/1.0/meta-data');
  assert.equal(answer.body, `${metaData()}instance-id: mine\nx: ü`);
  await daemon.set('c1', { 'user.meta-data': '' });
});

test('a change is seen by the next request; what was answered was durable', async () => {
  await daemon.client.request('PATCH', instancePath('c1'), { config: { 'user.foo': 'baz', 'user.new': 'n' } });
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.foo')).body, 'baz');
  await daemon.end('SIGKILL');
  await daemon.run();
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.foo')).body, 'baz');
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.new')).body, 'n');
});

test('200 guests at once, 10 requests each: every answer is the asker’s own', async () => {
  const crowd = guests.spawn(200);
  await Promise.all(crowd.map(({ pid }, i) => daemon.register(`crowd${i}`, pid, { 'user.mark': `mark ${i}` })));
  let answered = 0;
  const askTen = async (one: Guest, i: number): Promise<void> => {
    for (let n = 0; n < 10; n++) {
      const { body } = await ask(one.connect(daemon.socket), '/1.0/config/user.mark');
      assert.equal(body, `mark ${i}`);
      answered++;
    }
  };
  await Promise.all(crowd.map(askTen));
  assert.equal(answered, 2_000);
});
