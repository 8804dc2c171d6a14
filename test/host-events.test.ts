import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { socketPaths } from '../src/config/paths.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Guests } from './support/guest-processes.js';
import { type Follower, type HostEvent, Operator } from './support/host.js';
import { ask, exchange } from './support/http.js';

/** RFC 6455, 5.5.1: opcode 8, a length, 1013 in two bytes, the reason. */
const closeFrame = Buffer.from('\x03\xf5too many unread events', 'latin1');

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

function told({ metadata }: HostEvent): string {
  return `${metadata['action']} ${metadata['source']}`;
}

async function heard(follower: Follower, count: number): Promise<readonly HostEvent[]> {
  await eventually(`${count} events`, () => follower.events.length >= count);
  assert.equal(follower.events.length, count);
  return follower.events;
}

test('the life of an instance, in the order of the writes, each after its write', async () => {
  const follower = await operator.follow('?type=lifecycle');
  const guest = guests.one();
  await daemon.register('life', guest.pid, { 'user.a': '1' });
  await ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: '{"state":"Ready"}' });
  await ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: '{"state":"Ready"}' });
  await daemon.set('life', { 'user.a': '2' });
  await daemon.set('life', { 'user.a': '2' });
  await operator.metadata('PATCH', '/1.0/profiles/default', { config: { 'user.shared': '1' } });
  await daemon.stopInstance('life');
  await operator.metadata('POST', '/1.0/instances/life', { name: 'after' });
  await operator.metadata('DELETE', '/1.0/instances/after');
  const events = await heard(follower, 9);
  assert.deepEqual(events.map(told), [
    'instance-created /1.0/instances/life',
    'instance-started /1.0/instances/life',
    'instance-ready /1.0/instances/life',
    'instance-ready /1.0/instances/life',
    'instance-updated /1.0/instances/life',
    'profile-updated /1.0/profiles/default',
    'instance-stopped /1.0/instances/life',
    'instance-renamed /1.0/instances/after',
    'instance-deleted /1.0/instances/after',
  ]);
  assert.deepEqual(events[7]?.metadata['context'], { old_name: 'life' });
  for (const [index, event] of events.entries()) {
    assert.deepEqual([event.type, event.project, event.location], ['lifecycle', 'default', 'none']);
    assert.match(event.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    if (index > 0) assert.ok(event.timestamp > (events[index - 1]?.timestamp ?? ''));
    const requestor = event.metadata['requestor'] as { protocol: string; username: string } | undefined;
    // The guest itself is who got ready.
    assert.equal(requestor?.protocol, [2, 3].includes(index) ? undefined : 'unix');
  }
  follower.end();
});

test('profiles, projects, and an init that exits; of one project, and of all', async () => {
  const [one, all] = [
    await operator.follow('?type=lifecycle'),
    await operator.follow('?type=lifecycle&all-projects=true'),
  ];
  await operator.metadata('POST', '/1.0/projects', { name: 'blue' });
  const blue = await operator.follow('?type=lifecycle&project=blue');
  await operator.metadata('POST', '/1.0/profiles?project=blue', { name: 'p' });
  await operator.metadata('POST', '/1.0/profiles/p?project=blue', { name: 'q' });
  await operator.metadata('DELETE', '/1.0/profiles/q?project=blue');
  const guest = guests.one();
  await daemon.register('exits', guest.pid);
  guest.kill();
  await operator.metadata('PATCH', '/1.0/projects/blue', { description: 'x' });
  await operator.metadata('POST', '/1.0/projects/blue', { name: 'green' });
  await operator.metadata('DELETE', '/1.0/projects/green');
  const exit = ['created', 'started', 'stopped'].map((action) => `instance-${action} /1.0/instances/exits`);
  assert.deepEqual((await heard(one, 3)).map(told), exit);
  const ofBlue = [
    'profile-created /1.0/profiles/p?project=blue',
    'profile-renamed /1.0/profiles/q?project=blue',
    'profile-deleted /1.0/profiles/q?project=blue',
    'project-updated /1.0/projects/blue',
  ];
  assert.deepEqual((await heard(blue, 4)).map(told), ofBlue);
  const others = (await heard(all, 12)).map(told).filter((event) => !exit.includes(event));
  assert.deepEqual(others, [
    'project-created /1.0/projects/blue',
    'profile-created /1.0/profiles/default?project=blue',
    ...ofBlue,
    'project-renamed /1.0/projects/green',
    'profile-deleted /1.0/profiles/default?project=green',
    'project-deleted /1.0/projects/green',
  ]);
  for (const follower of [one, all, blue]) follower.end();
});

test('images, which belong to no project, are told to all', async () => {
  const follower = await operator.follow('?type=lifecycle');
  const { metadata } = await operator.metadata<{ metadata: { fingerprint: string } }>(
    'POST',
    '/1.0/images',
    'an image',
  );
  const path = `/1.0/images/${metadata.fingerprint}`;
  await operator.metadata('PATCH', path, { properties: { os: 'none' } });
  assert.deepEqual(await operator.metadata('GET', '/1.0/images?filter=properties.os=none'), [path]);
  assert.deepEqual(await operator.metadata('GET', '/1.0/images?filter=properties.os=other'), []);
  await operator.metadata('DELETE', path);
  const expected = ['created', 'updated', 'deleted'].map((done) => `image-${done} ${path}`);
  assert.deepEqual((await heard(follower, 3)).map(told), expected);
  follower.end();
});

test('operations: each step of them, and the progress of a batch', async () => {
  const follower = await operator.follow('?type=operation');
  await daemon.create('operated');
  const [begun, done] = await heard(follower, 2);
  const status = (event: HostEvent | undefined) => event?.metadata['status'];
  assert.deepEqual([status(begun), status(done)], ['Running', 'Success']);
  assert.equal(begun?.metadata['id'], done?.metadata['id']);
  assert.deepEqual(done?.metadata['resources'], { instances: ['/1.0/instances/operated'] });
  const lines = Array.from({ length: 450 }, (_, n) => `{"name":"o${n}"}\n`).join('');
  await operator.metadata('POST', '/1.0/instances', lines, { 'content-type': 'application/x-ndjson' });
  await eventually(
    'the batch has ended',
    () => follower.events.length > 4 && status(follower.events.at(-1)) === 'Success',
  );
  const progress = follower.events
    .slice(2)
    .map(({ metadata }) => (metadata['metadata'] as { batch_progress: string } | null)?.batch_progress);
  assert.deepEqual(
    [...new Set(progress)].filter((text) => text !== undefined),
    ['check 44% (200/450)', 'check 88% (400/450)', 'write 0% (0/450)', 'write 100% (450/450)'],
  );
  follower.end();
});

test('the log, in the shape that lxc monitor reads', async () => {
  const follower = await operator.follow('?type=logging');
  const guest = guests.one();
  await daemon.register('logged', guest.pid);
  await eventually('a line', () => follower.events.length > 0);
  assert.deepEqual(follower.events[0]?.metadata, {
    message: 'instance started',
    level: 'info',
    context: { instance: 'logged', project: 'default', pid: String(guest.pid) },
  });
  follower.end();
});

test('everyone hears the same in the same order, whoever writes at the same time', async () => {
  const followers = await Promise.all([1, 2, 3].map(() => operator.follow('?type=lifecycle')));
  const names = Array.from({ length: 50 }, (_, n) => `many${n}`);
  await Promise.all(names.map((name) => daemon.create(name)));
  const [first, ...others] = await Promise.all(followers.map((follower) => heard(follower, 50)));
  assert.deepEqual(
    first?.map(({ metadata }) => metadata['source']).sort(),
    names.map((name) => `/1.0/instances/${name}`).sort(),
  );
  for (const other of others) assert.deepEqual(other, first);
  for (const follower of followers) follower.end();
});

test('what is no event stream is told so', async () => {
  assert.match(await operator.error('GET', '/1.0/events'), /^400 Upgrade: is missing/);
  const upgrade = async (path: string): Promise<string> => {
    const head = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`;
    const received = await exchange(connect(socketPaths(daemon.runDir).control), head);
    return received.replace(/\r\n[\s\S]*"error":/, ' ');
  };
  assert.match(await upgrade('/1.0/events?type=nonsense'), /^HTTP\/1\.1 400 .*"type: \\"nonsense\\" isn't a supported/);
  assert.match(await upgrade('/1.0/events?project=none'), /^HTTP\/1\.1 404 .*"Project \\"none\\" not found/);
  assert.match(await upgrade('/1.0/instances'), /^HTTP\/1\.1 400 .*"Upgrade: only \/1\.0\/events/);
});

test('a WebSocket of another version is told which one is spoken, and no subprotocol is agreed to', async () => {
  const handshake = (...headers: string[]): Promise<string> => {
    const lines = ['GET /1.0/events HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket', ...headers];
    const head = `${[...lines, 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='].join('\r\n')}\r\n\r\n`;
    const isWhole = (text: string) => text.includes('\r\n\r\n');
    return exchange(connect(socketPaths(daemon.runDir).control), head, isWhole);
  };
  for (const versions of [['Sec-WebSocket-Version: 8'], ['Sec-WebSocket-Version: x'], []]) {
    const answer = await handshake(...versions);
    assert.match(answer, /^HTTP\/1\.1 426 Upgrade Required\r\n/);
    assert.match(answer, /\r\nSec-WebSocket-Version: 13\r\n/);
  }
  const taken = await handshake('Sec-WebSocket-Version: 13', 'Sec-WebSocket-Protocol: chat, lxd');
  assert.match(taken, /^HTTP\/1\.1 101 /);
  assert.doesNotMatch(taken, /Sec-WebSocket-Protocol/i);
});

test('a listener that does not read is dropped, the others hear all, and at the end all are told', async () => {
  const small = await TestDaemon.start(['--limit-control-event-backlog', '65536']);
  const there = new Operator(() => small);
  const slow = connect(socketPaths(small.runDir).control);
  slow.write(
    'GET /1.0/events?type=lifecycle HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  );
  await new Promise((resolve) => slow.once('readable', resolve));
  const follower = await there.follow('?type=lifecycle');
  let written = 0;
  const metrics = async (): Promise<string> => (await there.request('GET', '/1.0/metrics')).body;
  const isDropped = async () => /^devlxd_limit_hits_total\{limit="control-event-backlog"\} 1$/m.test(await metrics());
  while (!(await isDropped()) && written < 20_000) {
    const lines = Array.from({ length: 100 }, (_, n) => `{"name":"s${written + n}"}\n`).join('');
    await there.metadata('POST', '/1.0/instances', lines, { 'content-type': 'application/x-ndjson' });
    written += 100;
  }
  assert.ok(await isDropped());
  await eventually('it is told', () => small.log.some(({ limit }) => limit === 'control-event-backlog'));
  await eventually('the one who reads has heard all', () => follower.events.length === written);
  let received = Buffer.alloc(0);
  slow.on('data', (data: Buffer) => {
    received = Buffer.concat([received.subarray(-64), data]);
  });
  await eventually('the close frame, with its code', () => received.includes(closeFrame));
  slow.destroy();
  await small.end();
  assert.equal(await follower.closed, 1012);
  await small.remove();
});
