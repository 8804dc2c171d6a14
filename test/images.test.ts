import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, truncateSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { download } from './support/download.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';
import {
  fingerprintOf,
  importForm,
  importImage,
  metadata,
  pathOf,
  rootfs,
  secret,
  splitForm,
  storedFiles,
  unified,
} from './support/image-bytes.js';
import { getOf, stalled } from './support/stalled.js';

const large = randomBytes(24_000_000);

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;
let other: Guest;

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
  [guest, other] = guests.spawn(2) as [Guest, Guest];
  await daemon.register('c1', guest.pid, { 'security.devlxd.images': 'true' });
  await daemon.register('c2', other.pid);
  await importImage(daemon, unified, { 'x-lxd-public': 'true', 'x-lxd-filename': 'debian.tar.xz' });
  await importImage(daemon, large, { 'x-lxd-cached': 'true' });
  await importImage(daemon, secret);
  await importForm(daemon, splitForm());
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const fetchAs = (who: Guest, path: string, asking = {}) => download(who.connect(daemon.socket), path, asking);

test('a guest exports a public image byte for byte', async () => {
  const { status, headers, body } = await fetchAs(guest, pathOf(unified));
  const fingerprint = fingerprintOf(unified);
  assert.equal(status, 200);
  assert.ok(body.equals(unified));
  assert.equal(headers['content-type'], 'application/octet-stream');
  assert.equal(headers['content-disposition'], `inline;filename="${fingerprint}.tar.xz"`);
  assert.equal(headers['content-length'], String(unified.length));
  assert.equal(headers.etag, `"${fingerprint}"`);
});

test('and a cached one, whatever project it names', async () => {
  const { body } = await fetchAs(guest, `${pathOf(large)}?project=other`);
  assert.ok(body.equals(large));
});

test('a split image is a form of both files, the same each time', async () => {
  const path = pathOf(metadata, rootfs);
  const { headers, body } = await fetchAs(guest, path);
  const type = headers['content-type'] ?? '';
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
  assert.deepEqual([...form.keys()], ['metadata', 'rootfs']);
  const [first, second] = ['metadata', 'rootfs'].map((name) => form.get(name) as File);
  assert.ok(Buffer.from(await (first as File).arrayBuffer()).equals(metadata));
  assert.ok(Buffer.from(await (second as File).arrayBuffer()).equals(rootfs));
  const fingerprint = fingerprintOf(metadata, rootfs);
  assert.equal(first?.name, `meta-${fingerprint}.tar.xz`);
  assert.equal(second?.name, `${fingerprint}.squashfs`);
  assert.equal(headers['content-length'], String(body.length));
  const rest = await fetchAs(guest, path, { headers: { range: 'bytes=300-' } });
  assert.ok(rest.body.equals(body.subarray(300)));
});

const apiError = (code: number, error: string) =>
  `{"type":"error","status":"","status_code":0,"operation":"","error_code":${code},"error":"${error}","metadata":null}\n`;

test('what guests may not have looks like what does not exist', async () => {
  const known = fingerprintOf(unified);
  const names = [
    fingerprintOf(secret), // private
    'f'.repeat(64),
    known.slice(0, 12),
    known.toUpperCase(),
    `${known}0`,
    `${known}.rootfs`,
    '%2e%2e%2fdevlxd.db',
    `..%2fimages%2f${known}`,
    `${known}%00`,
    '*',
  ];
  for (const name of names) {
    const { status, headers, body } = await fetchAs(guest, `/1.0/images/${name}/export`);
    assert.deepEqual([status, body.toString()], [404, apiError(404, 'Not Found')], name);
    assert.equal(headers['content-type'], 'application/json');
  }
  for (const path of [
    '/1.0/images',
    `/1.0/images/${known}`,
    '/1.0/images/../devlxd.db/export',
    '/1.0/images//export',
  ]) {
    const { status, body } = await fetchAs(guest, path);
    assert.deepEqual([status, body.toString()], [404, 'Not Found\n'], path);
  }
});

test('an instance without security.devlxd.images gets none', async () => {
  for (const path of [pathOf(unified), '/1.0/images/nonsense/export']) {
    const { status, body } = await fetchAs(other, path);
    assert.deepEqual([status, body.toString()], [403, apiError(403, 'Forbidden')]);
  }
});

test("security.guestapi.images is Incus' name of security.devlxd.images", async () => {
  await daemon.set('c2', { 'security.guestapi.images': 'true' });
  assert.equal((await fetchAs(other, pathOf(unified))).status, 200);
  await daemon.set('c2', { 'security.devlxd.images': 'false' });
  assert.equal((await fetchAs(other, pathOf(unified))).status, 403);
  await daemon.set('c2', { 'security.guestapi.images': '', 'security.devlxd.images': '' });
  assert.equal((await fetchAs(other, pathOf(unified))).status, 403);
});

test('HEAD gives the head; other methods are not implemented', async () => {
  const head = await fetchAs(guest, pathOf(unified), { method: 'HEAD' });
  assert.deepEqual([head.status, head.body.length], [200, 0]);
  assert.equal(head.headers['content-length'], String(unified.length));
  const post = await fetchAs(guest, pathOf(unified), { method: 'POST' });
  assert.deepEqual([post.status, post.body.toString()], [501, 'Not Implemented\n']);
});

test('ranges and entity tags are honoured', async () => {
  const path = pathOf(unified);
  const { length } = unified;
  const etag = `"${fingerprintOf(unified)}"`;
  const part = async (headers: Record<string, string>) => fetchAs(guest, path, { headers });
  const ranges: [range: string, start: number, end: number][] = [
    ['bytes=0-0', 0, 1],
    ['bytes=1000-1999', 1000, 2000],
    [`bytes=${length - 1}-`, length - 1, length],
    ['bytes=-100', length - 100, length],
    [`bytes=10-${length * 2}`, 10, length],
  ];
  for (const [range, start, end] of ranges) {
    const { status, headers, body } = await part({ range });
    assert.equal(status, 206, range);
    assert.equal(headers['content-range'], `bytes ${start}-${end - 1}/${length}`);
    assert.ok(body.equals(unified.subarray(start, end)), range);
  }
  for (const range of ['bytes=x', 'lines=1-2', 'bytes=0-1,5-6'])
    assert.equal((await part({ range })).body.length, length, range);
  const beyond = await part({ range: `bytes=${length}-` });
  assert.deepEqual([beyond.status, beyond.headers['content-range']], [416, `bytes */${length}`]);
  assert.equal((await part({ range: 'bytes=0-9', 'if-range': etag })).status, 206);
  assert.equal((await part({ range: 'bytes=0-9', 'if-range': '"another"' })).status, 200);
  for (const tags of [etag, '*', `"another", W/${etag}`])
    assert.equal((await part({ 'if-none-match': tags })).status, 304);
  assert.equal((await part({ 'if-none-match': '"another"' })).status, 200);
});

test('odd requests and those that say goodbye first get the whole image', async () => {
  const path = pathOf(unified);
  const asks = [
    `GET ${path} HTTP/1.0\r\n\r\n`,
    `GET http://lxd${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`,
    `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`,
  ];
  for (const text of asks) {
    const socket = guest.connect(daemon.socket);
    socket.end(text); // closes the guest's side
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    const answer = Buffer.concat(chunks);
    assert.ok(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(unified), text);
  }
});

/** Asks for an export and reads nothing of it. */
const stall = (who: Guest, path: string): Socket => stalled(who, daemon.socket, getOf(path));

test('the third export at a time waits for its turn, and hinders no other instance', async () => {
  await daemon.set('c2', { 'security.devlxd.images': 'true' });
  const two = [stall(guest, pathOf(large)), stall(guest, pathOf(large))];
  for (const socket of two) await once(socket, 'readable');
  const third = stall(guest, pathOf(unified));
  // Answered after the third was asked for: that one has been seen by then.
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 200);
  assert.ok((await fetchAs(other, pathOf(large))).body.equals(large));
  assert.equal(third.read(), null);
  two[0]?.destroy();
  await once(third, 'readable');
  assert.match(String(third.read(12)), /HTTP\/1\.1 200/);
  for (const socket of [...two, third]) socket.destroy();
});

test('a stopped instance gets no more of an image', async () => {
  const running = guests.one();
  await daemon.register('c3', running.pid, { 'security.devlxd.images': 'true' });
  const sockets = [1, 2, 3].map(() => stall(running, pathOf(large)));
  await once(sockets[0] as Socket, 'readable');
  const closed = sockets.map((socket) => new Promise((resolve) => socket.on('close', resolve)));
  await daemon.stopInstance('c3');
  for (const socket of sockets) socket.resume();
  await Promise.all(closed);
  for (const { bytesRead } of sockets) assert.ok(bytesRead < large.length);
});

test('readers that stop reading cost neither memory nor descriptors beyond their connections', async () => {
  const many = guests.spawn(20);
  for (const [index, { pid }] of many.entries()) {
    await daemon.register(`many${index}`, pid, { 'security.devlxd.images': 'true' });
  }
  const before = descriptors();
  const sockets = many.flatMap((one) => [stall(one, pathOf(large)), stall(one, pathOf(large))]);
  for (const socket of sockets) await once(socket, 'readable');
  // One more: the image itself. Those of sendfile(2) are gone once its readers are seen to be slow.
  await eventually('one descriptor a reader', () => descriptors() - before <= sockets.length + 1);
  for (const socket of sockets) socket.destroy();
  await eventually('descriptors are given back', () => descriptors() <= before);
  for (const index of many.keys()) await daemon.stopInstance(`many${index}`);
});

function descriptors(): number {
  return readdirSync(`/proc/${daemon.pid}/fd`).length;
}

test('a removed image is read to its end by who has begun', async () => {
  const image = randomBytes(2_000_000);
  await importImage(daemon, image, { 'x-lxd-public': 'true' });
  const socket = stall(guest, pathOf(image));
  await once(socket, 'readable');
  await daemon.client.request('DELETE', `/1.0/images/${fingerprintOf(image)}`);
  assert.equal((await fetchAs(guest, pathOf(image))).status, 404);
  assert.ok(!storedFiles(daemon).includes(fingerprintOf(image)));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  const answer = Buffer.concat(chunks);
  assert.ok(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(image));
});

test('a file that was cut short is an error, not half an image', async () => {
  const image = randomBytes(10_000);
  await importImage(daemon, image, { 'x-lxd-public': 'true' });
  truncateSync(join(daemon.stateDir, 'images', fingerprintOf(image)), 5000);
  const { status, body } = await fetchAs(guest, pathOf(image));
  assert.deepEqual([status, body.toString()], [500, apiError(500, 'Internal Server Error')]);
  assert.ok(
    daemon.log.some(({ msg, fingerprint }) => msg === 'image export failed' && fingerprint === fingerprintOf(image)),
  );
  await daemon.client.request('DELETE', `/1.0/images/${fingerprintOf(image)}`);
});
