import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { GuestLog } from '../src/guest/guest-log.js';
import type { Log } from '../src/log.js';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask, exchange } from './support/http.js';

let guests: Guests;
let daemon: TestDaemon;
let guest: Guest;
const operator = new Operator(() => daemon);

before(async () => {
  guests = new Guests();
  // Its handler of /1.0/devices throws.
  daemon = await TestDaemon.startChanged('throwing-handler.js', ['--limit-image-exports', '8']);
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'security.devlxd.images': 'true' });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const written = () => daemon.log.filter(({ level }) => Number(level) >= 30).map((line) => JSON.stringify(line));

test('images that are asked for and left write no line', async () => {
  const headers = { 'X-LXD-public': 'true', 'content-type': 'application/octet-stream' };
  const { metadata } = await operator.metadata<{ metadata: { fingerprint: string } }>(
    'POST',
    '/1.0/images',
    randomBytes(4_000_000).toString('latin1'),
    headers,
  );
  const before = written().length;
  for (let n = 0; n < 100; n++) {
    const socket = guest.connect(daemon.socket).on('error', () => undefined);
    socket.write(`GET /1.0/images/${metadata.fingerprint}/export HTTP/1.1\r\nHost: lxd\r\n\r\n`);
    if (n % 3 === 1) await once(socket, 'data');
    if (n % 3 === 2) await new Promise(setImmediate);
    socket.destroy();
  }
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 200);
  assert.deepEqual(written().slice(before), []);
});

test('requests that fail write lines of bounded length, and few of them', async () => {
  const before = written().length;
  for (let n = 0; n < 60; n++) {
    for (const path of ['/1.0/devices', '/1.0/nothing']) {
      const request = `GET ${path}?${'"\\'.repeat(15_000)}${n} HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\n\r\n`;
      assert.match(await exchange(guest.connect(daemon.socket), request), /^HTTP\/1\.1 (500|404) /);
    }
    const method = `${'M'.repeat(2000)}${n}`;
    const request = `${method} /1.0/devices HTTP/1.1\r\nHost: lxd\r\nConnection: close\r\n\r\n`;
    assert.match(await exchange(guest.connect(daemon.socket), request), /^HTTP\/1\.1 501 /);
  }
  const lines = written().slice(before);
  assert.ok(lines.length >= 1 && lines.length <= 11, `${lines.length} lines`);
  for (const line of lines) assert.ok(line.length < 4096, line);
});

test('what was left out is counted in one line at the end of the minute', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const lines: unknown[] = [];
  const add = (fields: object, msg: string) => lines.push({ ...fields, msg });
  const log = new GuestLog({ warn: add, error: add } as unknown as Log);
  for (let n = 0; n < 25; n++) log.error({ n }, 'one');
  log.warn({ path: 'x'.repeat(300), err: new Error('y'.repeat(10_000)) }, 'two');
  assert.equal(lines.length, 11);
  const { path, err } = lines.at(-1) as { path: string; err: { message: string; stack: string } };
  assert.equal(path, `${'x'.repeat(256)}... (300 characters)`);
  assert.equal(err.message, `${'y'.repeat(256)}... (10000 characters)`);
  assert.ok(err.stack.length < 2100);
  context.mock.timers.tick(60_000);
  assert.deepEqual(lines.slice(11), [{ line: 'one', times: 15, msg: 'more such lines were left out' }]);
  log.error({ n: 0 }, 'one');
  assert.equal(lines.length, 13);
});
