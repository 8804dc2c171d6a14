// The wrapper for docker and containerd, with a program in the place of runc that tells how it was called.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../src/package-root.js';

const program = join(packageRoot, 'build/Release/devlxd-runc');
const hook = { path: join(packageRoot, 'build/Release/devlxd-hook'), args: ['devlxd-hook', 'oci'] };
const added = JSON.stringify(hook);

let directory: string;
let count = 0;

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'devlxd-runc-'));
  writeFileSync(join(directory, 'runc'), '#!/bin/sh\nfor word; do echo "$word"; done\n[ "$1" != fail ] || exit 42\n');
  chmodSync(join(directory, 'runc'), 0o755);
});

after(() => rmSync(directory, { recursive: true }));

function bundle(text = '{"ociVersion":"1.0.2"}'): { path: string; file: string; text: () => string } {
  const path = join(directory, `bundle ${++count}`);
  const file = join(path, 'config.json');
  mkdirSync(path);
  writeFileSync(file, text);
  return { path, file, text: () => readFileSync(file, 'latin1') };
}

function run(words: readonly string[], cwd = directory): { status: number | null; stdout: string; stderr: string } {
  const env = { PATH: `${directory}:/usr/bin:/bin` };
  return spawnSync(program, words, { env, cwd, encoding: 'utf8' });
}

test('the hooks are added whichever way the bundle is named', () => {
  const here = bundle();
  const ways: ((path: string) => string[])[] = [
    (path) => ['create', '--bundle', path, 'id'],
    (path) => ['create', `--bundle=${path}`, 'id'],
    (path) => ['create', '-bundle', path, 'id'],
    (path) => ['create', `-bundle=${path}`, 'id'],
    (path) => ['create', '-b', path, 'id'],
    (path) => ['create', `-b=${path}`, 'id'],
    (path) => ['run', '-d', '--pid-file', '--bundle', '--bundle', path, 'id'],
    (path) => ['run', 'id', '--bundle', path],
    (path) => ['run', '--bundle', '/nonexistent', '--bundle', path, 'id'],
    (path) => [
      '--root',
      'create',
      '--log=/l',
      '--log-format',
      'json',
      '--systemd-cgroup',
      'create',
      '--bundle',
      path,
      'id',
    ],
    (path) => ['-root', 'run', '--debug', 'create', '--no-pivot', '--preserve-fds', '3', '--bundle', path, 'id'],
    (path) => ['create', '--console-socket', '/s', '--pid-file=/p', '--bundle', `${path}/`, 'id'],
  ];
  for (const way of ways) {
    const { path, text } = bundle();
    const words = way(path);
    const { status, stdout, stderr } = run(words);
    assert.deepEqual([status, stdout, stderr], [0, `${words.join('\n')}\n`, '']);
    assert.deepEqual(JSON.parse(text()).hooks, { createRuntime: [hook], poststop: [hook] }, words.join(' '));
  }
  assert.equal(run(['create', 'id'], here.path).status, 0);
  assert.deepEqual(JSON.parse(here.text()).hooks.poststop, [hook]);
});

test('other commands, and what no bundle is named for, change nothing', () => {
  const ways: ((path: string) => string[])[] = [
    (path) => ['start', '--bundle', path],
    (path) => ['delete', '--force', path],
    (path) => ['exec', 'id', 'create', '--bundle', path],
    (path) => ['--root', 'create', 'state', '--bundle', path],
    (path) => ['spec', '--bundle', path],
    (path) => ['create', '--bundle', '/nonexistent', '--', '--bundle', path],
    (path) => ['restore', '--bundle', path, 'id'],
    () => ['--version'],
    () => [],
  ];
  for (const way of ways) {
    const { path, text } = bundle();
    const words = way(path);
    const { status, stdout } = run(words);
    assert.deepEqual([status, stdout], [0, words.map((word) => `${word}\n`).join('')]);
    assert.equal(text(), '{"ociVersion":"1.0.2"}', words.join(' '));
  }
});

test('every byte that is not added stays', () => {
  const other = '{"path":"/o","args":["{\\"}]"]}';
  const cases: [string, string][] = [
    ['{}', `{"hooks":{"createRuntime":[${added}],"poststop":[${added}]}}`],
    [
      ' { "a" : 1.0e5 ,\n"b":"\\u00e9 é \xff\\""}\n\n',
      ` { "a" : 1.0e5 ,\n"b":"\\u00e9 é \xff\\"","hooks":{"createRuntime":[${added}],"poststop":[${added}]}}\n\n`,
    ],
    ['{"hooks":null,"z":[]}', `{"hooks":{"createRuntime":[${added}],"poststop":[${added}]},"z":[]}`],
    ['{"hooks": {} ,"z":[]}', `{"hooks": {"createRuntime":[${added}],"poststop":[${added}]} ,"z":[]}`],
    [
      '{"hooks":{"poststop":[ ],"createRuntime":null}}',
      `{"hooks":{"poststop":[${added} ],"createRuntime":[${added}]}}`,
    ],
    [
      `{"hooks":{"prestart":[${other}],\n"poststop":[${other} ]}}`,
      `{"hooks":{"prestart":[${other}],\n"poststop":[${other},${added} ],"createRuntime":[${added}]}}`,
    ],
    [
      '{"annotations":{"hooks":"{\\"hooks\\":{}}"}}',
      `{"annotations":{"hooks":"{\\"hooks\\":{}}"},"hooks":{"createRuntime":[${added}],"poststop":[${added}]}}`,
    ],
  ];
  for (const [given, expected] of cases) {
    const { path, file, text } = bundle();
    writeFileSync(file, given, 'latin1');
    run(['create', '-b', path, 'id']);
    assert.equal(text(), expected);
    run(['create', '-b', path, 'id']); // once more, as at a restart
    assert.equal(text(), expected);
  }
});

test('what is no configuration is left to the runtime, which runs', () => {
  const nonsense = [
    '',
    '[',
    '{',
    '{"a"',
    '{"a":}',
    '{"hooks":[]}',
    '{"hooks":{"poststop":{}}}',
    '{"a":"',
    'null',
    '{"a":1',
  ];
  for (const given of [...nonsense, '['.repeat(100_000), `{"a":${'['.repeat(100_000)}`, '{"a":1}x'.slice(0, 5)]) {
    const { path, text } = bundle(given);
    const { status, stderr } = run(['create', '-b', path, 'id']);
    assert.deepEqual([status, stderr, text()], [0, '', given]);
  }
});

test('the file keeps its owner and mode, a link stays one, and nothing is left beside it', () => {
  const { path, file, text } = bundle();
  chmodSync(file, 0o640);
  const linked = join(directory, 'linked');
  mkdirSync(linked);
  symlinkSync(file, join(linked, 'config.json'));
  run(['create', '-b', linked, 'id']);
  assert.match(text(), /devlxd-hook/);
  assert.equal(statSync(file).mode & 0o7777, 0o640);
  assert.deepEqual([readdirSync(path), readdirSync(linked)], [['config.json'], ['config.json']]);
});

test("the runtime's exit code and signals are its own; its words pass, and ours do not", async () => {
  assert.equal(run(['fail']).status, 42);
  const { path, text } = bundle();
  const own = ['--devlxd-run-dir=/r d', '--devlxd-on-error=fail', `--devlxd-runtime=${join(directory, 'runc')}`];
  assert.equal(run([...own, '--debug', 'create', '-b', path, 'id']).stdout, `--debug\ncreate\n-b\n${path}\nid\n`);
  const args = ['devlxd-hook', '--run-dir', '/r d', '--on-error', 'fail', 'oci'];
  assert.deepEqual(JSON.parse(text()).hooks.poststop, [{ ...hook, args }]);
  const missing = run(['--devlxd-runtime=/nonexistent/runc', 'state', 'id']);
  assert.equal(missing.status, 127);
  assert.match(missing.stderr, /cannot run \/nonexistent\/runc: No such file/);
  const slow = spawn(program, ['--devlxd-runtime=/bin/sleep', '1000'], { stdio: 'ignore' });
  await once(slow, 'spawn');
  slow.kill('SIGTERM');
  assert.deepEqual(await once(slow, 'exit'), [null, 'SIGTERM']);
});

test('it may have the name of the runtime', () => {
  const first = join(directory, 'first');
  mkdirSync(first);
  symlinkSync(program, join(first, 'runc'));
  const env = { PATH: `${first}:${directory}:/usr/bin:/bin` };
  assert.equal(spawnSync(join(first, 'runc'), ['state', 'id'], { env, encoding: 'utf8' }).stdout, 'state\nid\n');
});
