import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask } from './support/http.js';

let daemon: TestDaemon;
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
});

after(() => daemon.remove());

test('a project is a name space of instances and profiles', async () => {
  const made = await operator.request('POST', '/1.0/projects', { name: 'blue', description: 'the blue ones' });
  assert.deepEqual([made.status, made.headers['location']], [201, '/1.0/projects/blue']);
  await daemon.create('same', { 'user.of': 'default' });
  await operator.metadata('POST', '/1.0/profiles?project=blue', { name: 'tint', config: { 'user.tint': 'blue' } });
  await operator.metadata('POST', '/1.0/instances?project=blue', { name: 'same', profiles: ['default', 'tint'] });
  const config = async (query: string) =>
    (await operator.metadata<{ expanded_config: Record<string, string> }>('GET', `/1.0/instances/same${query}`))
      .expanded_config;
  assert.equal((await config(''))['user.of'], 'default');
  assert.equal((await config('?project=blue'))['user.tint'], 'blue');
  assert.deepEqual(await operator.metadata('GET', '/1.0/instances?project=blue'), ['/1.0/instances/same?project=blue']);
  assert.deepEqual(await operator.metadata('GET', '/1.0/instances?all-projects=true'), [
    '/1.0/instances/same?project=blue',
    '/1.0/instances/same',
  ]);
  assert.deepEqual(await operator.metadata('GET', '/1.0/profiles?project=blue'), [
    '/1.0/profiles/default?project=blue',
    '/1.0/profiles/tint?project=blue',
  ]);
  assert.match(
    await operator.error('PATCH', '/1.0/instances/same', { profiles: ['tint'] }),
    /^400 profiles: Profile "tint" not found/,
  );
  const shown = await operator.metadata<{ description: string; used_by: string[] }>('GET', '/1.0/projects/blue');
  assert.equal(shown.description, 'the blue ones');
  assert.deepEqual(shown.used_by, [
    '/1.0/instances/same?project=blue',
    '/1.0/profiles/default?project=blue',
    '/1.0/profiles/tint?project=blue',
  ]);
});

test('guests of instances with the same name in two projects get their own data', async () => {
  const guests = new Guests();
  const [one, two] = guests.spawn(2);
  assert.ok(one && two);
  await operator.metadata('PUT', '/1.0/instances/same/state', { action: 'start', pid: one.pid });
  await operator.metadata('PUT', '/1.0/instances/same/state?project=blue', { action: 'start', pid: two.pid });
  assert.equal((await ask(one.connect(daemon.socket), '/1.0/config/user.tint')).status, 404);
  assert.equal((await ask(two.connect(daemon.socket), '/1.0/config/user.tint')).body, 'blue');
  await operator.metadata('PUT', '/1.0/instances/same/state?project=blue', { action: 'stop' });
  await operator.metadata('PUT', '/1.0/instances/same/state', { action: 'stop' });
  await guests.close();
});

test('only an empty project can be deleted or renamed, and never the default one', async () => {
  const error = operator.error.bind(operator);
  assert.match(
    await error('DELETE', '/1.0/projects/blue'),
    /^400 Only empty projects can be deleted; "blue" has "same"/,
  );
  assert.match(await error('POST', '/1.0/projects/blue', { name: 'x' }), /^failed Only empty projects can be renamed/);
  assert.match(await error('DELETE', '/1.0/projects/default'), /^403 /);
  assert.match(await error('POST', '/1.0/projects', { name: 'a_b' }), /^400 name: "a_b" is not a project name/);
  assert.match(await error('POST', '/1.0/projects', { name: 'blue' }), /^409 Project "blue" already exists/);
  assert.match(await error('GET', '/1.0/instances?project=none'), /^404 Project "none" not found/);
  assert.match(await error('POST', '/1.0/instances?project=none', { name: 'x' }), /^404 Project "none" not found/);
  await operator.metadata('DELETE', '/1.0/instances/same?project=blue');
  await operator.metadata('DELETE', '/1.0/profiles/tint?project=blue');
  await operator.metadata('POST', '/1.0/projects/blue', { name: 'green' });
  assert.deepEqual(await operator.metadata('GET', '/1.0/profiles?project=green'), [
    '/1.0/profiles/default?project=green',
  ]);
  await operator.metadata('DELETE', '/1.0/projects/green');
  assert.deepEqual(await operator.metadata('GET', '/1.0/projects'), ['/1.0/projects/default']);
});

test('description and user keys of a project; its features are what they are', async () => {
  await operator.metadata('POST', '/1.0/projects', {
    name: 'edit',
    config: { 'features.profiles': 'true', 'user.a': '1' },
  });
  const path = '/1.0/projects/edit';
  const etag = await operator.etag(path);
  await operator.metadata('PATCH', path, { description: 'new', config: { 'user.b': '2' } }, { 'if-match': etag });
  assert.match(
    await operator.error('PATCH', path, { description: 'lost' }, { 'if-match': etag }),
    /^412 ETag doesn't match/,
  );
  assert.match(
    await operator.error('PATCH', path, { config: { 'features.images': 'true' } }),
    /^400 config\.features\.images: is always false/,
  );
  assert.match(
    await operator.error('PATCH', path, { config: { 'limits.cpu': '1' } }),
    /^400 config\.limits\.cpu: Unknown/,
  );
  await daemon.end('SIGKILL');
  await daemon.run();
  const shown = await operator.metadata<{ description: string; config: Record<string, string> }>('GET', path);
  assert.equal(shown.description, 'new');
  assert.deepEqual(
    [shown.config['user.a'], shown.config['user.b'], shown.config['features.profiles']],
    ['1', '2', 'true'],
  );
  await operator.metadata('PUT', path, { description: '' });
  const put = await operator.metadata<{ description: string; config: Record<string, string> }>('GET', path);
  assert.deepEqual([put.description, 'user.a' in put.config], ['', false]);
});
