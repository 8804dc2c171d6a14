import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Database } from '../src/store/sqlite.js';
import { binary } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { becomesAnotherUser } from './support/other-users.js';

interface Found {
  readonly what: string;
  readonly meaning: string;
  readonly state: string;
}

let scratch: string;
let stateDir: string;
let count = 0;

before(() => {
  scratch = mkdtempSync(join(tmpdir(), 'devlxd-check-store-'));
  chmodSync(scratch, 0o755);
});

after(() => rmSync(scratch, { recursive: true }));

function fresh(): string {
  stateDir = join(scratch, `state${++count}`);
  mkdirSync(stateDir, { mode: 0o700 });
  return join(stateDir, 'devlxd.db');
}

/** A store as a daemon leaves it. */
async function stored(): Promise<string> {
  const daemon = await TestDaemon.start();
  try {
    await daemon.create('c1', { 'user.mark': 'here' });
    await daemon.end();
    const file = fresh();
    spawnSync('cp', ['-a', `${daemon.stateDir}/.`, stateDir]);
    return file;
  } finally {
    await daemon.remove();
  }
}

/** prefix: of the command that runs it; its exit code is 1 when something is bad */
function check(prefix: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Found {
  const run = ['--run-dir', join(scratch, 'none'), '--state-dir', stateDir];
  const [command = '', ...words] = [...prefix, process.execPath, binary, 'check', '--json', ...run];
  const { stdout, stderr, status } = spawnSync(command, words, { encoding: 'utf8', env: { ...process.env, ...env } });
  assert.equal(stderr, '');
  const store = (JSON.parse(stdout) as Found[]).find(({ what }) => what === 'store');
  assert.ok(store !== undefined, stdout);
  assert.equal(status, store.state === 'bad' ? 1 : 0);
  return store;
}

function finds(state: string, meaning: RegExp, prefix: readonly string[] = [], env: NodeJS.ProcessEnv = {}): void {
  const found = check(prefix, env);
  assert.match(found.meaning, meaning);
  assert.equal(found.state, state);
}

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root, to mount' };
const shell = (script: string): string[] => ['unshare', '--mount', 'sh', '-ec', `${script}; exec "$@"`, 'sh'];

test('a store that is not there yet, is empty, or is as a daemon left it, is well, and is not touched', async () => {
  const file = fresh();
  finds('ok', /^is made when the daemon starts$/);
  assert.deepEqual(readdirSync(stateDir), []);
  writeFileSync(file, '');
  finds('ok', /can be opened/);
  await stored();
  const before = readdirSync(stateDir);
  finds('ok', /^can be opened, and all of it is right$/);
  assert.deepEqual(readdirSync(stateDir), before);
  stateDir = join(scratch, 'not/there');
  finds('ok', /^is made/);
});

test('what is no store, is damaged, is newer or is in use is said to be that', async () => {
  writeFileSync(fresh(), 'a text that is none '.repeat(100));
  finds('bad', /is no store of devlxd, or is damaged: file is not a database$/);
  mkdirSync(fresh());
  finds('bad', /devlxd\.db is no file/);
  const other = new Database(fresh());
  other.exec('CREATE TABLE something (a)');
  other.close();
  finds('bad', /is not a store of devlxd$/);
  const file = await stored();
  const database = new Database(file);
  database.exec('PRAGMA locking_mode = EXCLUSIVE');
  database.exec('BEGIN EXCLUSIVE');
  finds('bad', /^A devlxd uses .*; stop it first\.$/);
  database.exec('ROLLBACK');
  database.exec('PRAGMA user_version = 99');
  database.close();
  finds('bad', /was written by a newer devlxd; install that version first$/);
  stateDir = join(file, 'below');
  finds('bad', /devlxd\.db is no directory: choose another --state-dir$/);
});

test(
  'a directory or a file that this user may not use is said to be that, with its owner',
  becomesAnotherUser,
  async () => {
    const user = ['setpriv', '--reuid=12346', '--regid=12346', '--clear-groups'];
    fresh();
    finds('bad', /^uid 12346 may not read and write .*state\d+, which belongs to uid 0 and has the mode 0700/, user);
    await stored();
    chmodSync(stateDir, 0o777);
    finds('bad', /^uid 12346 may not read and write .*devlxd\.db, which belongs to uid 0 and has the mode 0600/, user);
  },
);

test('a file system that is read-only or full is said to be that', asRoot, () => {
  fresh();
  finds('bad', /is read-only: mount it read-write$/, shell(`mount -t tmpfs -o ro none '${stateDir}'`));
  const small = `mount -t tmpfs -o size=64k none '${stateDir}'`;
  finds('warning', /^changes are refused when the disk is full/, shell(small));
  const fill = `dd if=/dev/zero of='${stateDir}/ballast' bs=4k 2>/dev/null || :`;
  finds('bad', /^changes are refused when the disk is full/, shell(`${small}; ${fill}`));
});

test('a run directory that no socket can be made in is said to be that', becomesAnotherUser, () => {
  fresh();
  const user = ['setpriv', '--reuid=12346', '--regid=12346', '--clear-groups'];
  const foundIn = (runDir: string, prefix: readonly string[] = []): string => {
    const words = [
      ...prefix,
      process.execPath,
      binary,
      'check',
      '--json',
      '--run-dir',
      runDir,
      '--state-dir',
      stateDir,
    ];
    const { stdout } = spawnSync(words[0] as string, words.slice(1), { encoding: 'utf8' });
    const found = (JSON.parse(stdout) as Found[]).find(({ what }) => what === 'run directory');
    return `${found?.state}: ${found?.meaning}`;
  };
  assert.equal(foundIn(join(scratch, 'none/there')), 'ok: is made when the daemon starts');
  assert.equal(foundIn(scratch), 'ok: sockets can be made in it');
  writeFileSync(join(scratch, 'file'), '');
  assert.match(foundIn(join(scratch, 'file')), /^bad: .*file is no directory: choose another --run-dir$/);
  assert.match(
    foundIn(join(scratch, 'x'.repeat(100))),
    /^bad: the paths of its sockets have up to \d{3} bytes, .* 107/,
  );
  assert.match(foundIn(scratch, user), /^bad: uid 12346 may not read and write .*, which belongs to uid 0/);
  assert.match(foundIn('/proc/sys'), /^bad: .*proc\/sys/);
});

const broken = {
  'was compiled for another Node': "The module 'x.node' was compiled against NODE_MODULE_VERSION 999.\nPlease rebuild",
  'wants a newer libc': "libc.so.6: version `GLIBC_2.99' not found (required by x.node)",
};
for (const [what, message] of Object.entries(broken)) {
  test(`SQLite that ${what} is said to be that, also by the daemon`, async () => {
    await stored();
    const text = JSON.stringify(message);
    const code = `import Module from 'node:module';
const load = Module._load;
class Broken { constructor() { throw Object.assign(new Error(${text}), { code: 'ERR_DLOPEN_FAILED' }); } }
Broken.SqliteError = class extends Error {};
Module._load = (name, ...rest) => (name === 'better-sqlite3' ? Broken : load(name, ...rest));
process.getBuiltinModule = () => undefined;`;
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
    const [first = ''] = message.split('\n');
    const sentence = new RegExp(
      `SQLite cannot be loaded: ${first.replaceAll(/[.()]/g, '\\$&')} Build it with this Node`,
    );
    finds('bad', sentence, [], env);
    const run = ['--run-dir', join(scratch, 'none'), '--state-dir', stateDir];
    const { stderr, status } = spawnSync(process.execPath, [binary, 'serve', ...run], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
      timeout: 60_000,
    });
    assert.match(stderr, sentence);
    assert.doesNotMatch(stderr, /^ +at /m);
    assert.equal(status, 1);
  });
}
