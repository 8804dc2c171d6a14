import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { socketPaths } from '../src/config/paths.js';
import { multipart } from '../src/images/multipart.js';
import { TestDaemon } from './support/daemon.js';
import { download } from './support/download.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, exchange } from './support/http.js';

const xz = Buffer.from('fd377a585a00', 'hex');
const unified = Buffer.concat([xz, randomBytes(3_000_000)]);
const secret = Buffer.concat([xz, randomBytes(1000)]);
const metadata = Buffer.concat([xz, randomBytes(500)]);
const rootfs = Buffer.concat([Buffer.from('hsqs'), randomBytes(2_000_000)]);
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
  await importImage(unified, { 'x-lxd-public': 'true', 'x-lxd-filename': 'debian.tar.xz' });
  await importImage(large, { 'x-lxd-cached': 'true' });
  await importImage(secret);
  await importSplit();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

function fingerprintOf(...files: Buffer[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file);
  return hash.digest('hex');
}

function pathOf(...files: Buffer[]): string {
  return `/1.0/images/${fingerprintOf(...files)}/export`;
}

async function importImage(file: Buffer, headers: Record<string, string> = {}): Promise<void> {
  await daemon.client.upload('/1.0/images', Readable.from([file]), file.length, headers);
}

function splitForm(names: readonly string[] = ['metadata', 'rootfs']): Buffer {
  const files = [metadata, rootfs, secret].slice(0, names.length);
  const form = files.map((file, index) => ({ name: names[index] ?? '', filename: 'f', size: file.length }));
  const body = multipart('b0undary', form).map((piece) =>
    piece instanceof Uint8Array ? piece : (files[piece.file] as Buffer),
  );
  return Buffer.concat(body);
}

async function importForm(form: Buffer): Promise<void> {
  const headers = { 'content-type': 'multipart/form-data; boundary=b0undary', 'x-lxd-public': 'true' };
  await daemon.client.upload('/1.0/images', Readable.from([form]), form.length, headers);
}

const importSplit = () => importForm(splitForm());

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
function stalled(who: Guest, path: string): Socket {
  const socket = who.connect(daemon.socket);
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(`GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`);
  return socket;
}

test('the third export at a time waits for its turn, and hinders no other instance', async () => {
  await daemon.set('c2', { 'security.devlxd.images': 'true' });
  const two = [stalled(guest, pathOf(large)), stalled(guest, pathOf(large))];
  for (const socket of two) await once(socket, 'readable');
  const third = stalled(guest, pathOf(unified));
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
  const sockets = [1, 2, 3].map(() => stalled(running, pathOf(large)));
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
  const sockets = many.flatMap((one) => [stalled(one, pathOf(large)), stalled(one, pathOf(large))]);
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

function storedFiles(): string[] {
  return readdirSync(join(daemon.stateDir, 'images')).sort();
}

test('a removed image is read to its end by who has begun', async () => {
  const image = randomBytes(2_000_000);
  await importImage(image, { 'x-lxd-public': 'true' });
  const socket = stalled(guest, pathOf(image));
  await once(socket, 'readable');
  await daemon.client.request('DELETE', `/1.0/images/${fingerprintOf(image)}`);
  assert.equal((await fetchAs(guest, pathOf(image))).status, 404);
  assert.ok(!storedFiles().includes(fingerprintOf(image)));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  const answer = Buffer.concat(chunks);
  assert.ok(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(image));
});

test('a file that was cut short is an error, not half an image', async () => {
  const image = randomBytes(10_000);
  await importImage(image, { 'x-lxd-public': 'true' });
  truncateSync(join(daemon.stateDir, 'images', fingerprintOf(image)), 5000);
  const { status, body } = await fetchAs(guest, pathOf(image));
  assert.deepEqual([status, body.toString()], [500, apiError(500, 'Internal Server Error')]);
  assert.ok(
    daemon.log.some(({ msg, fingerprint }) => msg === 'image export failed' && fingerprint === fingerprintOf(image)),
  );
  await daemon.client.request('DELETE', `/1.0/images/${fingerprintOf(image)}`);
});

test('a broken import names what is wrong and leaves nothing', async () => {
  const before = storedFiles();
  const image = randomBytes(1000);
  const sent = (headers: Record<string, string>) => importImage(image, headers);
  await assert.rejects(sent({ 'x-lxd-fingerprint': 'f'.repeat(64) }), /X-LXD-fingerprint: what came has/);
  await assert.rejects(sent({ 'x-lxd-fingerprint': '../x' }), /X-LXD-fingerprint: "..\/x" is no SHA-256/);
  await assert.rejects(sent({ 'content-type': 'multipart/form-data' }), /Content-Type: /);
  await assert.rejects(sent({ 'content-type': 'application/json' }), /downloads no images/);
  await assert.rejects(sent({ 'x-lxd-properties': 'os=a&release=b%ff' }), /X-LXD-properties: release: is not UTF-8/);
  await assert.rejects(sent({ 'x-lxd-filename': 'a\u00ff.tar' }), /X-LXD-filename: is not UTF-8/);
  await assert.rejects(importImage(Buffer.alloc(0)), /body: is empty/);
  await assert.rejects(importImage(unified), /already exists/);
  await assert.rejects(importForm(splitForm(['metadata'])), /two files/);
  await assert.rejects(importForm(splitForm(['rootfs', 'metadata'])), /metadata and rootfs, not rootfs/);
  await assert.rejects(importForm(splitForm(['metadata', 'rootfs', 'more'])), /metadata and rootfs, not/);
  await assert.rejects(importForm(splitForm().subarray(0, 100_000)), /not a whole form/);
  assert.deepEqual(storedFiles(), before);
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
  const before = storedFiles();
  const heads = ['application/octet-stream', 'multipart/form-data; boundary=b0undary'];
  for (const type of heads) {
    const socket = connect(socketPaths(daemon.runDir).control);
    socket.write(`POST /1.0/images HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: 900000\r\n\r\n`);
    socket.write(splitForm().subarray(0, 400_000));
    await eventually('a file is there', () => storedFiles().length > before.length);
    socket.destroy();
    await eventually('it is gone', () => storedFiles().length === before.length);
  }
  assert.deepEqual(storedFiles(), before);
});

test('images outlive kill -9; what an import left half-way does not', async () => {
  const socket = connect(socketPaths(daemon.runDir).control);
  socket.on('error', () => undefined);
  socket.write('POST /1.0/images HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\nhalf of it');
  const before = storedFiles();
  await eventually('a file is there', () => storedFiles().length > before.length);
  await daemon.end('SIGKILL');
  writeFileSync(join(daemon.stateDir, 'images', 'f'.repeat(64)), 'renamed, but never stored');
  await daemon.run();
  assert.deepEqual(storedFiles(), before);
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
