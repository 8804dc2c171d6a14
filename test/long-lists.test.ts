import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { HostClient } from '../src/cli/with-client.js';
import { socketPaths } from '../src/config/paths.js';
import { TestDaemon } from './support/daemon.js';

const many = 3000;
let daemon: TestDaemon;
let client: HostClient;

before(async () => {
  daemon = await TestDaemon.start();
  client = new HostClient(daemon.runDir);
  await writeAll('POST', (name) => ({ name, config: { 'user.version': '0', 'user.text': 'x'.repeat(2000) } }));
});

after(async () => {
  await client.close();
  await daemon.remove();
});

async function writeAll(method: 'POST' | 'PATCH', bodyOf: (name: string) => object): Promise<void> {
  const names = Array.from({ length: many }, (_, index) => `c${String(index).padStart(5, '0')}`);
  const path = (name: string) => (method === 'POST' ? '/1.0/instances' : `/1.0/instances/${name}`);
  await client.batch(names.map((name) => ({ method, path: path(name), body: bodyOf(name) })));
}

/** Asks for a list and reads nothing but its first bytes until it is allowed to. */
async function slowly(path: string, meanwhile: () => Promise<unknown>): Promise<string> {
  const asked = request({ socketPath: socketPaths(daemon.runDir).control, path, agent: false }).end();
  const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
  await meanwhile();
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

interface Row {
  readonly name: string;
  readonly config: Record<string, string>;
  readonly expanded_config: Record<string, string>;
  readonly used_by: string[];
}

test('a list that is read while others write is of one moment', async () => {
  const text = await slowly('/1.0/instances?recursion=1', async () => {
    await writeAll('PATCH', () => ({ config: { 'user.version': '1' } }));
    await client.profiles.patch('default', { config: { 'user.profile': 'later' } });
    await client.instances.create({ name: 'later' });
    await client.instances.delete('c00000');
  });
  const rows = JSON.parse(text).metadata as Row[];
  assert.deepEqual([...new Set(rows.map(({ config }) => config['user.version']))], ['0']);
  assert.deepEqual([...new Set(rows.map((row) => row.expanded_config['user.profile']))], [undefined]);
  assert.deepEqual([rows.length, rows[0]?.name], [many, 'c00000']);
  const now = await client.instances.list();
  assert.deepEqual([...new Set(now.map((row) => row.expanded_config['user.profile']))], ['later']);
  assert.deepEqual([now.length, now[0]?.name, now.at(-1)?.name], [many, 'c00001', 'later']);
});

test('what uses a profile or a project is of one moment, and complete', async () => {
  const text = await slowly('/1.0/profiles?recursion=1', () => client.instances.delete('later'));
  assert.equal((JSON.parse(text).metadata[0] as Row).used_by.length, many);
  const { used_by: users } = await client.profiles.get('default');
  assert.deepEqual([users.length, users[0]], [many - 1, '/1.0/instances/c00001']);
  const project = await client.projects.get('default');
  assert.deepEqual([project.used_by.length, project.used_by.at(-1)], [many, '/1.0/profiles/default']);
  assert.equal((await client.profiles.list({ filter: 'name=default' })).length, 1);
});

test('lines are the same as the list, and a reader may leave in the middle', async () => {
  const rows: object[] = [];
  for await (const row of client.instances.each({ filter: 'config.user.version=1' })) rows.push(row);
  assert.deepEqual(rows, await client.instances.list());
  for await (const line of client.instances.linesWithState()) {
    assert.match(line, /^\{.*"pid":0.*\}$/);
    break;
  }
  for await (const line of client.instances.lines({ filter: 'name=nobody' })) assert.fail(line);
  await assert.rejects(client.instances.lines({ filter: 'name' }).next(), /filter/);
});

test('what can be written is the same as in the list, with the entity tag of each', async () => {
  const rows = (await client.instances.list({ etags: true })).map((row) => {
    const { name, type, architecture, config, description, devices, ephemeral, profiles } = row;
    const etag = 'etag' in row ? row.etag : undefined;
    return { name, type, architecture, config, description, devices, ephemeral, profiles, etag };
  });
  const shown: object[] = [];
  for await (const lines of client.instances.writableLines({ etags: true }))
    shown.push(...lines.map((line) => JSON.parse(line) as object));
  assert.deepEqual(shown, rows);
  assert.equal(rows[0]?.etag, (await client.instances.tagged(rows[0]?.name ?? '')).etag);
  const { value, etag } = await client.profiles.tagged('default');
  const { name, config, description, devices } = value;
  const [profile = ''] = (await client.profiles.writableLines({ etags: true }).next()).value ?? [];
  assert.deepEqual(JSON.parse(profile), { name, config, description, devices, etag });
});
