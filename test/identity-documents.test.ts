import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeJwt } from 'jose';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests, needsGuestUsers } from './support/guest-processes.js';
import { ask } from './support/http.js';
import { audience, documentOf, path, verified } from './support/identity-documents.js';

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;
let other: Guest;

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
  guest = guests.one();
  other = guests.one();
  await daemon.register('c1', guest.pid, { 'user.a': '1' });
  await daemon.register('c2', other.pid, { 'user.a': '2' });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const get = (from: Guest, asked = path) => documentOf(daemon, from, asked);
const token = async (from = guest, asked = path): Promise<string> => (await get(from, asked)).body;

test('a document says which instance the guest is, and verifies with the published keys', async () => {
  const answer = await get(guest, `${path}&nonce=n-1`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], 'application/jwt');
  assert.doesNotMatch(answer.body, /\s/);
  const { payload, protectedHeader } = await verified(answer.body, daemon);
  const { config } = await daemon.client.instances.get('c1');
  const uuid = config['volatile.uuid'];
  const { iat = 0, jti, ...claims } = payload;
  assert.match(uuid ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.match(jti ?? '', /^[0-9a-f-]{36}$/);
  assert.deepEqual(claims, {
    iss: `devlxd://${hostname()}`,
    sub: `default/${uuid}`,
    aud: audience,
    nbf: iat,
    exp: iat + 300,
    nonce: 'n-1',
    devlxd: {
      host: hostname(),
      project: 'default',
      name: 'c1',
      type: 'container',
      instance_id: config['volatile.cloud-init.instance-id'],
      uuid,
    },
  });
  const [signing] = (await daemon.client.identity.keys()).keys;
  assert.deepEqual(protectedHeader, { alg: 'ES256', kid: signing?.kid, typ: 'JWT' });
});

test('each guest gets its own, however it asks', async () => {
  const named = async (document: string) => (decodeJwt(document)['devlxd'] as { name: string }).name;
  assert.equal(await named(await token(guest)), 'c1');
  assert.equal(await named(await token(other)), 'c2');
  const nested = await ask(guest.connect(daemon.socket, { nested: 2, nestedUser: true, child: true }), path);
  assert.equal(await named(nested.body), 'c1');
  // A connection that is passed to another process speaks for the instance that opened it.
  const mixed = await Promise.all(Array.from({ length: 40 }, (_, n) => token(n % 2 === 0 ? guest : other)));
  for (const [n, document] of mixed.entries()) assert.equal(await named(document), n % 2 === 0 ? 'c1' : 'c2');
});

test('never the same twice, also on one connection that asks with the same bytes', async () => {
  const documents = await Promise.all([token(), token(), token()]);
  assert.equal(new Set(documents.map((document) => decodeJwt(document).jti)).size, 3);
  const client = guest.connect(daemon.socket);
  const head = `GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`;
  const found: string[] = [];
  for (let asked = 0; asked < 3; asked++) {
    client.write(head);
    const [answer] = (await once(client, 'data')) as [Buffer]; // it is corked: one piece
    found.push(answer.toString().split('\r\n\r\n')[1] ?? '');
  }
  client.destroy();
  assert.equal(new Set(found.map((document) => decodeJwt(document).jti)).size, 3);
});

test('HEAD has the head alone; other methods are not there', async () => {
  const { status, body } = await ask(guest.connect(daemon.socket), path, { method: 'HEAD' });
  assert.deepEqual([status, body], [200, '']);
  assert.equal((await ask(guest.connect(daemon.socket), path, { method: 'POST' })).status, 501);
});

test('what cannot be a request for one is told so', async () => {
  const long = 'a'.repeat(513);
  const refused: [query: string, sentence: RegExp][] = [
    ['', /audience is missing: .*GET \/1\.0\/identity\?audience=/],
    ['?audience=', /audience is missing/],
    ['?nonce=1', /audience is missing/],
    [`?audience=${long}`, /audience is longer than 512 bytes/],
    [`?audience=${'%C3%BC'.repeat(257)}`, /audience is longer than 512 bytes/],
    [`?audience=a&nonce=${'n'.repeat(129)}`, /nonce is longer than 128 bytes/],
    ['?audience=a&nonce=', /nonce is empty/],
    ['?audience=a&audience=b', /audience is given twice/],
    ['?audience=a&nonce=1&nonce=2', /nonce is given twice/],
    ['?audience=a%0Ab', /audience has a control character/],
    ['?audience=%FF', /audience has a control character, or is not UTF-8/],
    ['?audience=a&nonce=%00', /nonce has a control character/],
  ];
  for (const [query, sentence] of refused) {
    const { status, body } = await get(guest, `/1.0/identity${query}`);
    assert.equal(status, 400, query);
    assert.match(body, sentence);
  }
  const audienceOf = async (text: string) =>
    decodeJwt(await token(guest, `/1.0/identity?audience=${encodeURIComponent(text)}`)).aud;
  for (const text of ['ü', '"}', '\u{1F600}', '__proto__', 'a b', 'a'.repeat(512)]) {
    assert.equal(await audienceOf(text), text);
  }
});

test('only root asks, unless its instance lets others; and it can be switched off', needsGuestUsers, async () => {
  const asUser = () => ask(guest.connect(daemon.socket, { uid: 1000, child: true }), path);
  assert.equal((await asUser()).status, 401);
  await daemon.set('c1', { 'security.devlxd.nonroot': 'true' });
  assert.equal((await asUser()).status, 200);
  await daemon.set('c1', { 'security.devlxd.nonroot': '', 'security.devlxd.identity': 'false' });
  assert.equal((await get(guest)).status, 403);
  assert.equal((await get(other)).status, 200);
  await daemon.set('c1', { 'security.devlxd.identity': '' });
  assert.equal((await get(guest)).status, 200);
  const onHost = spawnSync('curl', ['-s', '--unix-socket', daemon.socket, `http://lxd${path}`], { encoding: 'utf8' });
  if (onHost.error === undefined) assert.match(onHost.stdout, /not found in container/);
});

test('the subject outlives a rename; a stopped instance gets nothing', async () => {
  const [one] = guests.spawn(1) as [Guest];
  await daemon.register('moving', one.pid);
  const subject = decodeJwt(await token(one)).sub;
  await daemon.stopInstance('moving');
  await daemon.client.instances.rename('moving', 'moved');
  const [next] = guests.spawn(1) as [Guest];
  await daemon.startInstance('moved', next.pid);
  const renamed = decodeJwt(await token(next));
  assert.equal(renamed.sub, subject);
  assert.equal((renamed['devlxd'] as { name: string }).name, 'moved');
  await daemon.stopInstance('moved');
  for (const gone of [one, next]) assert.equal((await get(gone)).status, 500);
});

test('what must not verify does not', async () => {
  const document = await token();
  const [head = '', claims = '', signature = ''] = document.split('.');
  const changed = { ...decodeJwt(document), sub: 'default/somebody' };
  const forged = Buffer.from(JSON.stringify(changed)).toString('base64url');
  await assert.rejects(verified(`${head}.${forged}.${signature}`, daemon), /signature verification failed/);
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  await assert.rejects(verified(`${none}.${claims}.`, daemon));
  await assert.rejects(verified(document, daemon, 'https://other.example'), /unexpected "aud"/);
  const stranger = await TestDaemon.start();
  try {
    await assert.rejects(verified(document, stranger), /no applicable key/);
  } finally {
    await stranger.remove();
  }
});

test('the keys are part of a backup, and nobody else may read them', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-test-'));
  try {
    const file = join(directory, 'backup.db');
    const command = (...words: string[]) =>
      spawnSync(process.execPath, ['bin/devlxd', '--run-dir', daemon.runDir, ...words], { encoding: 'utf8' });
    const made = command('backup', file);
    assert.equal(made.status, 0, made.stderr);
    const [signing] = (await daemon.client.identity.keys()).keys;
    assert.ok(readFileSync(file).includes(signing?.kid ?? 'none'));
    for (const secret of [file, join(daemon.stateDir, 'devlxd.db')]) {
      const { stdout } = spawnSync('stat', ['-c', '%a', secret], { encoding: 'utf8' });
      assert.equal(stdout.trim(), '600', secret);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
