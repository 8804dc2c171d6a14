import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Certificates } from '../support/certificates.js';
import { TestDaemon } from '../support/daemon.js';
import { download } from '../support/download.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { fleetCommand } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';
import type { Guest } from '../support/guest-processes.js';

/** Images by HTTPS, and from files of the host. */
const directory = mkdtempSync(join(tmpdir(), 'devlxd-fleet-images-'));
/** by path: what is served */
const served = new Map<string, Buffer>();
const asked: string[] = [];
/** by path: where it leads */
const moved: Record<string, string> = {
  '/moved': '/image',
  '/plain': 'http://127.0.0.1/image',
  '/round': '/round',
  '/endless': '/none',
};
/** of answers that have no end: ended by whom they are sent to */
const sending: Promise<void>[] = [];
let server: Server;
let base: string;
let etcd: Etcd;
let host: FleetHost;
let guest: Guest;

before(async () => {
  if (needsEtcd.skip) return;
  const certificates = new Certificates(directory);
  certificates.sign('server');
  const [key, cert] = [certificates.key('server'), certificates.certificate('server')].map((file) =>
    readFileSync(file),
  );
  server = createServer({ key, cert }, ({ url = '' }, response) => {
    asked.push(url);
    const body = served.get(url);
    const location = moved[url];
    if (location !== undefined) response.writeHead(302, { location });
    if (url === '/endless') sending.push(endless(response));
    else if (location !== undefined) response.end();
    else if (url === '/cut')
      response.writeHead(200, { 'content-length': '300000' }).write('x', () => response.destroy());
    else response.writeHead(body === undefined ? 404 : 200).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  etcd = await Etcd.start();
  const environment = { NODE_EXTRA_CA_CERTS: certificates.certificate('ca') };
  host = await FleetHost.start(etcd, 'h1', [], (options) => TestDaemon.start(options, environment));
  guest = await host.running('c1', { config: { 'security.devlxd.images': 'true' } });
});

after(async () => {
  server?.close();
  server?.closeAllConnections();
  await host?.remove();
  await etcd?.remove();
  rmSync(directory, { recursive: true, force: true });
});

function endless(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const send = (): void => void response.write(Buffer.alloc(65_536));
    response.on('drain', send).on('close', resolve);
    send();
  });
}

function image(bytes = 300_000): { body: Buffer; fingerprint: string } {
  const body = randomBytes(bytes);
  return { body, fingerprint: createHash('sha256').update(body).digest('hex') };
}

function exported(fingerprint: string, method = 'GET', at = host, by = guest) {
  return download(by.connect(at.daemon.socket), `/1.0/images/${fingerprint}/export`, { method });
}

async function described(fingerprint: string, value: object, at = host, by = guest): Promise<void> {
  etcd.put(`shared/image/${fingerprint}`, value);
  await eventually('it is known', async () => (await exported(fingerprint, 'HEAD', at, by)).status !== 404);
}

/** Why a host says that it cannot have an image. */
function whyNot(fingerprint: string, at = host): string {
  const line = at.daemon.log.find((each) => each['fingerprint'] === fingerprint);
  return (line?.['err'] as Error | undefined)?.message ?? '';
}

test(
  'an image is fetched when a guest asks for it, once for all, and is then served from here',
  needsEtcd,
  async () => {
    const { body, fingerprint } = image();
    assert.equal((await exported(fingerprint)).status, 404);
    served.set('/image', body);
    etcd.put(`shared/image/${fingerprint}`, { size: body.length, from: [`${base}/none`, `${base}/moved`] });
    await eventually('it is offered', async () => (await exported(fingerprint)).status === 200);
    const answers = await Promise.all(Array.from({ length: 3 }, () => exported(fingerprint)));
    for (const answer of answers) assert.ok(answer.body.equals(body));
    assert.deepEqual(asked, ['/none', '/moved', '/image']);
    served.clear();
    await etcd.killAll();
    await host.daemon.end('SIGKILL');
    await host.daemon.run();
    assert.ok((await exported(fingerprint)).body.equals(body));
    etcd.launchAll();
    await etcd.ready();
    await host.inStep();
    etcd.does('del', `/devlxd/shared/image/${fingerprint}`);
    await eventually('it is gone', async () => (await exported(fingerprint)).status === 404);
    assert.deepEqual(await host.daemon.client.images.list(), []);
  },
);

test('what is not what the fingerprint says, or longer than it should be, is not kept', needsEtcd, async () => {
  const { body, fingerprint } = image();
  served.set('/other', randomBytes(body.length));
  served.set('/long', Buffer.concat([body, body]));
  await described(fingerprint, { size: body.length, from: [`${base}/other`, `${base}/long`] });
  const { status } = await exported(fingerprint);
  assert.equal(status, 503);
  assert.deepEqual(await host.daemon.client.images.list(), []);
  const before = asked.length;
  assert.equal((await exported(fingerprint)).status, 503);
  assert.equal(asked.length, before, 'it is not tried again at once');
  etcd.does('del', `/devlxd/shared/image/${fingerprint}`);
});

test('a place that has no image, or never ends, is left for the next one', needsEtcd, async () => {
  const { body, fingerprint } = image();
  served.set('/short', body.subarray(1));
  served.set('/image', body);
  const fifo = join(directory, 'fifo');
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
  const wrong = ['cut', 'short', 'plain', 'round', 'endless'].map((path) => `${base}/${path}`);
  const files = [fifo, directory, '/dev/zero', join(directory, 'none')];
  const { fingerprint: other } = image();
  await described(other, { size: Number.MAX_SAFE_INTEGER, from: [...wrong, ...files] });
  assert.equal((await exported(other)).status, 503);
  const reasons = whyNot(other).split('; ');
  for (const [index, words] of [
    /aborted/,
    /short has is [0-9a-f]{64}$/,
    /leads to http:, and only https: is followed/,
    /round leads nowhere/,
    /none is answered with 404/,
    /fifo is no regular file/,
    /is no regular file/,
    /dev\/zero is no regular file/,
    /ENOENT/,
  ].entries())
    assert.match(reasons[index] ?? '', words);
  assert.equal(sending.length, 1);
  await Promise.all(sending);
  await described(fingerprint, { size: body.length, from: [...wrong, ...files, `${base}/image`] });
  assert.ok((await exported(fingerprint)).body.equals(body));
  for (const each of [fingerprint, other]) etcd.does('del', `/devlxd/shared/image/${each}`);
  await eventually('it is gone', async () => (await host.daemon.client.images.list()).length === 0);
});

test('a server whose authority is not known is not spoken to', needsEtcd, async () => {
  const { body, fingerprint } = image();
  served.set('/image', body);
  const stranger = await FleetHost.start(etcd, 'h2');
  try {
    const its = await stranger.running('c2', { config: { 'security.devlxd.images': 'true' } });
    await described(fingerprint, { size: body.length, from: [`${base}/image`] }, stranger, its);
    assert.equal((await exported(fingerprint, 'GET', stranger, its)).status, 503);
    assert.match(whyNot(fingerprint, stranger), /unable to verify|unable to get|self-signed/);
  } finally {
    await stranger.remove();
    etcd.does('del', `/devlxd/shared/image/${fingerprint}`);
  }
});

test('an image that the disk has no room for leaves nothing there, and harms nothing else', needsEtcd, async (t) => {
  const { body, fingerprint } = image(8_000_000);
  const file = join(directory, 'large');
  writeFileSync(file, body);
  let isMounted = false;
  const onSmallDisk = async (options: readonly string[]): Promise<TestDaemon> => {
    const daemon = TestDaemon.prepared(options);
    mkdirSync(daemon.stateDir);
    isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'devlxd-test', daemon.stateDir]).status === 0;
    await daemon.run();
    return daemon;
  };
  const small = await FleetHost.start(etcd, 'h3', [], onSmallDisk);
  try {
    if (!isMounted) return t.skip('cannot mount a tmpfs: root is needed');
    const its = await small.running('c3', { config: { 'security.devlxd.images': 'true', 'user.a': '1' } });
    await described(fingerprint, { size: body.length, from: [file] }, small, its);
    assert.equal((await exported(fingerprint, 'GET', small, its)).status, 503);
    assert.match(whyNot(fingerprint, small), /full|space/);
    assert.deepEqual(readdirSync(join(small.daemon.stateDir, 'images')), []);
    small.put('c3', { config: { 'security.devlxd.images': 'true', 'user.a': '2' } });
    await small.hears(its, 'user.a', '2');
  } finally {
    await small.daemon.end();
    if (isMounted) spawnSync('umount', ['-l', small.daemon.stateDir]);
    await small.remove();
    etcd.does('del', `/devlxd/shared/image/${fingerprint}`);
  }
});

test('devlxd fleet image add, list and delete; a file of the host, ahead of any guest', needsEtcd, async () => {
  const { body, fingerprint } = image();
  const file = join(directory, 'image.tar.xz');
  writeFileSync(file, body);
  const added = fleetCommand(etcd, ['fleet', 'image', 'add', file, '--from', file, '--ahead']);
  assert.deepEqual([added.status, added.stdout, added.stderr], [0, `${fingerprint}\n`, '']);
  const isHere = async () => (await host.daemon.client.images.list()).some((each) => each.fingerprint === fingerprint);
  await eventually('it is here', isHere, 20);
  assert.ok((await exported(fingerprint)).body.equals(body));
  assert.match(
    fleetCommand(etcd, ['fleet', 'image', 'list']).stdout,
    new RegExp(`^${fingerprint.slice(0, 12)} +300000`, 'm'),
  );
  assert.equal(fleetCommand(etcd, ['fleet', 'image', 'delete', fingerprint.slice(0, 8)]).status, 0);
  await eventually('it is gone', async () => !(await isHere()));
  const wrong = fleetCommand(etcd, ['fleet', 'image', 'add', file, '--from', 'http://127.0.0.1/x']);
  assert.match(wrong.stderr, /neither an https:\/\/ URL nor a path/);
});

test('an image that is not public is refused to guests; a value that cannot be read is named', needsEtcd, async () => {
  const { body, fingerprint } = image();
  served.set('/image', body);
  etcd.put(`shared/image/${fingerprint}`, { size: body.length, from: [`${base}/image`], public: false });
  etcd.put('shared/image/short', { size: 1 });
  await eventually('it is named', async () => (await host.source()).refused.some(({ name }) => name === 'image short'));
  assert.equal((await exported(fingerprint)).status, 404);
});

test('a split image is sent as LXD sends it', needsEtcd, async () => {
  const [metadata, rootfs] = [randomBytes(1000), randomBytes(50_000)];
  const fingerprint = createHash('sha256').update(metadata).update(rootfs).digest('hex');
  served.set('/meta', metadata);
  served.set('/rootfs', rootfs);
  const from = { from: [`${base}/meta`], rootfs_from: [`${base}/rootfs`] };
  await described(fingerprint, { size: metadata.length + rootfs.length, ...from });
  const { status, headers, body } = await exported(fingerprint);
  assert.equal(status, 200);
  assert.match(headers['content-type'] ?? '', /^multipart\/form-data/);
  assert.ok(body.includes(metadata) && body.includes(rootfs));
});
