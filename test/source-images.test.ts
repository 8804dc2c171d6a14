import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { TestDaemon } from './support/daemon.js';
import { download } from './support/download.js';
import { eventually } from './support/eventually.js';
import { imageBytes } from './support/fake-images.js';
import { FakeLxd } from './support/fake-lxd.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, exchange } from './support/http.js';

const lxd = new FakeLxd();
const { images } = lxd;
const allowed = { 'security.devlxd.images': 'true' };
/** More than all the buffers between the fake and a guest. */
const large = 256 * 1024 * 1024;

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  await lxd.start();
  images.add(fingerprint('public'), { public: true, size: 300_000 });
  images.add(fingerprint('cached'), { cached: true });
  images.add(fingerprint('private'));
  images.add(fingerprint('split'), { public: true, form: 'split', size: 300_000 });
  images.add(fingerprint('named'), { public: true, filename: 'größe ☃😀.img' });
  images.add(fingerprint('large'), { public: true, size: large });
  images.add(fingerprint('mine'), { public: true, project: 'p' });
  images.add(fingerprint('else'), { public: true, project: 'q' });
  guests = new Guests();
  daemon = await TestDaemon.start(['--source', `lxd:${lxd.socket}`, '--limit-source-seconds', '1']);
  await eventually('the source is followed', () => lxd.listeners === 1);
  guest = await started('c1');
});

after(async () => {
  await daemon.remove();
  await guests.close();
  await lxd.remove();
});

function fingerprint(name: string): string {
  return Buffer.from(name).toString('hex').padEnd(64, '0');
}

function pathOf(name: string): string {
  return `/1.0/images/${fingerprint(name)}/export`;
}

async function started(name: string, config: Readonly<Record<string, string>> = allowed, project = 'default') {
  const one = guests.one();
  lxd.add(name, { config, project, pid: one.pid });
  lxd.tell('instance-started', name, project);
  await eventually(`${name} runs`, async () => (await ask(one.connect(daemon.socket), '/1.0')).status === 200);
  return one;
}

const fetchAs = (who: Guest, path: string, asking = {}) => download(who.connect(daemon.socket), path, asking);

async function refusal(who: Guest, path: string): Promise<string> {
  const { status, headers, body } = await fetchAs(who, path);
  assert.equal(headers['content-type'], 'application/json');
  const { type, error_code: code, error } = JSON.parse(String(body));
  return `${status} ${type} ${code} ${error}`;
}

/** Asks for an export and reads nothing of it. */
function stalled(who: Guest, name: string): Socket {
  const socket = who.connect(daemon.socket);
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(`GET ${pathOf(name)} HTTP/1.1\r\nHost: lxd\r\n\r\n`);
  return socket;
}

test("a guest exports its source's images byte for byte, as the source sends them", async () => {
  const { status, headers, body } = await fetchAs(guest, pathOf('public'));
  assert.equal(status, 200);
  assert.ok(body.equals(imageBytes(0, 300_000)));
  assert.equal(headers['content-type'], 'application/octet-stream');
  assert.equal(headers['content-disposition'], `inline;filename=${fingerprint('public')}.tar.xz`);
  assert.equal(headers['content-length'], '300000');
  assert.equal(headers['last-modified'], 'Mon, 23 Nov 2026 12:00:00 GMT');
  assert.equal(headers.connection, 'close');
  assert.equal((await fetchAs(guest, pathOf('cached'))).body.length, 1000);
});

test('the name that the source gives an image arrives byte for byte, whatever its characters', async () => {
  const { headers, body } = await fetchAs(guest, pathOf('named'));
  const name = Buffer.from(headers['content-disposition'] ?? '', 'latin1').toString();
  assert.deepEqual([name, body.length], ['inline;filename=größe ☃😀.img', 1000]);
});

test('its head, and the rest of it', async () => {
  const head = await fetchAs(guest, pathOf('public'), { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '300000', 0]);
  const rest = await fetchAs(guest, pathOf('public'), { headers: { range: 'bytes=70000-' } });
  assert.deepEqual([rest.status, rest.headers['content-range']], [206, 'bytes 70000-299999/300000']);
  assert.ok(rest.body.equals(imageBytes(70_000, 300_000)));
  const none = await fetchAs(guest, pathOf('none'), { method: 'HEAD' });
  assert.deepEqual([none.status, none.body.length], [404, 0]);
});

test('what has no length comes in chunks, but to a client of HTTP/1.0', async () => {
  const { headers, body } = await fetchAs(guest, pathOf('split'));
  assert.equal(headers['content-type'], 'multipart/form-data; boundary=b0undary');
  assert.equal(headers['transfer-encoding'], 'chunked');
  assert.ok(body.equals(imageBytes(0, 300_000)));
  const old = await exchange(guest.connect(daemon.socket), `GET ${pathOf('split')} HTTP/1.0\r\n\r\n`);
  assert.equal(old.slice(old.indexOf('\r\n\r\n') + 4), String(imageBytes(0, 300_000)));
  assert.doesNotMatch(old, /Transfer-Encoding/);
});

test('what guests may not have looks like what does not exist, and is not asked for', async () => {
  const before = images.exports.inAll;
  const paths = ['private', 'none', 'mine', 'else'].map(pathOf);
  const others = [fingerprint('public').slice(0, 12), fingerprint('public').toUpperCase()];
  for (const path of [...paths, ...others.map((name) => `/1.0/images/${name}/export`)]) {
    assert.equal(await refusal(guest, path), '404 error 404 Not Found', path);
  }
  const other = await started('c2', {});
  assert.equal(await refusal(other, pathOf('public')), '403 error 403 Forbidden');
  assert.equal(images.exports.inAll, before);
});

test('an instance has the images of its own project and of the default one, whatever the guest says', async () => {
  const mine = await started('c3', allowed, 'p');
  assert.equal((await fetchAs(mine, pathOf('mine'))).status, 200);
  assert.equal((await fetchAs(mine, pathOf('public'))).status, 200);
  assert.equal((await fetchAs(mine, `${pathOf('else')}?project=q`)).status, 404);
});

test('an instance of our own has our images only', async () => {
  const own = guests.one();
  await daemon.register('own', own.pid, allowed);
  assert.equal(await refusal(own, pathOf('public')), '404 error 404 Not Found');
});

/** Until no more comes from the source. */
async function settled(): Promise<number> {
  for (let before = -1; before !== images.exports.bytes; await pause(100)) before = images.exports.bytes;
  return images.exports.bytes;
}

test('a reader that stops reading stops the source as well', async () => {
  const before = images.exports.bytes;
  const socket = stalled(guest, 'large');
  await once(socket, 'readable');
  assert.ok((await settled()) - before < large / 16);
  socket.destroy();
  await eventually('the source is let go of', () => images.exports.atOnce === 0);
});

test('two are sent to an instance at a time, and the next wait; a stopped instance gets no more', async () => {
  const many = await started('c4');
  const three = [1, 2, 3].map(() => stalled(many, 'large'));
  for (const socket of three.slice(0, 2)) await once(socket, 'readable');
  const others = await fetchAs(guest, pathOf('public'));
  assert.equal(others.status, 200);
  assert.equal(images.exports.atOnce, 2);
  assert.equal(three[2]?.read(), null);
  three[0]?.destroy();
  await once(three[2] as Socket, 'readable');
  assert.equal(images.exports.atOnce, 2);
  many.kill();
  lxd.change('c4', { pid: 0 }, 'instance-stopped');
  await eventually('the source is let go of', () => images.exports.atOnce === 0);
  for (const socket of three) socket.destroy();
});

test('an export that breaks off at the source ends too early, and can be told from a whole one', async () => {
  images.breaksAfter = 200_000;
  await assert.rejects(fetchAs(guest, pathOf('public')), /aborted/);
  await assert.rejects(fetchAs(guest, pathOf('split')), /aborted/);
  images.breaksAfter = Number.POSITIVE_INFINITY;
  assert.equal((await fetchAs(guest, pathOf('split'))).status, 200);
});

test('while the source hangs or is away its images cannot be had, and the log says so once', async () => {
  const away = '503 error 503 Images cannot be had at the moment; try again later';
  lxd.hang(true);
  assert.equal(await refusal(guest, pathOf('public')), away);
  lxd.hang(false);
  assert.equal((await fetchAs(guest, pathOf('public'))).status, 200);
  await lxd.stop();
  for (let n = 0; n < 3; n++) assert.equal(await refusal(guest, pathOf('public')), away);
  await lxd.start();
  assert.equal((await fetchAs(guest, pathOf('public'))).status, 200);
  const said = daemon.log.filter(({ msg }) => msg === 'images of the source cannot be had');
  assert.deepEqual(
    said.map(({ err }) => /no answer within 1 s|ENOENT|ECONNREFUSED/.exec((err as Error).message)?.[0]),
    ['no answer within 1 s', 'ENOENT'],
  );
});
