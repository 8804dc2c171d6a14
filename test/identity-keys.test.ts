import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { audience, documentOf, verified } from './support/identity-documents.js';

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

const token = async (from: Guest, of: TestDaemon): Promise<string> => (await documentOf(of, from)).body;

test('rotated: documents of the old key go on verifying, and the next key was published before', async () => {
  const own = await TestDaemon.start(['--identity-seconds', '1']);
  const [one] = guests.spawn(1) as [Guest];
  try {
    await own.register('c1', one.pid);
    const first = await token(one, own);
    const before = (await own.client.identity.keys()).keys.map(({ kid }) => kid);
    assert.equal(before.length, 2);
    const rotation = await own.client.identity.rotate();
    assert.equal(rotation.kid, before[1]);
    // A second rotation before the first one is due is the first one.
    if (Date.parse(rotation.signs_from) > Date.now()) assert.deepEqual(await own.client.identity.rotate(), rotation);
    let second = await token(one, own);
    while (decodeProtectedHeader(second).kid !== rotation.kid) second = await token(one, own);
    assert.ok(Date.now() >= Date.parse(rotation.signs_from));
    const published = (await own.client.identity.keys()).keys.map(({ kid }) => kid);
    assert.equal(published.length, 3);
    for (const kid of before) assert.ok(published.includes(kid));
    const late = { currentDate: new Date((decodeJwt(first).iat ?? 0) * 1000) };
    const keys = createLocalJWKSet({ keys: [...(await own.client.identity.keys()).keys] });
    await jwtVerify(first, keys, { audience, ...late });
    await jwtVerify(second, keys, { audience, currentDate: new Date((decodeJwt(second).iat ?? 0) * 1000) });
    await assert.rejects(jwtVerify(first, keys, { audience, currentDate: new Date(Date.now() + 3600_000) }), /exp/);
    // Once more: what either of the first two keys has signed goes on verifying.
    const { kid: third } = await own.client.identity.rotate();
    assert.equal(
      third,
      published.find((kid) => !before.includes(kid)),
    );
    while (decodeProtectedHeader(await token(one, own)).kid !== third);
    const all = createLocalJWKSet({ keys: [...(await own.client.identity.keys()).keys] });
    for (const document of [first, second])
      await jwtVerify(document, all, { audience, currentDate: new Date((decodeJwt(document).iat ?? 0) * 1000) });
    // The keys are stored before they are used: kill -9 loses none.
    const last = (await own.client.identity.keys()).keys.map(({ kid }) => kid);
    await own.end('SIGKILL');
    await own.run();
    const again = (await own.client.identity.keys()).keys.map(({ kid }) => kid);
    assert.deepEqual(again, last);
    assert.equal(decodeProtectedHeader(await token(one, own)).kid, third);
  } finally {
    await own.remove();
  }
});

test('with a trust domain a document is a JWT-SVID', async () => {
  const own = await TestDaemon.start([
    '--identity-trust-domain',
    'example.org',
    '--identity-issuer',
    'https://id.example',
  ]);
  const [one] = guests.spawn(1) as [Guest];
  try {
    await own.register('web-1', one.pid);
    const document = await token(one, own);
    const header = decodeProtectedHeader(document);
    const claims = decodeJwt(document);
    // JWT-SVID, sections 2 and 3: what a header may have, what claims there must be.
    const rules: [rule: string, holds: boolean][] = [
      ['alg is one of the asymmetric ones', ['ES256', 'ES384', 'RS256', 'PS256'].includes(header.alg ?? '')],
      [
        'the header has alg, kid and typ only',
        Object.keys(header).every((name) => ['alg', 'kid', 'typ'].includes(name)),
      ],
      ['typ is JWT or JOSE', ['JWT', 'JOSE'].includes(header.typ ?? '')],
      [
        'sub is the SPIFFE ID',
        /^spiffe:\/\/example\.org\/host\/[\w.-]+\/project\/default\/instance\/web-1$/.test(claims.sub ?? ''),
      ],
      [
        'the path has no empty, . or .. segment',
        !/\/(?:\.{0,2})(?:\/|$)/.test((claims.sub ?? '').slice('spiffe://'.length)),
      ],
      ['the id is at most 2048 bytes', (claims.sub ?? '').length <= 2048],
      ['aud is there', claims.aud === audience],
      ['exp is there', typeof claims.exp === 'number'],
    ];
    for (const [rule, holds] of rules) assert.ok(holds, rule);
    assert.equal(claims.iss, 'https://id.example');
    await verified(document, own);
  } finally {
    await own.remove();
  }
});

test('discovery: two static files, for the issuer that the daemon says', async () => {
  const issuer = 'https://id.example/host1';
  const own = await TestDaemon.start(['--identity-issuer', issuer]);
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-test-'));
  const discover = (url: string) =>
    spawnSync(
      process.execPath,
      ['bin/devlxd', '--run-dir', own.runDir, 'identity', 'discovery', '--url', url, '--output', directory],
      { encoding: 'utf8' },
    );
  try {
    const wrong = discover('https://id.example/host2');
    assert.notEqual(wrong.status, 0);
    assert.match(wrong.stderr, /start it with --identity-issuer https:\/\/id\.example\/host2/);
    const done = discover(`${issuer}/`);
    assert.equal(done.status, 0, done.stderr);
    const configuration = JSON.parse(readFileSync(join(directory, '.well-known/openid-configuration'), 'utf8'));
    assert.equal(configuration.issuer, issuer);
    assert.equal(configuration.jwks_uri, `${issuer}/jwks.json`);
    const keys = JSON.parse(readFileSync(join(directory, 'jwks.json'), 'utf8'));
    assert.deepEqual(keys, await own.client.identity.keys());
    assert.ok(
      keys.keys.every((key: object) => !('d' in key)),
      'no private part',
    );
  } finally {
    await own.remove();
    rmSync(directory, { recursive: true });
  }
});
