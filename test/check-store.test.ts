import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Database } from '../src/store/sqlite.js';
import { binary, CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { becomesAnotherUser } from './support/other-users.js';

interface Found {
  readonly what: string;
  readonly meaning: string;
  readonly state: string;
}

let scratch: string;
/** that of a daemon that has ended in order */
let left: string;
let stateDir: string;
let count = 0;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'devlxd-check-store-'));
  chmodSync(scratch, 0o755);
  left = join(scratch, 'left');
  const daemon = await TestDaemon.start();
  try {
    await daemon.create('c1', { 'user.mark': 'here' });
    await daemon.end();
    cpSync(daemon.stateDir, left, { recursive: true });
  } finally {
    await daemon.remove();
  }
});

after(() => rmSync(scratch, { recursive: true }));

function fresh(): string {
  stateDir = join(scratch, `state${++count}`);
  mkdirSync(stateDir, { mode: 0o700 });
  return join(stateDir, 'devlxd.db');
}

/** A store as a daemon leaves it. */
function stored(): string {
  const file = fresh();
  cpSync(left, stateDir, { recursive: true });
  return file;
}

const commandLine = new CommandLine(() => ({ runDir: join(scratch, 'none') }));

/** What check finds, and its exit code. prefix: of the command that runs it */
function checked(words: readonly string[], prefix: readonly string[] = [], more: NodeJS.ProcessEnv = {}) {
  const asked = ['check', '--json', '--state-dir', stateDir, ...words];
  const [command = '', ...options] = [...prefix, process.execPath, binary, ...asked];
  const env = { ...commandLine.environment(), ...more };
  const isPlain = prefix.length === 0 && Object.keys(more).length === 0;
  const ran = isPlain ? commandLine.run(asked) : spawnSync(command, options, { encoding: 'utf8', env });
  assert.equal(ran.stderr, '');
  return { found: JSON.parse(ran.stdout) as Found[], status: ran.status };
}

/** Its exit code is 1 when something is bad. */
function check(prefix: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Found {
  const { found, status } = checked([], prefix, env);
  const store = found.find(({ what }) => what === 'store');
  assert.ok(store !== undefined);
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
  stored();
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
  const file = stored();
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
    stored();
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
    const found = checked(['--run-dir', runDir], prefix).found.find(({ what }) => what === 'run directory');
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
    stored();
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
