import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import WebSocket from 'ws';
import { TestDaemon } from './support/daemon.js';
import { EventStream } from './support/event-stream.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, ended, Session } from './support/http.js';
import { largeImage } from './support/large-image.js';
import { OptionsFile } from './support/options-file.js';
import { getOf as get, stalled } from './support/stalled.js';

const path = '/1.0/config/user.mark';

let guests: Guests;
let guest: Guest;
/** the instance of the guest */
let name: string;
let file: OptionsFile;
let daemon: TestDaemon;
let instances = 0;
const open: Socket[] = [];

before(async () => {
  guests = new Guests();
  file = new OptionsFile();
  daemon = await TestDaemon.start(['--options-file', file.path]);
});

after(async () => {
  await guests.close();
  await daemon.remove();
  file.remove();
});

afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});

/** The daemon has these options, and one guest more. */
async function begin(text: string): Promise<void> {
  assert.equal((await file.reload(daemon, text)).msg, 'options read again');
  await eventually('nobody listens any more', async () => (await metric('devlxd_listeners{role="guest"}')) === 0);
  guest = guests.one();
  name = `c${++instances}`;
  await daemon.register(name, guest.pid, { 'user.mark': 'here', 'security.devlxd.images': 'true' });
}

/** A connection of the guest that says this and reads nothing. */
function stall(text: string): Socket {
  const socket = stalled(guest, daemon.socket, text);
  open.push(socket);
  return socket;
}

async function metric(name: string): Promise<number> {
  const line = (await daemon.client.metrics()).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

const reached = (limit: string) => metric(`devlxd_limit_hits_total{limit="${limit}"}`);

test('connections: who is in stays when fewer may be, listeners hear on, and more come in when more may', async () => {
  await begin('DEVLXD_LIMIT_CONNECTIONS_PER_INSTANCE=8');
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
  await daemon.set(name, { 'user.mark': 'there' });
  await file.reload(daemon, '# eight again\nDEVLXD_LIMIT_CONNECTIONS_PER_INSTANCE=8');
  assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'there');
  assert.equal((await session.ask(path)).body, 'there');
  await daemon.set(name, { 'user.mark': 'everywhere' });
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
  await begin(slow);
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
  await begin('DEVLXD_LIMIT_EVENT_BACKLOG=0');
  const upgrade =
    'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
  const head = get('/1.0/events');
  const odd = head.replace('/1.0', 'http://lxd/1.0');
  const silent = [head, head.replace('\r\n\r\n', `\r\n${upgrade}`), odd].map(stall);
  await eventually('they listen', async () => (await metric('devlxd_listeners{role="guest"}')) === silent.length);
  const change = (n: number) => daemon.set(name, { 'user.large': String(n).repeat(400_000) });
  for (const n of [1, 2, 3, 4]) await change(n);
  assert.equal(await reached('event-backlog'), 0);
  await file.reload(daemon, 'DEVLXD_LIMIT_EVENT_BACKLOG=65536');
  await change(5);
  assert.equal(await reached('event-backlog'), silent.length);
  await Promise.all(silent.map((socket) => ended(socket)));
});

test('pings: of those that are there', async () => {
  await begin('DEVLXD_LIMIT_PING_SECONDS=0');
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
  await begin('DEVLXD_LIMIT_IMAGE_EXPORTS=1');
  const image = await largeImage(daemon);
  stall(get(image));
  stall(get(image));
  await eventually('one waits', async () => (await reached('image-exports')) > 0);
  const asked = ask(guest.connect(daemon.socket), image);
  await eventually('two wait', async () => (await reached('image-exports')) > 1);
  await file.reload(daemon, 'DEVLXD_LIMIT_IMAGE_EXPORTS=3');
  assert.equal((await asked).status, 200);
});

test('what operators and guests may send: on connections that are there', async () => {
  await begin('DEVLXD_LIMIT_CONFIG_KEYS=3\nDEVLXD_LIMIT_GUEST_BODY=10');
  const session = new Session(guest.connect(daemon.socket));
  assert.equal((await session.ask(path)).body, 'here');
  const ready = { method: 'PATCH', body: '{"state":"Ready"}' };
  const more = { 'user.a': '1', 'user.b': '2' };
  await assert.rejects(daemon.set(name, more), /more than 3 keys/);
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0', ready)).status, 413);
  await file.reload(daemon, 'DEVLXD_LIMIT_CONFIG_KEYS=9');
  await daemon.set(name, more);
  assert.equal((await session.ask('/1.0', ready)).status, 200);
  await session.close();
});

test('how long a stranger is held', async () => {
  await begin('DEVLXD_LIMIT_HOLD_SECONDS=0');
  const stranger = guests.one();
  const asks = () => ask(stranger.connect(daemon.socket), path);
  assert.equal((await asks()).status, 500);
  await file.reload(daemon, 'DEVLXD_LIMIT_HOLD_SECONDS=60');
  const asked = asks();
  await eventually('it is held', async () => (await metric('devlxd_guest_requests_held')) === 1);
  await daemon.register(`${name}-stranger`, stranger.pid, { 'user.mark': 'known' });
  assert.equal((await asked).body, 'known');
});

test('debug on and off: requests show and vanish, also those that were answered from a copy', async () => {
  await begin('DEVLXD_LOG_LEVEL=info');
  const session = new Session(guest.connect(daemon.socket));
  const requests = () => daemon.log.filter(({ msg }) => msg === 'guest request').length;
  const askThrice = async () => {
    for (let n = 0; n < 3; n++) assert.equal((await session.ask(path)).body, 'here');
  };
  const copies = () => metric('devlxd_guest_responses_cached_total');
  const before = await copies();
  await askThrice();
  await file.reload(daemon, 'DEVLXD_LOG_LEVEL=debug');
  assert.equal(requests(), 0);
  await askThrice();
  await file.reload(daemon, 'DEVLXD_LOG_LEVEL=info');
  assert.equal(requests(), 3);
  await askThrice();
  assert.equal(await copies(), before + 4);
  await file.reload(daemon, 'DEVLXD_RESPONSE_CACHE=0');
  await askThrice();
  assert.equal(await copies(), before + 4);
  assert.equal(requests(), 3);
  await session.close();
});

test('a mistake changes nothing, and is named', async () => {
  await begin('DEVLXD_LIMIT_CONFIG_KEYS=3');
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
  await assert.rejects(daemon.set(name, { 'user.a': '1', 'user.b': '2' }), /more than 3 keys/);
  assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'here');
  assert.equal((await file.reload(daemon, 'DEVLXD_LIMIT_CONFIG_KEYS=9')).msg, 'options read again');
  await daemon.set(name, { 'user.a': '1', 'user.b': '2' });
});
