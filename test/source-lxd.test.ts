import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { instancePath } from '../src/cli/with-client.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { EventStream } from './support/event-stream.js';
import { eventually } from './support/eventually.js';
import { FakeLxd, member } from './support/fake-lxd.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { type Answer, ask } from './support/http.js';

const lxd = new FakeLxd();
let daemon: TestDaemon;
let guests: Guests;
const operator = new Operator(() => daemon);
const commandLine = new CommandLine(() => daemon);

before(async () => {
  await lxd.start();
  guests = new Guests();
  daemon = await TestDaemon.start(['--source', `lxd:${lxd.socket}`]);
  await eventually('the source is followed', () => lxd.listeners === 1);
});

after(async () => {
  await daemon.remove();
  await guests.close();
  await lxd.remove();
});

async function value(guest: Guest, key: string): Promise<string> {
  return (await ask(guest.connect(daemon.socket), `/1.0/config/${key}`)).body;
}

async function state(guest: Guest): Promise<string> {
  return JSON.parse((await ask(guest.connect(daemon.socket), '/1.0')).body).state;
}

function say(guest: Guest, state: string): Promise<Answer> {
  return ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: JSON.stringify({ state }) });
}

async function names(): Promise<string[]> {
  const all = await operator.metadata<{ name: string }[]>('GET', '/1.0/instances?recursion=1&all-projects=true');
  return all.map(({ name }) => name);
}

async function started(name: string, config: Readonly<Record<string, string>> = {}): Promise<Guest> {
  const guest = guests.one();
  lxd.add(name, { config, pid: guest.pid });
  lxd.tell('instance-started', name);
  await eventually(
    `${name} runs`,
    async () => (await names()).includes(name) && /^(?:Running|Ready)$/.test(await status(name)),
  );
  return guest;
}

async function status(name: string): Promise<string> {
  return (await operator.metadata<{ status: string }>('GET', instancePath(name))).status;
}

test('a guest of the source is answered, and hears of config and devices, in order', async () => {
  const guest = await started('web', { 'user.role': 'web', 'limits.cpu': '1' });
  assert.equal(await value(guest, 'user.role'), 'web');
  assert.match((await ask(guest.connect(daemon.socket), '/1.0/meta-data')).body, /instance-id: id-uuid-web\n/);
  const stream = await EventStream.webSocket(guest, daemon.socket);
  lxd.change('web', { config: { 'user.role': 'db' } }, 'instance-updated');
  await stream.atLeast(1);
  const disk = { type: 'disk', path: '/d' };
  lxd.change('web', { devices: { d: disk } }, 'instance-updated');
  await stream.atLeast(2);
  assert.deepEqual(
    stream.events.map(({ metadata }) => metadata),
    [
      { key: 'user.role', old_value: 'web', value: 'db' },
      { action: 'added', config: disk, name: 'd' },
    ],
  );
  stream.end();
});

test('what belongs to LXD cannot be changed here, and the sentence names lxc', async () => {
  await started('theirs', { 'user.a': '1' });
  const path = instancePath('theirs');
  const refused = '409 The instance "theirs" belongs to LXD; change it with lxc';
  assert.equal(await operator.error('PATCH', path, { config: { 'user.a': '2' } }), refused);
  assert.equal(await operator.error('PUT', path, { config: {} }), refused);
  assert.equal(await operator.error('POST', path, { name: 'other' }), refused);
  assert.equal(await operator.error('DELETE', path), refused);
  assert.equal(await operator.error('PUT', `${path}/state`, { action: 'stop' }), refused);
  assert.equal(await status('theirs'), 'Running');
  const shown = await operator.metadata<Record<string, unknown>>('GET', path);
  assert.equal(shown['source'], 'lxd');
  assert.match(commandLine.does('list'), /^NAME .* SOURCE\n(.*\n)*theirs +RUNNING .* lxd\n/);
});

test('a restart is another process of the same instance', async () => {
  const first = await started('again', { 'user.a': '1' });
  const second = guests.one();
  lxd.change('again', { pid: second.pid }, 'instance-restarted');
  await eventually('the second is answered', async () => (await value(second, 'user.a')) === '1');
  assert.match(await value(first, 'user.a'), /Process ID not found in container/);
});

test('a pid that the source names no more when it is held is not believed', async () => {
  const guest = guests.one();
  lxd.add('stale', { config: { 'user.a': 'secret' }, pid: guest.pid });
  const { states } = lxd.fetches;
  lxd.staleOnce('stale');
  lxd.tell('instance-started', 'stale');
  await eventually('the source was asked twice', () => lxd.fetches.states >= states + 2);
  await eventually('it is refused', () => daemon.log.some((line) => line['instance'] === 'stale'));
  assert.equal(await status('stale'), 'Stopped');
  assert.match(await value(guest, 'user.a'), /Process ID not found in container/);
});

test('of a cluster those are served that run on this member', async () => {
  const elsewhere = guests.one(); // where that pid is another's
  lxd.add('elsewhere', { config: { 'user.a': 'secret' }, pid: elsewhere.pid, location: 'member2' });
  const here = guests.one();
  lxd.add('here', { config: { 'user.a': '1' }, pid: here.pid, location: member });
  lxd.tell('instance-started', 'elsewhere');
  lxd.tell('instance-started', 'here');
  await eventually('the one is served', async () => (await value(here, 'user.a')) === '1');
  assert.ok(!(await names()).includes('elsewhere'));
  lxd.change('here', { location: 'member2' }, 'instance-migrated');
  await eventually('it has left', async () => !(await names()).includes('here'));
  assert.match(await value(elsewhere, 'user.a'), /Process ID not found in container/);
  lxd.delete('elsewhere');
  lxd.delete('here');
});

test('an instance of our own keeps its name', async () => {
  await daemon.create('ours', { 'user.a': 'ours' });
  lxd.add('ours', { config: { 'user.a': 'theirs' } });
  await started('beside');
  const { config } = await operator.metadata<{ config: Record<string, string> }>('GET', instancePath('ours'));
  assert.equal(config['user.a'], 'ours');
  lxd.delete('ours');
});

test('while the source is dead its last state is served; afterwards what was missed is found', async () => {
  const [kept, gone] = [await started('kept', { 'user.a': '1' }), await started('gone', { 'user.a': 'gone' })];
  lxd.add('a-b', { config: { 'user.a': 'was a-b' } });
  lxd.add('b-a', { config: { 'user.a': 'was b-a' } });
  lxd.tell('instance-created', 'a-b');
  lxd.tell('instance-created', 'b-a');
  await eventually('both are there', async () => (await names()).filter((name) => /^.-.$/.test(name)).length === 2);
  const source = () => JSON.parse(commandLine.run(['check', '--json']).stdout).at(-1);
  assert.deepEqual([source().value, source().state], ['connected', 'ok']);
  await lxd.stop();
  assert.equal(await value(kept, 'user.a'), '1');
  await eventually('check says that it is away', () => /^away for \d+ s$/.test(source().value));
  assert.equal(source().state, 'warning');
  const metrics = await daemon.client.metrics();
  assert.match(metrics, /^devlxd_source_connected 0$/m);
  assert.match(metrics, /^devlxd_source_age_seconds [\d.]+$/m);
  const stream = await EventStream.chunked(kept, daemon.socket);
  await daemon.end('SIGKILL');
  await daemon.run();
  assert.equal(await value(kept, 'user.a'), '1');
  stream.end();
  lxd.change('kept', { config: { 'user.a': '2' } });
  lxd.delete('gone');
  lxd.change('a-b', { name: 'swap' });
  lxd.change('b-a', { name: 'a-b' });
  lxd.change('swap', { name: 'b-a' });
  await lxd.start();
  await eventually('the change is seen', async () => (await value(kept, 'user.a')) === '2');
  assert.match(await value(gone, 'user.a'), /Process ID not found in container/);
  assert.ok(!(await names()).includes('gone'));
  const swapped = await operator.metadata<{ config: Record<string, string> }>('GET', instancePath('a-b'));
  assert.equal(swapped.config['user.a'], 'was b-a');
});

test("a guest's word of how far it is stays here, is told to operators, and ends with its run", async () => {
  const guest = await started('boots', { 'user.a': '1' });
  const follower = await operator.follow('?type=lifecycle');
  assert.equal(await state(guest), 'Started');
  assert.equal((await say(guest, 'Ready')).status, 200);
  assert.equal(await state(guest), 'Ready');
  await eventually('operators hear of it', () =>
    follower.events.some(
      ({ metadata }) => metadata['action'] === 'instance-ready' && metadata['source'] === '/1.0/instances/boots',
    ),
  );
  follower.end();
  lxd.change('boots', { config: { 'user.a': '2' } }, 'instance-updated');
  await eventually('the change is seen', async () => (await value(guest, 'user.a')) === '2');
  assert.equal(await state(guest), 'Ready');
  await daemon.end('SIGKILL');
  await daemon.run();
  assert.equal(await state(guest), 'Ready');
  await eventually('all are read', () => daemon.log.at(-1)?.msg === 'source read'); // what happens is told from then on
  const next = guests.one();
  lxd.change('boots', { pid: next.pid }, 'instance-restarted');
  await eventually('the next run is answered', async () => (await state(next)) === 'Started');
});

test('what a guest has said to LXD is taken over, and again when it has changed there', async () => {
  const ready = { 'volatile.last_state.ready': 'true' };
  const guest = await started('booted', ready);
  assert.equal(await state(guest), 'Ready');
  await say(guest, 'Started');
  lxd.change('booted', { config: { ...ready, 'user.a': '1' } }, 'instance-updated');
  await eventually('the change is seen', async () => (await value(guest, 'user.a')) === '1');
  assert.equal(await state(guest), 'Started');
  lxd.change('booted', { config: { 'volatile.last_state.ready': 'false' } }, 'instance-updated');
  await eventually('the change is seen', async () => (await value(guest, 'user.a')) !== '1');
  lxd.change('booted', { config: ready }, 'instance-ready');
  await eventually('it is ready', async () => (await state(guest)) === 'Ready');
});

test('a source that hangs is taken to be away, and what it was not asked is found later', async () => {
  const guest = await started('slow', { 'user.a': '1' });
  await daemon.end();
  await daemon.run(['--limit-source-seconds', '1']);
  await eventually('the source is followed', () => lxd.listeners === 1);
  await eventually('all are read', () => daemon.log.at(-1)?.msg === 'source read');
  const isAway = ({ msg, err }: (typeof daemon.log)[number]): boolean =>
    msg === 'the source is away; its last state is served' &&
    /LXD on .*: GET \/1.0\/instances\/slow\?.*: no answer within 1 s$/.test((err as Error).message);
  lxd.hang(true);
  lxd.change('slow', { config: { 'user.a': '2' } }, 'instance-updated');
  await eventually('it is away', () => daemon.log.some(isAway));
  assert.equal(await value(guest, 'user.a'), '1');
  lxd.hang(false);
  await eventually('the change is seen', async () => (await value(guest, 'user.a')) === '2');
});

test('an event that cannot be understood is a broken connection, and no more than that', async () => {
  const guest = await started('odd', { 'user.a': '0' });
  for (const [n, text] of ['{', '{"type":"lifecycle"}', '{"metadata":{"source":"/1.0/instances/%zz"}}'].entries()) {
    lxd.change('odd', { config: { 'user.a': `after ${n}` } });
    lxd.say(text);
    await eventually('the change is found', async () => (await value(guest, 'user.a')) === `after ${n}`);
  }
});

test('2,000 instances and bursts of 1,000 changes: few requests, one at a time, and everything agrees', async (t) => {
  const asked = async (work: () => Promise<void>) => {
    const before = { ...lxd.fetches };
    const began = performance.now();
    await work();
    const [lists, singles] = [lxd.fetches.lists - before.lists, lxd.fetches.singles - before.singles];
    t.diagnostic(
      `seen after ${Math.round(performance.now() - began)} ms by ${lists} lists and ${singles} single requests`,
    );
    assert.ok(lists + singles < 100, 'the burst was not coalesced');
  };
  await asked(async () => {
    for (let n = 0; n < 2000; n++) {
      lxd.add(`many${n}`, { config: { 'user.n': '0' } });
      lxd.tell('instance-created', `many${n}`);
    }
    await eventually('all are there', async () => (await names()).length >= 2000);
  });
  await asked(async () => {
    for (let n = 0; n < 1000; n++) lxd.change(`many${n}`, { config: { 'user.n': '1' } }, 'instance-updated');
    await eventually('all are changed', async () => {
      const all = await operator.metadata<{ name: string; config: Record<string, string> }[]>(
        'GET',
        '/1.0/instances?recursion=1',
      );
      return all.filter(({ config }) => config['user.n'] === '1').length === 1000;
    });
  });
  assert.equal(lxd.fetches.mostAtOnce, 1);
  const [, memory] = /^VmRSS:\s+(\d+ kB)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8')) ?? [];
  t.diagnostic(`memory of the daemon with them: ${memory}`);
});

test('an instance of a source that is not followed any more is gone, and its guest with it', async () => {
  const guest = await started('left', { 'user.a': '1' });
  await daemon.end();
  await daemon.run(['--source', '']);
  assert.deepEqual(await names(), ['ours']);
  assert.match(await value(guest, 'user.a'), /Process ID not found in container/);
});
