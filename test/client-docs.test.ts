import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../src/package-root.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { runInGuest } from './support/guest-processes.js';
import { guestsCannotRead } from './support/other-users.js';

const page = readFileSync(join(packageRoot, 'docs/client.md'), 'utf8');
const examples = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code ?? '');
const names = ['instances', 'batch', 'events', 'guest'] as const;

let daemon: TestDaemon;
/** a project of somebody else's, which depends on devlxd */
let project: string;

before(async () => {
  daemon = await TestDaemon.start();
  project = mkdtempSync(join(tmpdir(), 'devlxd-client-docs-'));
  chmodSync(project, 0o755);
  mkdirSync(join(project, 'node_modules'));
  symlinkSync(packageRoot, join(project, 'node_modules/devlxd'));
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
  for (const [index, name] of names.entries()) writeFileSync(join(project, `${name}.ts`), examples[index] ?? '');
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    target: 'ES2022',
    module: 'NodeNext',
    types: ['node'],
    typeRoots: [join(packageRoot, 'node_modules/@types')],
  };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
});

after(async () => {
  await daemon.remove();
  rmSync(project, { recursive: true });
});

test('the examples compile against the types of the package', () => {
  assert.equal(examples.length, names.length);
  const tsc = join(packageRoot, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', project], { encoding: 'utf8' });
  assert.deepEqual([status, stdout], [0, '']);
});

function prints(name: (typeof names)[number]): string {
  const env = { ...process.env, DEVLXD_RUN_DIR: daemon.runDir };
  const program = join(project, `${name}.js`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8', env, timeout: 30_000 });
  assert.equal(status, 0, stderr);
  return stdout;
}

test('those for a host do what they say', () => {
  assert.equal(prints('instances'), 'Stopped web 2\nInstance "web1" already exists\n');
  assert.equal(prints('batch'), 'many7\n');
  assert.equal(prints('events'), '/1.0/instances/watched\n');
});

test('the one for a guest, in a guest', { skip: guestsCannotRead }, async () => {
  const program = join(project, 'guest.js');
  // Where there is no /dev/lxd to mount anything on.
  const socket = JSON.stringify({ socketPath: daemon.socket });
  writeFileSync(program, readFileSync(program, 'utf8').replace('new GuestClient()', `new GuestClient(${socket})`));
  const devices = { data: { type: 'disk', path: '/data' } };
  await daemon.create('guest', { 'user.role': 'web' }, devices);
  const ran = runInGuest({
    command: [process.execPath, program],
    before: (pid) => daemon.startInstance('guest', pid),
  });
  await eventually('it listens', async () =>
    (await daemon.client.metrics()).includes('devlxd_listeners{role="guest"} 1'),
  );
  await daemon.set('guest', { 'user.other': '1', 'user.role': 'db' });
  await daemon.set('guest', { 'user.last': 'yes' });
  const { code, stdout, stderr } = await ran;
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "[ 'user.role' ] web\n[ 'data' ]\nuser.other 1\nuser.role db\nuser.last yes\n");
});
