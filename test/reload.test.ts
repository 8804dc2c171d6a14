import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import WebSocket from 'ws';
import { socketPaths } from '../src/config/paths.js';
import { TestDaemon } from './support/daemon.js';
import { EventStream } from './support/event-stream.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask, ended, Session } from './support/http.js';
import { ManagedDaemon } from './support/managed-daemon.js';
import { OptionsFile } from './support/options-file.js';

const path = '/1.0/config/user.mark';
const get = (of: string) => `GET ${of} HTTP/1.1\r\nHost: lxd\r\n\r\n`;

let guests: Guests;
let guest: Guest;
let file: OptionsFile;
let daemon: TestDaemon;
const open: Socket[] = [];

before(() => {
  guests = new Guests();
});

after(() => guests.close());

beforeEach(() => {
  file = new OptionsFile();
  guest = guests.one();
});

afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await daemon.remove();
  file.remove();
});

/** A daemon with this file of options, and one guest. */
async function start(text = '', options: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): Promise<void> {
  file.write(text);
  daemon = await TestDaemon.start(['--options-file', file.path, ...options], environment);
  await daemon.register('c1', guest.pid, { 'user.mark': 'here', 'security.devlxd.images': 'true' });
}

/** A connection of the guest that says this and reads nothing. */
function stalled(text: string): Socket {
  const socket = guest.connect(daemon.socket);
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(text);
  open.push(socket);
  return socket;
}

async function metric(name: string): Promise<number> {
  const line = (await daemon.client.metrics()).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

const reached = (limit: string) => metric(`devlxd_limit_hits_total{limit="${limit}"}`);

test('connections: who is in stays when fewer may be, listeners hear on, and more come in when more may', async () => {
  await start('DEVLXD_LIMIT_CONNECTIONS_PER_INSTANCE=8');
  const listeners = await Promise.all([
    EventStream.webSocket(guest, daemon.socket),
    EventStream.chunked(guest, daemon.socket),
  ]);
  const session = new Session(guest.connect(daemon.socket));
  assert.equal((await session.ask(path)).body, 'here');
  const { changed } = await file.reload(daemon, 'DEVLXD_LIMIT_CONNECTIONS_PER_INSTANCE=2');
  assert.deepEqual(changed, { 'limit-connections-per-instance': 2 });
  await ended(guest.connect(daemon.socket));
  assert.equal((await session.ask(path)).body, 'here');
  await daemon.set('c1', { 'user.mark': 'there' });
  await file.reload(daemon, '# eight again\nDEVLXD_LIMIT_CONNECTIONS_PER_INSTANCE=8');
  assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'there');
  assert.equal((await session.ask(path)).body, 'there');
  await daemon.set('c1', { 'user.mark': 'everywhere' });
  for (const listener of listeners) {
    await listener.atLeast(2);
    assert.equal(listener.events.length, 2);
    listener.end();
  }
  await session.close();
});

const throttled = (): Promise<number> => daemon.metric('devlxd_limit_hits_total', { limit: 'requests-per-second' });

test('the rate: whoever waits goes on when it is lifted, and waits again when it is back', async () => {
  const slow = 'DEVLXD_LIMIT_REQUESTS_PER_SECOND=1\nDEVLXD_LIMIT_REQUEST_BURST=1';
  await start(slow);
  const waiting = 60; // a minute at that rate
  const asked = Promise.all(Array.from({ length: waiting }, () => ask(guest.connect(daemon.socket), path)));
  const odd = ask(guest.connect(daemon.socket), `http://lxd${path}`);
  await eventually('nearly all wait', async () => (await throttled()) >= waiting - 5);
  let answered = 0;
  for (const each of [asked, odd]) each.then(() => answered++);
  assert.deepEqual((await file.reload(daemon, slow.replace('=1', '=0')))['changed'], {
    'limit-requests-per-second': 0,
  });
  await eventually('all are answered', () => answered === 2);
  for (const { body } of [...(await asked), await odd]) assert.equal(body, 'here');
  const before = await throttled();
  await file.reload(daemon, slow);
  const again = Array.from({ length: 3 }, () => ask(guest.connect(daemon.socket), path));
  await eventually('they wait', async () => (await throttled()) > before);
  await file.reload(daemon, '');
  await Promise.all(again);
});

test('what a listener may leave unread: for those that are there', async () => {
  await start('DEVLXD_LIMIT_EVENT_BACKLOG=0');
  const upgrade =
    'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
  const head = get('/1.0/events');
  const odd = head.replace('/1.0', 'http://lxd/1.0');
  const silent = [head, head.replace('\r\n\r\n', `\r\n${upgrade}`), odd].map(stalled);
  await eventually('they listen', async () => (await metric('devlxd_listeners{role="guest"}')) === silent.length);
  const change = (n: number) => daemon.set('c1', { 'user.large': String(n).repeat(400_000) });
  for (const n of [1, 2, 3, 4]) await change(n);
  assert.equal(await reached('event-backlog'), 0);
  await file.reload(daemon, 'DEVLXD_LIMIT_EVENT_BACKLOG=65536');
  await change(5);
  assert.equal(await reached('event-backlog'), silent.length);
  await Promise.all(silent.map((socket) => ended(socket)));
});

test('pings: of those that are there', async () => {
  await start('DEVLXD_LIMIT_PING_SECONDS=0');
  const socket = new WebSocket('ws://lxd/1.0/events', {
    createConnection: () => guest.connect(daemon.socket),
    autoPong: false,
  });
  await once(socket, 'open');
  const closed = once(socket, 'close') as Promise<[number]>;
  await file.reload(daemon, 'DEVLXD_LIMIT_PING_SECONDS=1');
  assert.equal((await closed)[0], 1006);
});

test('exports: who waits for a turn has it when there are more', async () => {
  await start('DEVLXD_LIMIT_IMAGE_EXPORTS=1');
  const { fingerprint } = await anImage();
  stalled(get(`/1.0/images/${fingerprint}/export`));
  stalled(get(`/1.0/images/${fingerprint}/export`));
  await eventually('one waits', async () => (await reached('image-exports')) > 0);
  const asked = ask(guest.connect(daemon.socket), `/1.0/images/${fingerprint}/export`);
  await eventually('two wait', async () => (await reached('image-exports')) > 1);
  await file.reload(daemon, 'DEVLXD_LIMIT_IMAGE_EXPORTS=3');
  assert.equal((await asked).status, 200);
});

/** One that no socket's buffers hold. */
async function anImage(): Promise<{ fingerprint: string }> {
  const headers = { 'X-LXD-public': 'true', 'content-type': 'application/octet-stream' };
  const operator = new Operator(() => daemon);
  const made = { body: 'image'.repeat(1_000_000), headers };
  return (
    await operator.metadata<{ metadata: { fingerprint: string } }>('POST', '/1.0/images', made.body, made.headers)
  ).metadata;
}

test('what operators and guests may send: on connections that are there', async () => {
  await start('DEVLXD_LIMIT_CONFIG_KEYS=3\nDEVLXD_LIMIT_GUEST_BODY=10');
  const session = new Session(guest.connect(daemon.socket));
  assert.equal((await session.ask(path)).body, 'here');
  const ready = { method: 'PATCH', body: '{"state":"Ready"}' };
  const more = { 'user.a': '1', 'user.b': '2' };
  await assert.rejects(daemon.set('c1', more), /more than 3 keys/);
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0', ready)).status, 413);
  await file.reload(daemon, 'DEVLXD_LIMIT_CONFIG_KEYS=9');
  await daemon.set('c1', more);
  assert.equal((await session.ask('/1.0', ready)).status, 200);
  await session.close();
});

test('how long a stranger is held', async () => {
  await start('DEVLXD_LIMIT_HOLD_SECONDS=0');
  const stranger = guests.one();
  const asks = () => ask(stranger.connect(daemon.socket), path);
  assert.equal((await asks()).status, 500);
  await file.reload(daemon, 'DEVLXD_LIMIT_HOLD_SECONDS=60');
  const asked = asks();
  await eventually('it is held', async () => (await metric('devlxd_guest_requests_held')) === 1);
  await daemon.register('c2', stranger.pid, { 'user.mark': 'known' });
  assert.equal((await asked).body, 'known');
});

test('debug on and off: requests show and vanish, also those that were answered from a copy', async () => {
  await start('DEVLXD_LOG_LEVEL=info');
  const session = new Session(guest.connect(daemon.socket));
  const requests = () => daemon.log.filter(({ msg }) => msg === 'guest request').length;
  const askThrice = async () => {
    for (let n = 0; n < 3; n++) assert.equal((await session.ask(path)).body, 'here');
  };
  await askThrice();
  await file.reload(daemon, 'DEVLXD_LOG_LEVEL=debug');
  assert.equal(requests(), 0);
  await askThrice();
  await file.reload(daemon, 'DEVLXD_LOG_LEVEL=info');
  assert.equal(requests(), 3);
  await askThrice();
  assert.equal(await metric('devlxd_guest_responses_cached_total'), 4);
  await file.reload(daemon, 'DEVLXD_RESPONSE_CACHE=0');
  await askThrice();
  assert.equal(await metric('devlxd_guest_responses_cached_total'), 4);
  assert.equal(requests(), 3);
  await session.close();
});

test('a mistake changes nothing, and is named', async () => {
  await start('DEVLXD_LIMIT_CONFIG_KEYS=3');
  const mistakes: [string, RegExp][] = [
    ['DEVLXD_LIMIT_CONFIG_KEYS=9\nDEVLXD_LOG_LEVLE=debug', /there is no option DEVLXD_LOG_LEVLE; do you mean/],
    ['DEVLXD_LIMIT_CONFIG_KEYS=9\nDEVLXD_LOG_LEVEL=loud', /--log-level \(DEVLXD_LOG_LEVEL\) takes one of/],
    ['DEVLXD_LIMIT_CONFIG_KEYS=9\nDEVLXD_SOURCE=lxc', /--source/],
    ['DEVLXD_LIMIT_CONFIG_KEYS=9\ndebug', /line 2/],
  ];
  for (const [text, reason] of mistakes) {
    const said = await file.reload(daemon, text);
    assert.deepEqual([said.msg, said['level']], ['options not read again; nothing has changed', 50]);
    assert.match(String(said['reason']), reason);
  }
  await assert.rejects(daemon.set('c1', { 'user.a': '1', 'user.b': '2' }), /more than 3 keys/);
  assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'here');
  assert.equal((await file.reload(daemon, 'DEVLXD_LIMIT_CONFIG_KEYS=9')).msg, 'options read again');
  await daemon.set('c1', { 'user.a': '1', 'user.b': '2' });
});

test('what cannot change is named; what a flag or the environment says stays', async () => {
  const environment = { DEVLXD_LIMIT_CONFIG_VALUE: '1000' };
  await start('', ['--limit-config-keys', '7'], environment);
  const lines = [
    'BACKLOG=1',
    'SOURCE=lxd',
    'LIMIT_PENDING_CALLERS=2',
    'LIMIT_CONFIG_KEYS=8',
    'LIMIT_CONFIG_VALUE=2000',
  ];
  for (let round = 0; round < 2; round++) {
    const said = await file.reload(daemon, lines.map((line) => `DEVLXD_${line}\n`).join(''));
    assert.deepEqual(said['changed'], round === 0 ? { 'limit-pending-callers': 2 } : {});
    const warned = () => daemon.log.filter(({ msg }) => msg === 'options that only change with a restart');
    await eventually('the warning', () => warned().length > round);
    assert.deepEqual(warned().at(-1)?.['options'], ['source', 'backlog']);
  }
});

test('without a file of options SIGHUP only says so', async () => {
  daemon = await TestDaemon.start();
  process.kill(daemon.pid, 'SIGHUP');
  const said = () => daemon.log.some(({ msg }) => msg === 'there is no file of options to read again');
  await eventually('it says so', said);
  await daemon.create('c1');
  assert.equal(await daemon.end(), 0);
});

test('SIGHUP while it starts is heeded when it has started', async () => {
  const environment = { NODE_OPTIONS: `--import=${new URL('./support/hang-up-at-start.js', import.meta.url).href}` };
  await start('', [], environment);
  const said = (text: string) => daemon.log.findIndex(({ msg }) => msg === text);
  await eventually('it has read its options again', () => said('options read again') >= 0);
  assert.ok(said('options read again') > said('ready'));
});

/** Somebody who reads slowly, for as long as which a daemon that goes does not end. */
async function slowReader(): Promise<Socket> {
  const { fingerprint } = await anImage();
  const reader = stalled(get(`/1.0/images/${fingerprint}/export`));
  await once(reader, 'readable');
  return reader;
}

test('SIGHUP while it stops changes nothing about that', async () => {
  await start('DEVLXD_LIMIT_DRAIN_SECONDS=0');
  const reader = await slowReader();
  const { pid } = daemon;
  const ending = daemon.end();
  await eventually('it stops', () => daemon.log.some(({ msg }) => msg === 'devlxd stops'));
  process.kill(pid, 'SIGHUP');
  reader.destroy();
  assert.equal(await ending, 0);
});

test('SIGHUP while another takes over: that one has read its options since, or is to be asked', async () => {
  await start('DEVLXD_LIMIT_DRAIN_SECONDS=0');
  const reader = await slowReader();
  const { pid, log } = daemon;
  await daemon.run(['--takeover']);
  await eventually('read once more', () => log.some(({ msg }) => msg === 'options read again'));
  process.kill(pid, 'SIGHUP');
  reader.destroy();
  await eventually('it has ended', () => log.some(({ msg }) => msg === 'handed over'));
  assert.ok(log.some(({ msg }) => msg.startsWith('asked too late to read the options again')));
  assert.equal((await file.reload(daemon, 'DEVLXD_LIMIT_PENDING_CALLERS=2')).msg, 'options read again');
});

test('SIGHUP while another is about to take over, and fails: heeded when this one goes on', async () => {
  await start();
  const other = connect(socketPaths(daemon.runDir).control).setEncoding('utf8');
  other.write('GET /1.0/takeover HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: devlxd-takeover\r\n\r\n');
  for await (const text of other) if (String(text).includes('{"count":0}')) break; // that is all; now it is closed
  file.write('DEVLXD_LIMIT_PENDING_CALLERS=2');
  process.kill(daemon.pid, 'SIGHUP');
  const changed = () => daemon.log.find(({ msg }) => msg === 'options read again')?.['changed'];
  await eventually('read again', () => changed() !== undefined);
  assert.deepEqual(changed(), { 'limit-pending-callers': 2 });
  assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'here');
});

for (const text of [undefined, '']) {
  test(`the service manager is told, ${text === undefined ? 'without' : 'with'} a file of options`, async () => {
    const options = text === undefined ? [] : ['--options-file', file.path];
    const managed = await ManagedDaemon.start(options);
    daemon = managed.daemon;
    try {
      const told = async (): Promise<Readonly<Record<string, string>>[]> => {
        const from = managed.told.length;
        const count = managed.notified('READY').length;
        process.kill(managed.pid, 'SIGHUP');
        await managed.starts(count + 1);
        return managed.told.slice(from).flatMap(({ notify = {} }) => ('WATCHDOG' in notify ? [] : [notify]));
      };
      const began = process.hrtime.bigint() / 1000n;
      const [reloading, ready, ...more] = await told();
      const { RELOADING: word, MONOTONIC_USEC: at = '' } = reloading ?? {};
      assert.deepEqual([word, ready, more], ['1', { READY: '1', STATUS: 'Answering' }, []]);
      assert.ok(BigInt(at) >= began && BigInt(at) <= process.hrtime.bigint() / 1000n, at);
      if (text === undefined) return;
      file.write('DEVLXD_GRUOP=4');
      const [again, failed] = await told();
      assert.equal(again?.['RELOADING'], '1');
      assert.match(failed?.['STATUS'] ?? '', /^Answering; options not read again: .* do you mean DEVLXD_GROUP\?$/);
    } finally {
      assert.equal(await managed.remove(), 0);
    }
  });
}
