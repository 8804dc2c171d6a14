import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { completionScripts } from '../src/cli/completion-scripts.js';
import { completions, files } from '../src/cli/completions.js';
import { manualPage } from '../src/cli/man.js';
import { programFor } from '../src/cli/program.js';
import { binary, CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';

let daemon: TestDaemon;
/** where a shell finds devlxd, and the scripts */
let directory: string;
const commandLine = new CommandLine(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  directory = mkdtempSync(join(tmpdir(), 'devlxd-completion-'));
  symlinkSync(binary, join(directory, 'devlxd'));
  for (const shell of Object.keys(completionScripts))
    writeFileSync(join(directory, `devlxd.${shell}`), commandLine.does('completion', shell));
  for (const name of ['web1', 'web2', 'db1']) await daemon.create(name);
});

after(async () => {
  await daemon.remove();
  rmSync(directory, { recursive: true });
});

function candidates(...words: string[]): string[] {
  const lines = commandLine
    .does('complete', '--', ...words)
    .trimEnd()
    .split('\n');
  return lines.map((line) => line.split('\t')[0] ?? '').filter((word) => word !== '');
}

test('by the command: names that the daemon knows, files, and no names without a daemon', () => {
  assert.deepEqual(candidates('show', 'we'), ['web1', 'web2']);
  assert.deepEqual(candidates('--run-dir', daemon.runDir, 'delete', 'd'), ['db1']);
  assert.deepEqual(candidates('--run-dir', '/none', 'delete', 'd'), []);
  assert.deepEqual(candidates('apply', '-f', ''), [':files']);
  assert.ok(!candidates('').includes('complete'));
});

test('what may stand where: commands, options, their values, names, keys, files', async () => {
  const names = { instance: ['web1', 'web2', 'db1'], profile: ['default'], image: [] };
  const given = async (...words: string[]) => completions(await programFor([]), words, async (kind) => names[kind]);
  const found = async (...words: string[]): Promise<string[]> => {
    const candidates = await given(...words);
    assert.ok(candidates !== files, 'names of files');
    return candidates.map(({ word }) => word);
  };
  assert.deepEqual(await found('pro'), ['profile']);
  assert.deepEqual(await found('profile', ''), ['list', 'show', 'create', 'set', 'unset', 'assign', 'delete']);
  assert.deepEqual(await found('show', 'we'), ['web1', 'web2']);
  assert.deepEqual(await found('set', 'web1', 'security.devlxd.'), [
    'security.devlxd.images=',
    'security.devlxd.nested=',
    'security.devlxd.nonroot=',
  ]);
  assert.deepEqual(await found('unset', 'web1', 'user.a', 'user'), ['user.']);
  assert.deepEqual(await found('profile', 'assign', 'web1', 'default', ''), ['default']);
  assert.deepEqual(await found('list', '--format', ''), ['table', 'json', 'yaml', 'csv']);
  assert.deepEqual(await found('list', '--fo'), ['--format']);
  assert.deepEqual(await found('monitor', '--type', 'li'), ['lifecycle']);
  assert.deepEqual(await found('monitor', '--instance', 'web1', 'd'), ['db1']);
  assert.deepEqual(await found('completion', ''), ['bash', 'zsh', 'fish']);
  assert.deepEqual(await found('hook', ''), ['lxc', 'oci', 'nspawn', 'libvirt', 'vm']);
  assert.equal(await given('image', 'import', ''), files);
  assert.deepEqual(await found('create', ''), []);
  assert.ok((await found('')).includes('serve'));
});

function runs(shell: string, ...words: string[]) {
  const env = { ...commandLine.environment(), PATH: `${directory}:${process.env['PATH']}`, TERM: 'dumb' };
  return spawnSync(shell, words, { encoding: 'utf8', env, cwd: directory, timeout: 30_000 });
}

for (const shell of Object.keys(completionScripts)) {
  const skip = shellIsMissing(shell);
  test(`${shell} takes its script without a word`, { skip }, () => {
    const { status, stdout, stderr } = runs(shell, '-n', `devlxd.${shell}`);
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
  });
}

function shellIsMissing(shell: string): string | false {
  const { status } = spawnSync(shell, ['--version'], { stdio: 'ignore' });
  return status === 0 ? false : `needs ${shell}: apt-get install ${shell}`;
}

test('bash completes', { skip: shellIsMissing('bash') }, () => {
  const script = `. devlxd.bash
  complete_with() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _devlxd; echo "\${COMPREPLY[*]}"; }
  complete_with devlxd show we
  complete_with devlxd profile a
  complete -p devlxd`;
  const { stdout, stderr } = runs('bash', '--norc', '-c', script);
  assert.deepEqual([stdout, stderr], ['web1 web2\nassign\ncomplete -F _devlxd devlxd\n', '']);
});

test('zsh completes', { skip: shellIsMissing('zsh') }, () => {
  const script = `autoload -Uz compinit && compinit -D -u
  . ./devlxd.zsh
  _describe() { print -rl -- "\${(@P)2}" }
  words=(devlxd show we) CURRENT=3
  _devlxd
  words=(devlxd profile as) CURRENT=3
  _devlxd
  print -r -- \${_comps[devlxd]}`;
  const { stdout, stderr } = runs('zsh', '-f', '-c', script);
  assert.equal(stderr, '');
  assert.match(stdout, /^web1:\nweb2:\nassign:say which profiles .*\n_devlxd\n$/);
});

test('fish completes', { skip: shellIsMissing('fish') }, () => {
  const script = "source devlxd.fish; complete -C 'devlxd show we'; complete -C 'devlxd profile as'";
  const { stdout, stderr } = runs('fish', '--no-config', '-c', script);
  assert.equal(stderr, '');
  assert.match(stdout, /^web1\nweb2\nassign\tsay which profiles /);
});

test('the manual page has every command and renders without a warning', async (t) => {
  const page = manualPage(await programFor([]));
  assert.equal(commandLine.does('man'), `${page}\n`);
  for (const part of [
    'devlxd serve',
    'devlxd profile assign INSTANCE [PROFILE...]',
    'devlxd image import FILE [ROOTFS]',
  ])
    assert.ok(page.includes(`.SS ${part}`), part);
  assert.ok(page.includes('\\-\\-limit\\-connections'), 'hyphens that can be copied');
  const file = join(directory, 'devlxd.1');
  writeFileSync(file, page);
  const groff = spawnSync('groff', ['-ww', '-man', '-Tascii', file], { encoding: 'utf8' });
  if (groff.error) return t.skip('needs groff: apt-get install groff-base');
  assert.deepEqual([groff.status, groff.stderr], [0, '']);
  // Bold letters are struck twice.
  const plain = groff.stdout.replaceAll(/.[\b]/g, '');
  for (const text of [
    '--limit-connections-per-instance <count>',
    "devlxd list --filter 'status=running and",
    '~/.config/fish',
  ])
    assert.ok(plain.includes(text), text);
  return undefined;
});
