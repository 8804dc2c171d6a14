import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { packageRoot } from '../../src/package-root.js';
import { TestDaemon } from '../support/daemon.js';
import { Guests, runInGuest } from '../support/guest-processes.js';
import { ask } from '../support/http.js';
import { ManagedDaemon } from '../support/managed-daemon.js';

const hasNpm = spawnSync('npm', ['--version']).error === undefined;
const withNpm = { skip: hasNpm ? false : 'needs npm' };
const compiling = {
  skip: !hasNpm ? 'needs npm' : process.env['DEVLXD_TEST_COMPILE'] ? false : 'compiles for minutes: npm run test:npm',
};

let scratch: string;

before(() => {
  scratch = mkdtempSync(join(tmpdir(), 'devlxd-npm-'));
  chmodSync(scratch, 0o755);
});

after(() => rmSync(scratch, { recursive: true }));

function run(command: string, words: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
  return spawnSync(command, words, { encoding: 'utf8', timeout: 600_000, ...options });
}

/** The tarball that npm makes. what: words that choose it */
function packed(...what: string[]): string {
  const words = ['pack', '--json', '--pack-destination', scratch, ...what];
  const { status, stdout, stderr } = run('npm', words, { cwd: packageRoot });
  assert.equal(status, 0, stderr);
  const name = /"filename": "([^"]+)"/.exec(stdout)?.[1] ?? '';
  return join(scratch, name);
}

function unpacked(tarball: string, name: string): string {
  const directory = join(scratch, name);
  mkdirSync(directory);
  assert.equal(run('tar', ['-xzf', tarball, '-C', directory, '--strip-components=1']).status, 0);
  return directory;
}

/** PATH of a host on which nothing compiles. */
function withoutCompiler(): string {
  const directory = join(scratch, 'bin');
  if (existsSync(directory)) return directory;
  mkdirSync(directory);
  symlinkSync(process.execPath, join(directory, 'node'));
  for (const name of ['npm', 'sh', 'env']) {
    const { stdout } = run('sh', ['-c', `command -v ${name}`]);
    symlinkSync(realpathSync(stdout.trim()), join(directory, name));
  }
  return directory;
}

/** A daemon of that program gives a guest its own. */
async function serves(program: string): Promise<void> {
  const { version } = (await import(join(packageRoot, 'package.json'), { with: { type: 'json' } })).default;
  assert.equal(run(program, ['--version']).stdout.trim(), version);
  assert.equal(run(program, ['hook', '--help']).status, 0);
  const guests = new Guests();
  const managed = await ManagedDaemon.start([], { program });
  try {
    const guest = guests.one();
    await managed.daemon.register('c1', guest.pid, { 'user.mark': 'mit ü' });
    assert.equal((await ask(guest.connect(managed.daemon.socket), '/1.0/config/user.mark')).body, 'mit ü');
  } finally {
    await guests.close();
    await managed.remove();
  }
}

function saysWhatIsMissing(t: TestContext, stderr: string): void {
  t.diagnostic(stderr.trim().split('\n').at(-1) ?? '');
  assert.match(stderr, /setup: g\+\+ and make and python3 missing, .*: apt-get install g\+\+ make python3$/m);
}

test('the package of npm has what it runs with, and says what it wants to be compiled', withNpm, async (t) => {
  const directory = unpacked(packed(), 'devlxd');
  assert.deepEqual(readdirSync(join(directory, 'dist')), ['program', 'src']);
  for (const name of ['src', 'test', 'bench', 'native/test', 'native/fuzz', 'node_modules', 'build'])
    assert.ok(!existsSync(join(directory, name)), name);
  symlinkSync(join(packageRoot, 'node_modules'), join(directory, 'node_modules'));
  const script = join(directory, 'scripts/setup.mjs');
  const refused = run(process.execPath, [script, 'install'], { env: { PATH: withoutCompiler() } });
  assert.equal(refused.status, 1);
  saysWhatIsMissing(t, refused.stderr);
  const program = join(directory, 'bin/devlxd');
  const bare = run(program, ['serve', '--run-dir', scratch, '--state-dir', scratch]);
  assert.match(bare.stderr, /^devlxd: The addon cannot be loaded: .* npm rebuild -g devlxd\n$/);
  for (const name of ['devlxd.node', 'devlxd-hook', 'guests'])
    cpSync(join(packageRoot, 'build/Release', name), join(directory, 'build/Release', name));
  await serves(program);
  const hosts = run(program, ['fleet', 'hosts', '--fleet', '127.0.0.1:1']);
  assert.match(hosts.stderr, /^devlxd: No member of etcd answers: 127\.0\.0\.1:1: .*ECONNREFUSED/);
});

test('npm install -g: without a compiler it says what is missing, with one it runs', compiling, async (t) => {
  const tarball = packed();
  const install = ['install', '-g', '--no-audit', '--no-fund', '--prefix', join(scratch, 'global'), tarball];
  const refused = run('npm', install, { env: { ...process.env, PATH: withoutCompiler() } });
  assert.notEqual(refused.status, 0);
  saysWhatIsMissing(t, refused.stderr);
  const { status, stderr } = run('npm', install);
  assert.equal(status, 0, stderr);
  await serves(join(scratch, 'global/bin/devlxd'));
  t.diagnostic(`disk: ${run('du', ['-sm', join(scratch, 'global')]).stdout.split('\t')[0]} MB`);
});

const program = `import { GuestClient } from 'devlxd-client';
const client: GuestClient = new GuestClient({ socketPath: process.argv[2] as string });
const value: string | undefined = await client.config('user.mark');
console.log(value);
await client.close();
`;

test('the client is a package of its own, small and without a compiler, and works in a guest', withNpm, async () => {
  const tarball = packed('--workspace', 'devlxd-client');
  // What it depends on, as npm would fetch it.
  const ws = packed('./node_modules/ws');
  const project = join(scratch, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{"type":"module","private":true}');
  const install = ['install', '--offline', '--no-audit', '--no-fund', tarball, ws];
  const env = { PATH: withoutCompiler(), HOME: scratch };
  const installed = run('npm', install, { cwd: project, env });
  assert.equal(installed.status, 0, installed.stderr);
  const { stdout } = run('du', ['-sb', '--apparent-size', join(project, 'node_modules/devlxd-client')]);
  assert.ok(Number(stdout.split('\t')[0]) < 200 * 1024, stdout);

  writeFileSync(join(project, 'guest.ts'), program);
  const types = ['--types', 'node', '--typeRoots', join(packageRoot, 'node_modules/@types')];
  const options = ['--strict', '--module', 'NodeNext', '--target', 'ES2022', ...types, join(project, 'guest.ts')];
  const tsc = run(process.execPath, [join(packageRoot, 'node_modules/typescript/bin/tsc'), ...options], {
    cwd: project,
  });
  assert.deepEqual([tsc.status, tsc.stdout], [0, '']);

  const daemon = await TestDaemon.start();
  try {
    await daemon.create('c1', { 'user.mark': 'of the guest' });
    const ran = await runInGuest({
      command: [process.execPath, join(project, 'guest.js'), daemon.socket],
      before: (pid) => daemon.startInstance('c1', pid),
    });
    assert.deepEqual(ran, { code: 0, stdout: 'of the guest\n', stderr: '' });
  } finally {
    await daemon.remove();
  }
});
