// Format, lint and static analysis, as CI runs them. --fix formats instead of complaining.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const fix = process.argv.includes('--fix');
const native = ['native', 'bench/native'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter((name) => /\.(cc|h)$/.test(name))
    .map((name) => join(folder, name)),
);

run('biome', process.execPath, [
  'node_modules/@biomejs/biome/bin/biome',
  fix ? 'check' : 'ci',
  ...(fix ? ['--write'] : []),
  '.',
]);
run('clang-format', 'clang-format-19', fix ? ['-i', ...native] : ['--dry-run', '--Werror', ...native]);
if (!fix) tidy();

function tidy() {
  const headers = join(dirname(process.execPath), '../include/node');
  const addonApi = 'node_modules/node-addon-api';
  const sources = native.filter((name) => name.endsWith('.cc'));
  const flags = [
    '-std=c++20',
    '-fno-exceptions',
    '-Inative',
    '-isystem',
    headers,
    '-isystem',
    addonApi,
    '-DNAPI_DISABLE_CPP_EXCEPTIONS',
  ];
  run('clang-tidy', 'clang-tidy-19', ['--quiet', ...sources, '--', ...flags, '-DNODE_GYP_MODULE_NAME=devlxd']);
}

function run(name, command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error?.code === 'ENOENT') {
    process.stdout.write(`SKIPPED ${name}: ${command} is not installed (apt-get install ${command})\n`);
    return;
  }
  if (status !== 0) {
    process.stderr.write(`${name} found something; "npm run check -- --fix" mends what is only format.\n`);
    process.exit(1);
  }
  process.stdout.write(`${name}: ok\n`);
}
