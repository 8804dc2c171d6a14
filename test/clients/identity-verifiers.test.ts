import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../../src/package-root.js';
import { TestDaemon } from '../support/daemon.js';
import { type Guest, Guests } from '../support/guest-processes.js';
import { ask } from '../support/http.js';
import { programs } from './next-boot.js';

const audience = 'https://vault.example';
const issuer = 'https://id.example';

let daemon: TestDaemon;
/** its documents live for a second */
let brief: TestDaemon;
let guests: Guests;
let guest: Guest;
let directory: string;

before(async () => {
  daemon = await TestDaemon.start(['--identity-issuer', issuer]);
  brief = await TestDaemon.start(['--identity-issuer', issuer, '--identity-seconds', '1']);
  guests = new Guests();
  guest = guests.one();
  directory = mkdtempSync(join(tmpdir(), 'devlxd-test-'));
  for (const each of [daemon, brief]) await each.register('c1', guest.pid);
});

after(async () => {
  await guests.close();
  for (const each of [daemon, brief]) await each.remove();
  rmSync(directory, { recursive: true });
});

const token = async (of = daemon): Promise<string> =>
  (await ask(guest.connect(of.socket), `/1.0/identity?audience=${audience}`)).body;

async function jwks(of: TestDaemon): Promise<string> {
  const file = join(directory, 'jwks.json');
  writeFileSync(file, JSON.stringify(await of.client.identity.keys()));
  return file;
}

function buildGo(): string | undefined {
  const cache = join(packageRoot, 'build/clients/go-cache');
  mkdirSync(cache, { recursive: true });
  const environment = { ...process.env, GOCACHE: cache, CGO_ENABLED: '0', GO111MODULE: 'off' };
  const source = join(programs, 'verify-identity.go');
  const built = spawnSync('go', ['build', '-o', goProgram, source], { encoding: 'utf8', env: environment });
  return built.status === 0 ? undefined : (built.error?.message ?? built.stderr);
}

const goProgram = join(packageRoot, 'build/clients/verify-identity');
const python = '/usr/bin/python3';

interface Verifier {
  readonly name: string;
  readonly command: readonly string[];
  /** why it cannot be run here */
  readonly missing: () => string | undefined;
}

const verifiers: readonly Verifier[] = [
  {
    name: "PyJWT (Debian's python3-jwt)",
    command: [python, join(programs, 'verify-identity.py')],
    missing: () => {
      const tried = spawnSync(python, ['-c', 'import jwt, cryptography'], { encoding: 'utf8' });
      return tried.status === 0 ? undefined : (tried.stderr?.trim().split('\n').at(-1) ?? 'there is no python3');
    },
  },
  { name: "Go's standard library", command: [goProgram], missing: buildGo },
  {
    name: 'openssl, in a shell',
    command: ['sh', join(programs, 'verify-identity.sh')],
    missing: () => {
      const tried = ['openssl version', 'jq --version', 'basenc --version'].map((words) => words.split(' '));
      const without = tried.filter(([program = '', word = '']) => spawnSync(program, [word]).status !== 0);
      return without.length === 0 ? undefined : `there is no ${without.map(([program]) => program).join(', ')}`;
    },
  },
];

for (const { name, command, missing } of verifiers) {
  test(`${name} accepts what it must, and nothing else`, async (t) => {
    const reason = missing();
    if (reason !== undefined) {
      t.skip(`${name} cannot be had here: ${reason}`);
      return;
    }
    const [program = '', ...words] = command;
    const says = async (document: string, wanted = audience, by = issuer, of = daemon): Promise<string> => {
      const ran = spawnSync(program, [...words, await jwks(of), wanted, by], { input: document, encoding: 'utf8' });
      assert.equal(ran.status, 0, ran.stderr);
      return ran.stdout.trim();
    };
    const document = await token();
    assert.equal(await says(document), 'accepted c1');
    const [head = '', claims = '', signature = ''] = document.split('.');
    const forged = Buffer.from(claims, 'base64url').toString().replace('"c1"', '"c2"');
    const tampered = `${head}.${Buffer.from(forged).toString('base64url')}.${signature}`;
    assert.match(await says(tampered), /^refused/);
    assert.match(await says(document, 'https://other.example'), /^refused/);
    assert.match(await says(document, audience, 'https://other.example'), /^refused/);
    await daemon.client.identity.rotate();
    await daemon.client.identity.rotate();
    assert.equal(await says(document), 'accepted c1', 'what the first key has signed goes on verifying');
    assert.equal(await says(await token()), 'accepted c1');
    const ofOther = await says(document, audience, issuer, brief);
    assert.match(ofOther, /^refused (?:key|KeyError)$/);
    const expiring = await token(brief);
    while ((await says(expiring, audience, issuer, brief)).startsWith('accepted'));
    assert.match(await says(expiring, audience, issuer, brief), /^refused (?:time|ExpiredSignatureError)$/);
  });
}
