import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { instancePath } from '../src/cli/with-client.js';
import { packageRoot } from '../src/package-root.js';
import { Database } from '../src/store/sqlite.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';

let daemon: TestDaemon;
let kept: string;
const commandLine = new CommandLine(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  kept = join(daemon.directory, 'kept');
  mkdirSync(kept);
});

after(() => daemon.remove());

function fails(words: string[], sentence: RegExp): void {
  const { status, stderr } = commandLine.run(words);
  assert.match(stderr, sentence);
  assert.equal(status, 1);
}

test('a backup under writes is whole, and of one moment', async () => {
  for (const name of ['b1', 'b2']) await daemon.create(name, { 'user.n': '0' });
  let writing = true;
  const writer = (async () => {
    // Both in one transaction: a copy of one moment has the same in both.
    for (let n = 1; writing; n++) {
      const body = { config: { 'user.n': String(n) } };
      await daemon.client.batch(['b1', 'b2'].map((name) => ({ method: 'PATCH', path: instancePath(name), body })));
    }
  })();
  const file = join(kept, 'under-writes.db');
  for (let round = 0; round < 5; round++) {
    const backup = commandLine.follow(['backup', file]);
    assert.deepEqual(await backup.closed, [0, null]);
    assert.match(backup.text(), /under-writes\.db: 2 instances\n$/);
    const copy = new Database(file, { readonly: true });
    const values = copy.prepare("SELECT value FROM config WHERE key = 'user.n'").all().flat();
    copy.close();
    assert.equal(values.length, 2);
    assert.equal(values[0], values[1]);
  }
  writing = false;
  await writer;
  assert.deepEqual(readdirSync(kept), ['under-writes.db']);
  assert.ok(!readdirSync(daemon.stateDir).some((name) => name.includes('copy')));
});

test('what was backed up is restored, and what was there before is kept beside it', async () => {
  const file = join(kept, 'good.db');
  await daemon.set('b1', { 'user.role': 'before: ☃' });
  commandLine.does('backup', file);
  await daemon.set('b1', { 'user.role': 'after' });
  fails(['restore', file, '--state-dir', daemon.stateDir], /A devlxd uses .*devlxd\.db; stop it first/);
  await daemon.end('SIGKILL'); // so that there is a log
  assert.match(commandLine.does('restore', file, '--state-dir', daemon.stateDir), /2 instances/);
  const before = new Database(join(daemon.stateDir, 'devlxd.db.before-restore'), { readonly: true });
  const value = before.value("SELECT value FROM config WHERE key = 'user.role'");
  before.close();
  assert.equal(value, 'after');
  await daemon.run();
  assert.equal((await daemon.client.instances.get('b1')).config['user.role'], 'before: ☃');
  await daemon.set('b1', { 'user.role': 'goes on' });
});

test('what root restores belongs to the owner of the directory', (t) => {
  if (process.getuid?.() !== 0) return t.skip('needs root');
  const directory = join(daemon.directory, 'of-another');
  mkdirSync(directory);
  chownSync(directory, 65534, 65534);
  commandLine.does('restore', join(kept, 'good.db'), '--state-dir', directory);
  const { uid, gid } = statSync(join(directory, 'devlxd.db'));
  assert.deepEqual([uid, gid], [65534, 65534]);
});

test('a store that is damaged is named, and can be replaced by a backup', async () => {
  const store = join(daemon.stateDir, 'devlxd.db');
  await daemon.end();
  writeFileSync(store, 'no database at all, and longer than a header of one would be'.repeat(10));
  await assert.rejects(daemon.run(), /devlxd\.db is damaged.*restore a backup/);
  commandLine.does('restore', join(kept, 'good.db'), '--state-dir', daemon.stateDir);
  await daemon.run();
  assert.equal((await daemon.client.instances.get('b1')).config['user.role'], 'before: ☃');
});

const damages: Readonly<Record<string, string>> = {
  'of no instance': 'DELETE FROM instances',
  'there is no profile 4711': "UPDATE instances SET profiles = '[4711]'",
  JSON: "UPDATE devices SET options = '[['",
};

test('a store of which a part is missing or wrong is not served', async () => {
  await daemon.client.request('PATCH', '/1.0/instances/b1', { devices: { data: { type: 'disk' } } });
  await daemon.end();
  const store = join(daemon.stateDir, 'devlxd.db');
  const whole = readFileSync(store);
  for (const [sentence, damage] of Object.entries(damages)) {
    const database = new Database(store);
    database.exec('PRAGMA foreign_keys = OFF');
    database.exec(damage);
    database.close();
    await assert.rejects(daemon.run(), new RegExp(`devlxd\\.db is damaged \\(.*${sentence}.*\\); restore a backup`));
    writeFileSync(store, whole);
  }
  await daemon.run();
});

test('a letter that is another one in a name is noticed, where there is an index', async () => {
  await daemon.end();
  const store = join(daemon.stateDir, 'devlxd.db');
  const whole = readFileSync(store);
  const changed = Buffer.from(whole);
  changed.write('e', changed.indexOf('defaultb1'));
  writeFileSync(store, changed);
  await assert.rejects(daemon.run(), /devlxd\.db is damaged \(.*index/);
  writeFileSync(store, whole);
  await daemon.run();
});

test('a backup that is damaged, newer, or none is refused, and nothing is changed', async () => {
  const good = join(kept, 'good.db');
  await daemon.end();
  const stored = readFileSync(join(daemon.stateDir, 'devlxd.db'));
  const cut = join(kept, 'cut.db');
  copyFileSync(good, cut);
  truncateSync(cut, 8192);
  const newer = join(kept, 'newer.db');
  copyFileSync(good, newer);
  const database = new Database(newer);
  database.exec('PRAGMA user_version = 1000');
  database.close();
  const text = join(kept, 'text.db');
  writeFileSync(text, 'hello');
  const empty = join(kept, 'empty.db');
  writeFileSync(empty, '');
  const into = ['--state-dir', daemon.stateDir];
  fails(['restore', cut, ...into], /cut\.db is (damaged|no store)/);
  fails(['restore', newer, ...into], /newer\.db was written by a newer devlxd/);
  fails(['restore', text, ...into], /text\.db is no store of devlxd/);
  fails(['restore', empty, ...into], /empty\.db is not a store of devlxd/);
  fails(['restore', join(kept, 'missing.db'), ...into], /There is no .*missing\.db/);
  assert.ok(readFileSync(join(daemon.stateDir, 'devlxd.db')).equals(stored));
  assert.ok(!existsSync(join(daemon.stateDir, 'devlxd.db.part')));
  fails(['backup', join(kept, 'x.db')], /devlxd/);
  assert.ok(!existsSync(join(kept, 'x.db.part')));
  await daemon.run();
});

test('a restore that is killed at any of its renames leaves a store: the old one, or the new one', async (t) => {
  if (spawnSync('strace', ['-V']).error !== undefined) return t.skip('needs strace: apt-get install strace');
  await daemon.create('newer');
  const command = [process.execPath, join(packageRoot, 'bin/devlxd'), 'restore', join(kept, 'good.db')];
  const found: number[] = [];
  for (let n = 1; found.at(-1) !== 2; n++) {
    await daemon.end('SIGKILL');
    const kill = `inject=rename,renameat,renameat2:signal=KILL:when=${n}`;
    const options = ['-f', '-o', '/dev/null', '-e', 'trace=rename,renameat,renameat2', '-e', kill];
    spawnSync('strace', [...options, ...command, '--state-dir', daemon.stateDir], {
      env: { ...process.env, UV_THREADPOOL_SIZE: '1' }, // since they are counted by thread
    });
    await daemon.run();
    found.push((await daemon.client.instances.list()).length);
  }
  assert.deepEqual(found, [3, 3, 3, 2]);
});

test('a copy that a killed process has left is removed at the start', async () => {
  await daemon.end('SIGKILL');
  const left = join(daemon.stateDir, 'devlxd.db.copy-1-1');
  writeFileSync(left, 'half of it');
  await daemon.run();
  assert.ok(!existsSync(left));
});

test('a pipe, a socket or a directory is not replaced by a backup', () => {
  const pipe = join(kept, 'pipe');
  spawnSync('mkfifo', [pipe]);
  for (const path of [pipe, daemon.socket, kept]) {
    const before = statSync(path).ino;
    const { status, stderr } = commandLine.run(['backup', path]);
    assert.match(stderr, /is no file that a backup could replace/);
    assert.deepEqual([status, statSync(path).ino], [2, before]);
  }
});

test('output that goes to a full disk is a sentence and exit code 1', () => {
  const full = openSync('/dev/full', 'w');
  const { status, stderr } = spawnSync(
    process.execPath,
    [join(packageRoot, 'bin/devlxd'), '--run-dir', daemon.runDir, 'list'],
    {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    },
  );
  closeSync(full);
  assert.match(stderr, /^devlxd: standard output: ENOSPC.*\n$/);
  assert.equal(status, 1);
});
