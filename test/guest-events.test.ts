import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { instancePath } from '../src/cli/with-client.js';
import { checkSchema } from './support/contract.js';
import { TestDaemon } from './support/daemon.js';
import { EventStream } from './support/event-stream.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, ended } from './support/http.js';

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

let count = 0;
async function registered(): Promise<{ guest: Guest; name: string }> {
  const guest = guests.one();
  const name = `e${++count}`;
  await daemon.register(name, guest.pid);
  return { guest, name };
}

const webSocket = (guest: Guest, query?: string) => EventStream.webSocket(guest, daemon.socket, query);
const chunked = (guest: Guest, query?: string) => EventStream.chunked(guest, daemon.socket, query);

for (const [way, open] of Object.entries({ webSocket, chunked })) {
  test(`${way}: events of its own instance only, complete and in order, after the write`, async () => {
    const [one, other] = [await registered(), await registered()];
    const [stream, elsewhere] = [await open(one.guest), await open(other.guest)];
    for (let n = 0; n < 100; n++) await daemon.set(one.name, { 'user.n': String(n) });
    await eventually('100 events', () => stream.events.length >= 100);
    assert.deepEqual(
      stream.events.map(({ metadata }) => metadata),
      Array.from({ length: 100 }, (_, n) => ({ key: 'user.n', old_value: n ? String(n - 1) : '', value: String(n) })),
    );
    const stamps = stream.events.map(({ timestamp }) => timestamp);
    assert.deepEqual([...new Set(stamps)].sort(), stamps);
    await daemon.set(other.name, { 'user.mine': 'yes' });
    await eventually('its own event', () => elsewhere.events.length > 0);
    assert.deepEqual(
      elsewhere.events.map(({ metadata }) => metadata['key']),
      ['user.mine'],
    );
    for (const { end } of [stream, elsewhere]) end();
  });

  test(`${way}: type chooses what is heard`, async () => {
    const { guest, name } = await registered();
    const queries = ['', '?type=config', '?type=device', '?type=config,device', '?type=nothing', '?type='];
    const streams = await Promise.all(queries.map((query) => open(guest, query)));
    await daemon.set(name, { 'user.a': '1', 'cloud-init.user-data': 'no event' });
    await daemon.client.request('PATCH', instancePath(name), { devices: { d: { type: 'disk', path: '/d' } } });
    await daemon.client.instances.edit(name, () => ({ devices: {} }));
    const both = ['config', 'device added', 'device removed'];
    const expected = [both, ['config'], ['device added', 'device removed'], both, [], both];
    await eventually('all events', () => streams[0]?.events.length === 3 && streams[2]?.events.length === 2);
    for (const event of streams[0]?.events ?? []) checkSchema('Event', event);
    const heard = streams.map(({ events }) =>
      events.map(({ type, metadata }) => [type, metadata['action']].filter(Boolean).join(' ')),
    );
    assert.deepEqual(heard, expected);
    for (const { end } of streams) end();
  });

  test(`${way}: a guest that listens before it is registered hears its events`, async () => {
    const guest = guests.one();
    const name = `e${++count}`;
    const opening = open(guest);
    await daemon.register(name, guest.pid);
    const stream = await opening;
    await daemon.set(name, { 'user.a': '1' });
    await eventually('the event', () => stream.events.length === 1);
    stream.end();
  });

  test(`${way}: since replays what was missed, also over a restart, and 410 when it is not kept any more`, async () => {
    const { guest, name } = await registered();
    const first = await open(guest);
    await daemon.set(name, { 'user.n': '0' });
    await eventually('the first event', () => first.events.length === 1);
    first.end();
    const since = first.events[0]?.timestamp ?? '';
    await daemon.client.request('PATCH', instancePath(name), { devices: { d: { type: 'disk' } } });
    for (let n = 1; n <= 5; n++) await daemon.set(name, { 'user.n': String(n) });
    await daemon.end('SIGKILL');
    await daemon.run();
    const again = await open(guest, `?since=${since}`);
    const configOnly = await open(guest, `?since=${since}&type=config`);
    await daemon.set(name, { 'user.n': '6' });
    const values = ({ events }: EventStream) => events.map(({ metadata }) => metadata['value'] ?? metadata['action']);
    await eventually('all of them', () => again.events.length === 7 && configOnly.events.length === 6);
    assert.deepEqual(values(again), ['added', '1', '2', '3', '4', '5', '6']);
    assert.deepEqual(values(configOnly), ['1', '2', '3', '4', '5', '6']);
    const stamps = again.events.map(({ timestamp }) => timestamp);
    assert.deepEqual([...new Set([since, ...stamps])].sort(), [since, ...stamps]);
    for (let n = 0; n < 300; n++) await daemon.set(name, { 'user.n': `more ${n}` });
    const tooLate = await ask(guest.connect(daemon.socket), `/1.0/events?since=${since}`);
    assert.deepEqual([tooLate.status, tooLate.body], [410, 'Gone\n']);
    const malformed = await ask(guest.connect(daemon.socket), '/1.0/events?since=yesterday');
    assert.equal(malformed.status, 400);
    for (const { end } of [again, configOnly]) end();
  });

  test(`${way}: 410 when more was missed than may wait for a listener`, async () => {
    const { guest, name } = await registered();
    const first = await open(guest);
    await daemon.set(name, { 'user.n': '0' });
    for (let n = 1; n <= 3; n++) await daemon.set(name, { 'user.n': String(n).repeat(250_000) });
    await eventually('the events', () => first.events.length === 4);
    first.end();
    const [all, most] = first.events.map(({ timestamp }) => timestamp);
    const tooMuch = await ask(guest.connect(daemon.socket), `/1.0/events?since=${all}`);
    assert.deepEqual([tooMuch.status, tooMuch.body], [410, 'Gone\n']);
    const again = await open(guest, `?since=${most}`);
    await eventually('the others', () => again.events.length === 2);
    again.end();
  });

  test(`${way}: changes while a listener comes back are heard once each, in order`, async () => {
    const { guest, name } = await registered();
    await daemon.set(name, { 'user.n': '0' });
    const since = new Date(Date.now() - 60_000).toISOString().replace('Z', '000000Z');
    const writes = Array.from({ length: 100 }, (_, n) => daemon.set(name, { 'user.n': String(n + 1) }));
    const streams = await Promise.all(Array.from({ length: 10 }, () => open(guest, `?since=${since}`)));
    await Promise.all(writes);
    for (const stream of streams) {
      await eventually('every event', () => stream.events.length >= 101);
      assert.deepEqual(
        stream.events.map(({ metadata }) => metadata['value']),
        Array.from({ length: 101 }, (_, n) => String(n)),
      );
      stream.end();
    }
  });

  test(`${way}: switching security.devlxd off, or stopping the instance, ends the streams`, async () => {
    const { guest, name } = await registered();
    const first = await open(guest);
    await daemon.set(name, { 'security.devlxd': 'false' });
    const code = await first.closed;
    assert.equal(code, way === 'webSocket' ? 1008 : 0);
    await daemon.set(name, { 'security.devlxd': 'true' });
    const second = await open(guest);
    await daemon.stopInstance(name);
    assert.equal(await second.closed, way === 'webSocket' ? 1001 : 0);
  });
}

test('a listener that never reads is dropped at its backlog limit, and nobody waits for it', async () => {
  const limited = await TestDaemon.start(['--limit-event-backlog', '100000']);
  try {
    const guest = guests.one();
    await limited.register('slow', guest.pid);
    const head = 'GET /1.0/events HTTP/1.1\r\nHost: x\r\n';
    const upgrade =
      'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
    const silent = [`${head}\r\n`, `${head}${upgrade}\r\n`].map((request) => {
      const socket = guest.connect(limited.socket);
      socket.pause();
      socket.write(request);
      return socket;
    });
    for (let n = 0; n < 40; n++) await limited.set('slow', { 'user.big': `${n}${'x'.repeat(50_000)}` });
    // 2 MB were sent: more than the sockets' own buffers and the limit take together.
    await Promise.all(silent.map((socket) => ended(socket)));
  } finally {
    await limited.remove();
  }
});

test('a WebSocket that answers no pings is dropped, and one that does is not', async () => {
  const nervous = await TestDaemon.start(['--limit-ping-seconds', '1']);
  try {
    const guest = guests.one();
    await nervous.register('c1', guest.pid);
    const open = (autoPong: boolean) =>
      new WebSocket('ws://lxd/1.0/events', { createConnection: () => guest.connect(nervous.socket), autoPong });
    const [lively, dead] = [open(true), open(false)];
    const events: string[] = [];
    lively.on('message', (data) => events.push(String(data)));
    assert.equal(await new Promise((resolve) => dead.on('close', resolve)), 1006);
    await nervous.set('c1', { 'user.a': '1' });
    await eventually('the event', () => events.length === 1);
    lively.terminate();
  } finally {
    await nervous.remove();
  }
});

test('a graceful stop tells the listeners to come back (1012)', async () => {
  const short = await TestDaemon.start();
  const guest = guests.one();
  await short.register('c1', guest.pid);
  const socket = new WebSocket('ws://lxd/1.0/events', { createConnection: () => guest.connect(short.socket) });
  await new Promise((resolve) => socket.on('open', resolve));
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  assert.equal(await short.end(), 0);
  assert.equal(await closed, 1012);
  await short.remove();
});
