import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { gateLimitNames } from '../src/gate/gate.js';
import { type CountedLimit, countedLimits } from '../src/limits/limit-hits.js';
import { limitDeclarations } from '../src/limits/limits.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask, ended, exchange, Session } from './support/http.js';
import { largeImage } from './support/large-image.js';
import { connectionLimits, hitsOf, type LimitCase, testLimits } from './support/limit-cases.js';
import { getOf as get, stalled } from './support/stalled.js';
import { frames, opcodes, upgrade } from './support/websocket-frames.js';

const limits = {
  'requests-per-second': 200,
  'request-burst': 64,
  'stored-requests-per-second': 4,
  'state-writes-per-minute': 30,
  'event-backlog': 65_536,
  'event-backlog-instance': 3_000_000,
  'event-backlog-total': 3_400_000,
  'control-event-backlog': 65_536,
  'websocket-frames': 3000,
  'pong-backlog': 20_000,
  'ping-seconds': 1,
  'drain-seconds': 1,
  'config-keys': 8,
  'config-key': 100,
  'config-value': 1_000_000,
  'image-exports': 1,
  'guest-body': 100,
  'json-values': 100,
  'json-depth': 8,
  'batch-lines': 10,
  'control-body': 2_000_000,
};

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;
const operator = new Operator(() => daemon);
const commandLine = new CommandLine(() => daemon);
const open: Socket[] = [];

before(async () => {
  const options = Object.entries(limits).flatMap(([name, value]) => [`--limit-${name}`, String(value)]);
  daemon = await TestDaemon.start(options);
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.a': '1', 'security.devlxd.images': 'true' });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** A connection that says this and reads nothing. */
function stall(from: Guest, text = ''): Socket {
  const socket = stalled(from, daemon.socket, text);
  open.push(socket);
  return socket;
}

/** A WebSocket of the guest's that reads nothing. */
async function silentListener(): Promise<Socket> {
  const socket = stall(guest, upgrade);
  await once(socket, 'readable');
  return socket;
}

async function listening(): Promise<number> {
  const { body } = await operator.request('GET', '/1.0/metrics');
  return Number(/^devlxd_listeners\{role="guest"\} (\d+)$/m.exec(body)?.[1] ?? -1);
}

async function change(times: number, bytes: number): Promise<void> {
  for (let n = 0; n < times; n++) await daemon.set('c1', { 'user.large': String(n % 10).repeat(bytes) });
}

/** How each is reached; `descriptors` is in descriptors.test.ts, `control-event-backlog` in host-events.test.ts, `drain-seconds` below. */
const cases: Partial<Record<CountedLimit, LimitCase>> = {
  'requests-per-second': {
    instance: 'c1',
    reach: () => {
      const socket = guest.connect(daemon.socket);
      return exchange(socket, get('/1.0').repeat(1000), (text) => text.split('HTTP/1.1 200').length > 1000).then(() =>
        ask(guest.connect(daemon.socket), '/1.0'),
      );
    },
  },
  'stored-requests-per-second': {
    instance: 'c1',
    reach: async () => {
      const before = await hitsOf(daemon, 'stored-requests-per-second');
      const since = get('/1.0/events?since=2020-01-01T00:00:00.000000000Z');
      while ((await hitsOf(daemon, 'stored-requests-per-second')) === before)
        await exchange(guest.connect(daemon.socket), since, (text) => text.includes('\r\n\r\n'));
    },
  },
  'state-writes-per-minute': {
    instance: 'c1',
    reach: async () => {
      const before = await hitsOf(daemon, 'state-writes-per-minute');
      const session = new Session(guest.connect(daemon.socket));
      for (let n = 0; (await hitsOf(daemon, 'state-writes-per-minute')) === before; n++) {
        const body = JSON.stringify({ state: n % 2 === 0 ? 'Ready' : 'Started' });
        assert.equal((await session.ask('/1.0', { method: 'PATCH', body })).status, 200);
      }
      await session.close();
      assert.ok(!daemon.log.some(({ msg }) => msg === 'guest state'));
    },
  },
  'sent-ahead': {
    instance: 'c1',
    reach: async () => {
      stall(guest, get('/1.0').repeat(200));
      await exchange(guest.connect(daemon.socket), get('/1.0').repeat(3000));
    },
  },
  'request-head': {
    instance: 'c1',
    reach: async () => {
      const head = get('/1.0').replace('\r\n\r\n', `\r\nX-Long: ${'x'.repeat(132_000)}\r\n\r\n`);
      // While the instance waits for its rate, so much sent ahead closes the connection instead.
      await eventually('it is refused', async () =>
        (await exchange(guest.connect(daemon.socket), head)).startsWith('HTTP/1.1 431 '),
      );
    },
  },
  'event-backlog': {
    instance: 'c1',
    reach: async () => {
      stall(guest, get('/1.0/events'));
      stall(guest, upgrade);
      await change(8, 200_000);
    },
  },
  'websocket-frames': {
    instance: 'c1',
    reach: async () => (await silentListener()).write(frames(opcodes.pong, 0, limits['websocket-frames'] + 1)),
  },
  'pong-backlog': {
    instance: 'c1',
    reach: async () => (await silentListener()).write(frames(opcodes.ping, 125, limits['websocket-frames'])),
  },
  'event-backlog-instance': {
    instance: 'c1',
    reach: async () => {
      await change(1, 900_000);
      for (let n = 0; n < 4; n++) stall(guest, upgrade);
      await eventually('they listen', async () => (await listening()) === 4);
      await daemon.set('c1', { 'user.large': '' });
    },
  },
  'event-backlog-total': {
    instance: 'second',
    reach: async () => {
      const second = guests.one();
      await daemon.register('second', second.pid);
      for (const one of [guest, second]) for (let n = 0; n < 2; n++) stall(one, upgrade);
      await eventually('they listen', async () => (await listening()) === 4);
      for (const name of ['c1', 'second']) await daemon.set(name, { 'user.large': 'y'.repeat(900_000) });
      second.kill();
    },
  },
  'ping-seconds': { instance: 'c1', reach: () => ended(stall(guest, upgrade)) },
  'merged-document': {
    instance: 'c1',
    reach: async () => {
      const document = `#cloud-config\n${'# long\n'.repeat(10_000)}`;
      await daemon.set('c1', { 'cloud-init.user-data': document, 'cloud-init.ssh-keys.a': 'root:gh:me' });
      assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/cloud-init.user-data')).body, document);
    },
  },
  'guest-body': {
    instance: 'c1',
    reach: () => ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: 'x'.repeat(1000) }),
  },
  'control-body': { reach: () => operator.error('PATCH', '/1.0/instances/c1', 'x'.repeat(3_000_000)) },
  'config-keys': {
    reach: () =>
      operator.error('PATCH', '/1.0/instances/c1', {
        config: Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`user.k${n}`, '1'])),
      }),
  },
  'config-value': {
    reach: () => operator.error('PATCH', '/1.0/instances/c1', { config: { 'user.k': 'x'.repeat(1_500_000) } }),
  },
  'config-key': {
    reach: () => operator.error('PATCH', '/1.0/instances/c1', { config: { [`user.${'k'.repeat(100)}`]: '' } }),
  },
  'json-values': {
    reach: () => operator.error('PATCH', '/1.0/instances/c1', { profiles: Array(101).fill('') }),
  },
  'json-depth': { reach: () => operator.error('PATCH', '/1.0/instances/c1', '['.repeat(9)) },
  'batch-lines': {
    reach: () => operator.error('POST', '/1.0/batch', '\n'.repeat(11), { 'content-type': 'application/x-ndjson' }),
  },
  'image-exports': {
    instance: 'c1',
    reach: async () => {
      const image = await largeImage(daemon);
      for (let n = 0; n < 2; n++) stall(guest, get(image));
    },
  },
};

test('the limits of the gate are limits of the daemon', () => {
  for (const name of gateLimitNames)
    assert.ok(name in limitDeclarations || (countedLimits as readonly string[]).includes(name), name);
});

test('ssh keys that cannot be merged: the log, a metric and check name the instance, the value and why', async () => {
  const text = '## template: jinja\n#cloud-config\nhostname: {{ v1.local_hostname }}\n';
  await daemon.set('c1', { 'cloud-init.user-data': text, 'cloud-init.ssh-keys.a': 'root:gh:me' });
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/cloud-init.user-data')).body, text);
  const key = 'cloud-init.user-data';
  await eventually('it is told', () =>
    daemon.log.some((line) => line['instance'] === 'c1' && line['key'] === key && line['reason'] === 'a template'),
  );
  const series = `devlxd_instance_unmerged_documents{project="default",instance="c1",key="${key}",reason="a template"} 1\n`;
  assert.ok((await daemon.client.metrics({ perInstance: true })).includes(series));
  const checked = () => commandLine.run(['check']).stdout;
  assert.match(checked(), /warning {2}ssh keys that do not arrive: default\/c1 cloud-init\.user-data \(a template\)\n/);
  await daemon.set('c1', { 'cloud-init.user-data': '#cloud-config\n', 'cloud-init.ssh-keys.a': '' });
  assert.doesNotMatch(checked(), /ssh keys/);
});

test('every limit is reached by one of these tests', () => {
  const elsewhere = [
    ...connectionLimits,
    'descriptors',
    'drain-seconds',
    'control-event-backlog',
    'held-connections', // unit/held-connections.test.ts
    'metrics-connections', // metrics-listener.test.ts
    'guest-body-instance', // request-bodies.test.ts
    'guest-body-total',
    'unread-answers-instance', // unread-answers.test.ts
    'unread-answers-total',
  ];
  assert.deepEqual([...Object.keys(cases), ...elsewhere].sort(), [...countedLimits].sort());
});

testLimits(cases, () => daemon, open);

test('what a guest says of its state, however often, writes no line in the log', async () => {
  for (let n = 0; n < 10; n++) {
    const body = JSON.stringify({ state: n % 2 === 0 ? 'Ready' : 'Started' });
    assert.equal((await ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body })).status, 200);
  }
  await daemon.end();
  const lines = daemon.log.filter(({ msg }) => msg === 'guest state');
  assert.deepEqual(lines, []);
  await daemon.run();
});

test('drain-seconds: who reads too slowly when the daemon stops is cut off, and the log says how many were', async () => {
  await daemon.set('c1', { 'user.large': 'x'.repeat(900_000) });
  const socket = stall(guest, get('/1.0/config/user.large'));
  await once(socket, 'readable');
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 200);
  await daemon.end();
  assert.ok(daemon.log.some(({ limit, times }) => limit === 'drain-seconds' && Number(times) >= 1));
  await daemon.run();
});
