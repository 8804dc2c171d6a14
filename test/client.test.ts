import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { HostEvent } from '../src/api/types.js';
import { ApiError, ConnectionError } from '../src/client/client-errors.js';
import { GuestClient, type GuestEvent } from '../src/client/guest-client.js';
import { HostClient } from '../src/client/host-client.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';

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

function clientOf(guest: Guest): GuestClient {
  return new GuestClient({ connect: () => guest.connect(daemon.socket) });
}

/** Collects what is heard until it is ended. */
function heard<Event>(make: (signal: AbortSignal) => AsyncIterable<Event>) {
  const ended = new AbortController();
  const events: Event[] = [];
  const done = (async () => {
    for await (const event of make(ended.signal)) events.push(event);
  })();
  const end = (): Promise<void> => {
    ended.abort();
    return done;
  };
  return { events, done, end };
}

function told({ type, metadata }: HostEvent): string {
  return type === 'lifecycle' ? `${metadata.action} ${metadata.source}` : type;
}

function isStatus(status: number, sentence: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof ApiError && error.status === status && sentence.test(error.message);
}

test('instances: create, read, change, rename, start, stop, delete', async () => {
  const { instances } = daemon.client;
  await instances.create({ name: 'one', config: { 'user.a': '1' }, description: 'first' });
  await instances.patch('one', { config: { 'user.b': '2' } });
  const { value, etag } = await instances.tagged('one');
  assert.deepEqual([value.name, value.description, value.profiles], ['one', 'first', ['default']]);
  assert.deepEqual([value.config['user.a'], value.config['user.b']], ['1', '2']);
  await instances.patch('one', { config: { 'user.b': '' } }, etag);
  await assert.rejects(instances.patch('one', { config: {} }, etag), isStatus(412, /^ETag doesn't match/));
  await instances.replace('one', { profiles: ['default'], config: { 'user.c': '3' } });
  assert.equal((await instances.get('one')).config['user.a'], undefined);
  await instances.rename('one', 'uno');
  await instances.start('uno', guests.one().pid);
  assert.equal((await instances.state('uno')).status, 'Running');
  assert.ok((await instances.getWithState('uno')).state.pid > 0);
  assert.deepEqual(
    (await instances.listWithState({ filter: 'status=running' })).map(({ name }) => name),
    ['uno'],
  );
  await instances.stop('uno');
  await instances.delete('uno');
  assert.deepEqual(await instances.list(), []);
});

test('edit: what others write in between is not lost', async () => {
  const { instances } = daemon.client;
  await instances.create({ name: 'edited' });
  const one = (n: number) =>
    instances.edit('edited', ({ config }) => ({ config: { ...config, [`user.n${n}`]: String(n) } }));
  const other = new HostClient(daemon.runDir);
  const two = other.instances.edit('edited', ({ config }) => ({ config: { ...config, 'user.other': '1' } }));
  await Promise.all([one(1), two, one(2)]);
  const { config } = await instances.get('edited');
  assert.deepEqual([config['user.n1'], config['user.n2'], config['user.other']], ['1', '2', '1']);
  await instances.delete('edited');
  await other.close();
});

test('profiles, projects, images, operations, metrics', async () => {
  const blue = new HostClient(daemon.runDir, { project: 'blue' });
  await blue.projects.create({ name: 'blue', description: 'a project' });
  await blue.profiles.create({ name: 'p q'.replace(' ', '-'), config: { 'user.role': 'web' } });
  await blue.instances.create({ name: 'there', profiles: ['p-q'] });
  assert.equal((await blue.instances.get('there')).expanded_config['user.role'], 'web');
  assert.deepEqual((await blue.profiles.get('p-q')).used_by, ['/1.0/instances/there?project=blue']);
  assert.deepEqual(await daemon.client.instances.list(), []);
  assert.equal((await daemon.client.instances.list({ allProjects: true })).length, 1);
  await assert.rejects(blue.projects.delete('blue'), isStatus(400, /Only empty projects/));
  await blue.instances.start('there', guests.one().pid);
  assert.equal((await blue.instances.state('there')).status, 'Running');
  await blue.instances.stop('there');
  await blue.instances.delete('there');
  await blue.profiles.delete('p-q');
  await blue.projects.delete('blue');
  await blue.close();

  const { images, operations } = daemon.client;
  const content = randomBytes(3_000_000);
  const fingerprint = createHash('sha256').update(content).digest('hex');
  const described = { filename: 'ünï.img', public: true, properties: { os: 'none' }, fingerprint };
  assert.equal(await images.import(Readable.from([content]), content.length, described), fingerprint);
  assert.deepEqual(
    (await images.list({ filter: 'properties.os=none' })).map(({ filename }) => filename),
    ['ünï.img'],
  );
  assert.deepEqual(await buffer(await images.export(fingerprint.slice(0, 10))), content);
  await images.patch(fingerprint, { public: false });
  assert.equal((await images.get(fingerprint)).public, false);
  await images.delete(fingerprint);
  await assert.rejects(images.export(fingerprint), isStatus(404, /not found/));
  const [last] = (await operations.list()).slice(-1);
  assert.equal((await operations.wait(last?.id ?? '')).status, 'Success');
  assert.match(await daemon.client.metrics(), /^devlxd_instances\{status="Running"\} 0$/m);
  assert.equal((await daemon.client.info()).environment.server, 'devlxd');
});

test('an upload that is refused half-way says why, however much is still to come', async () => {
  const form = Readable.from(
    (function* () {
      yield Buffer.from('--b\r\nContent-Disposition: form-data; name="wrong"; filename="x"\r\n\r\n');
      for (let piece = 0; piece < 500; piece++) yield Buffer.alloc(65536);
    })(),
  );
  const boundary = 'b';
  await assert.rejects(
    daemon.client.images.import(form, 500 * 65536 + 1000, { boundary }),
    isStatus(400, /metadata and rootfs, not wrong/),
  );
});

test('errors: the sentence of the daemon, or why there is none', async () => {
  const { instances } = daemon.client;
  await assert.rejects(instances.get('nobody'), isStatus(404, /^Instance "nobody" not found$/));
  await assert.rejects(instances.create({ name: '1' }), isStatus(400, /^name: "1" is not an instance name/));
  await assert.rejects(instances.list({ filter: 'x' }), isStatus(400, /^filter: /));
  const nowhere = new HostClient(join(daemon.directory, 'nowhere'));
  const isAway = (error: unknown) => error instanceof ConnectionError && error.code === 'ENOENT';
  await assert.rejects(nowhere.instances.list(), isAway);
  await assert.rejects(nowhere.events().next(), isAway);
  await assert.rejects(daemon.client.events({ types: ['none' as 'logging'] }).next(), isStatus(400, /^type: "none"/));
});

test('batch: of all kinds, in one transaction, with its progress', async () => {
  const stages: string[] = [];
  const lines = [
    { method: 'POST', path: '/1.0/profiles', body: { name: 'web', config: { 'user.role': 'web' } } },
    ...Array.from({ length: 400 }, (_, n) => ({
      method: 'POST' as const,
      path: '/1.0/instances',
      body: { name: `batch${n}`, profiles: ['web'] },
    })),
  ] as const;
  await daemon.client.batch(lines, (stage, percent) => stages.push(`${stage} ${percent}`));
  assert.equal(stages.at(-1), 'write 100');
  assert.equal((await daemon.client.profiles.get('web')).used_by.length, 400);
  await daemon.client.batch([
    ...Array.from({ length: 400 }, (_, n) => ({ method: 'DELETE' as const, path: `/1.0/instances/batch${n}` })),
    { method: 'DELETE', path: '/1.0/profiles/web' },
  ]);
  assert.deepEqual(await daemon.client.instances.list(), []);
});

test('host events: in order, and a gap is told when the daemon was away', async () => {
  const { instances } = daemon.client;
  const { events, end } = heard((signal) => daemon.client.events({ types: ['lifecycle'], signal }));
  await eventually('it listens', async () => {
    await daemon.client.profiles.patch('default', { description: String(Math.random()) });
    return events.length > 0;
  });
  await instances.create({ name: 'before' });
  await eventually('it is heard', () => events.some((event) => told(event).endsWith('/before')));
  await daemon.end('SIGKILL');
  await daemon.run();
  await eventually('it is back', () => events.some(({ type }) => type === 'reconnected'));
  await instances.delete('before');
  await eventually('it hears again', () => told(events.at(-1) as HostEvent).startsWith('instance-deleted'));
  const names = events.map(told).filter((event) => !event.startsWith('profile'));
  assert.deepEqual(names, [
    'instance-created /1.0/instances/before',
    'reconnected',
    'instance-deleted /1.0/instances/before',
  ]);
  await end();
});

test('a guest: everything it can ask', async () => {
  const guest = guests.one();
  const config = { 'user.role': 'web', 'user.a b%c': 'odd', 'security.devlxd.images': 'true' };
  await daemon.client.instances.create({ name: 'asks', config, devices: { data: { type: 'disk', path: '/data' } } });
  await daemon.client.instances.start('asks', guest.pid);
  const image = Buffer.from('an image');
  const fingerprint = await daemon.client.images.import(Readable.from([image]), image.length, { public: true });
  const client = clientOf(guest);
  assert.equal((await client.info()).state, 'Started');
  await client.setState('Ready');
  assert.equal((await client.info()).state, 'Ready');
  assert.deepEqual(await client.keys(), ['user.a b%c', 'user.role']);
  assert.deepEqual([await client.config('user.role'), await client.config('user.a b%c')], ['web', 'odd']);
  assert.equal(await client.config('user.unset'), undefined);
  await assert.rejects(client.config('security.devlxd'), isStatus(403, /^Forbidden$/));
  assert.match(await client.metaData(), /^#cloud-config\ninstance-id: .*\nlocal-hostname: asks\n/);
  assert.deepEqual(await client.devices(), { data: { path: '/data', type: 'disk' } });
  assert.deepEqual(await buffer(await client.exportImage(fingerprint)), image);
  assert.deepEqual(await buffer(await client.exportImage(fingerprint, 3)), image.subarray(3));
  await assert.rejects(client.exportImage('0'.repeat(64)), isStatus(404, /^Not Found$/));
  await client.close();
});

function values(events: readonly GuestEvent[]): unknown[] {
  return events.map(({ type, metadata }) => (type === 'config' ? metadata.value : metadata.action));
}

test("a guest's events: each once, in order, whatever happens to the connection and to the daemon", async () => {
  const guest = guests.one();
  await daemon.register('hears', guest.pid);
  const client = clientOf(guest);
  const { events, end } = heard((signal) => client.events({ signal }));
  const metrics = async () => (await daemon.client.metrics()).match(/^devlxd_listeners\{role="guest"\} (\d+)$/m)?.[1];
  await eventually('it listens', async () => (await metrics()) === '1');
  // Lost before the first event, and twice after it.
  let written = 0;
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
    await daemon.end(signal);
    await daemon.run();
    for (let n = 0; n < 20; n++) await daemon.set('hears', { 'user.n': String(written++) });
    await eventually(`event ${written}`, () => events.length >= written);
  }
  assert.deepEqual(
    values(events),
    Array.from({ length: written }, (_, n) => String(n)),
  );
  const since = events.at(-11)?.timestamp ?? '';
  await end();
  const again = heard((signal) => client.events({ signal, since, types: ['config'] }));
  await eventually('what came since', () => again.events.length >= 10);
  assert.deepEqual(values(again.events), values(events.slice(-10)));
  await again.end();
  await client.close();
});

test("a guest's events end with an error when they cannot be told: too much missed, or forbidden", async () => {
  const guest = guests.one();
  await daemon.register('ends', guest.pid);
  const client = clientOf(guest);
  await daemon.set('ends', { 'user.n': 'first' });
  const { events, done } = heard(() => client.events({ since: '2020-01-01T00:00:00.000000000Z' }));
  await eventually('it listens', () => events.length === 1);
  const since = events[0]?.timestamp ?? '';
  await daemon.set('ends', { 'security.devlxd': 'false' });
  await assert.rejects(done, isStatus(403, /^Forbidden$/));
  await daemon.set('ends', { 'security.devlxd': 'true' });
  for (let n = 0; n < 300; n++) await daemon.set('ends', { 'user.n': String(n) });
  await assert.rejects(client.events({ since }).next(), isStatus(410, /^Gone$/));
  await client.close();
});
