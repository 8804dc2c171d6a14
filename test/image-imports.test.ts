import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { socketPaths } from '../src/config/paths.js';
import { TestDaemon } from './support/daemon.js';
import { download } from './support/download.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { exchange } from './support/http.js';
import {
  fingerprintOf,
  importForm,
  importImage,
  pathOf,
  secret,
  splitForm,
  storedFiles,
  unified,
} from './support/image-bytes.js';

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'security.devlxd.images': 'true' });
  await importImage(daemon, unified, { 'x-lxd-public': 'true' });
  await importImage(daemon, secret);
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const fetchAs = (who: Guest, path: string, asking = {}) => download(who.connect(daemon.socket), path, asking);

test('a broken import names what is wrong and leaves nothing', async () => {
  const before = storedFiles(daemon);
  const image = randomBytes(1000);
  const sent = (headers: Record<string, string>) => importImage(daemon, image, headers);
  await assert.rejects(sent({ 'x-lxd-fingerprint': 'f'.repeat(64) }), /X-LXD-fingerprint: what came has/);
  await assert.rejects(sent({ 'x-lxd-fingerprint': '../x' }), /X-LXD-fingerprint: "..\/x" is no SHA-256/);
  await assert.rejects(sent({ 'content-type': 'multipart/form-data' }), /Content-Type: /);
  await assert.rejects(sent({ 'content-type': 'application/json' }), /downloads no images/);
  await assert.rejects(sent({ 'x-lxd-properties': 'os=a&release=b%ff' }), /X-LXD-properties: release: is not UTF-8/);
  await assert.rejects(sent({ 'x-lxd-filename': 'a\u00ff.tar' }), /X-LXD-filename: is not UTF-8/);
  await assert.rejects(importImage(daemon, Buffer.alloc(0)), /body: is empty/);
  await assert.rejects(importImage(daemon, unified), /already exists/);
  await assert.rejects(importForm(daemon, splitForm(['metadata'])), /two files/);
  await assert.rejects(importForm(daemon, splitForm(['rootfs', 'metadata'])), /metadata and rootfs, not rootfs/);
  await assert.rejects(importForm(daemon, splitForm(['metadata', 'rootfs', 'more'])), /metadata and rootfs, not/);
  await assert.rejects(importForm(daemon, splitForm().subarray(0, 100_000)), /not a whole form/);
  assert.deepEqual(storedFiles(daemon), before);
});

test('an upload that is refused is read on, so that its sender gets to the answer', async () => {
  const socket = connect(socketPaths(daemon.runDir).control).setEncoding('utf8');
  let received = '';
  socket.on('data', (text) => (received += text));
  const closed = once(socket, 'close');
  const type = 'multipart/form-data; boundary=b0undary';
  socket.write(`POST /1.0/images HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: 2000000\r\n\r\n`);
  socket.write('--b0undary\r\nContent-Disposition: form-data; name="wrong"; filename="x"\r\n\r\nits beginning');
  await eventually('the answer', () => received.includes('not wrong'));
  // As whoever sends first and reads later does.
  for (let sent = 0; sent < 2_000_000; sent += 100_000) {
    await new Promise<void>((resolve, reject) => {
      socket.write(Buffer.alloc(100_000), (error) => (error ? reject(error) : resolve()));
    });
  }
  await closed;
  assert.match(received, /^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*\r\nConnection: close\r\n/);
});

test('an upload whose sender goes away leaves nothing', async () => {
  const before = storedFiles(daemon);
  const heads = ['application/octet-stream', 'multipart/form-data; boundary=b0undary'];
  for (const type of heads) {
    const socket = connect(socketPaths(daemon.runDir).control);
    socket.write(`POST /1.0/images HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: 900000\r\n\r\n`);
    socket.write(splitForm().subarray(0, 400_000));
    await eventually('a file is there', () => storedFiles(daemon).length > before.length);
    socket.destroy();
    await eventually('it is gone', () => storedFiles(daemon).length === before.length);
  }
  assert.deepEqual(storedFiles(daemon), before);
});

test('images outlive kill -9; what an import left half-way does not', async () => {
  const socket = connect(socketPaths(daemon.runDir).control);
  socket.on('error', () => undefined);
  socket.write('POST /1.0/images HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\nhalf of it');
  const before = storedFiles(daemon);
  await eventually('a file is there', () => storedFiles(daemon).length > before.length);
  await daemon.end('SIGKILL');
  writeFileSync(join(daemon.stateDir, 'images', 'f'.repeat(64)), 'renamed, but never stored');
  await daemon.run();
  assert.deepEqual(storedFiles(daemon), before);
  assert.ok((await fetchAs(guest, pathOf(unified))).body.equals(unified));
});

test('operators list, change and export images', async () => {
  const fingerprint = fingerprintOf(secret);
  const path = `/1.0/images/${fingerprint}`;
  const get = async () =>
    (await daemon.client.request('GET', path)) as { public: boolean; properties: object; size: number };
  assert.equal((await get()).size, secret.length);
  await daemon.client.request('PATCH', path, { public: true, properties: { os: 'Debian' } });
  assert.deepEqual([(await get()).public, (await get()).properties], [true, { os: 'Debian' }]);
  assert.equal((await fetchAs(guest, pathOf(secret))).status, 200);
  await daemon.client.request('PUT', path, { public: false });
  assert.deepEqual([(await get()).public, (await get()).properties], [false, {}]);
  assert.equal((await fetchAs(guest, pathOf(secret))).status, 404);
  await assert.rejects(daemon.client.request('PATCH', path, { public: 'yes' }), /public: must be true or false/);
  await assert.rejects(daemon.client.request('GET', '/1.0/images/ffff'), /Image "ffff" not found/);
  const answer = await exchange(connect(socketPaths(daemon.runDir).control), `GET ${path}/export HTTP/1.0\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  const exported = await download(connect(socketPaths(daemon.runDir).control), `${path}/export`);
  assert.ok(exported.body.equals(secret));
});
