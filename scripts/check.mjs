// Format, lint and static analysis, as CI runs them. --fix formats instead of complaining.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const fix = process.argv.includes('--fix');
const native = ['native', 'bench/native'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter((name) => /\.(cc|h)$/.test(name))
    .map((name) => join(folder, name)),
);

await run('biome', process.execPath, [
  'node_modules/@biomejs/biome/bin/biome',
  fix ? 'check' : 'ci',
  ...(fix ? ['--write'] : []),
  '.',
]);
await run('clang-format', 'clang-format-19', fix ? ['-i', ...native] : ['--dry-run', '--Werror', ...native]);
if (!fix) await tidy();

/** Minutes of one core: as many processes as there are cores, each with its part of the files. */
async function tidy() {
  const headers = join(dirname(process.execPath), '../include/node');
  const addonApi = 'node_modules/node-addon-api';
  // Units only include what is looked at by itself.
  const sources = native.filter((name) => name.endsWith('.cc') && !name.includes('/units/'));
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
  const lanes = Array.from({ length: availableParallelism() }, (_, lane) =>
    sources.filter((_, index) => index % availableParallelism() === lane),
  );
  const lines = lanes.map((files) => ['--quiet', ...files, '--', ...flags, '-DNODE_GYP_MODULE_NAME=devlxd']);
  await run('clang-tidy', 'clang-tidy-19', ...lines);
}

/** lines: of arguments; the command runs with all of them at once */
async function run(name, command, ...lines) {
  const results = await Promise.all(lines.map((args) => resultOf(command, args)));
  if (results.includes('missing')) {
    process.stdout.write(`SKIPPED ${name}: ${command} is not installed (apt-get install ${command})\n`);
    return;
  }
  if (results.some((status) => status !== 0)) {
    process.stderr.write(`${name} found something; "npm run check -- --fix" mends what is only format.\n`);
    process.exit(1);
  }
  process.stdout.write(`${name}: ok\n`);
}

/** Its exit code, or 'missing'. */
async function resultOf(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  const [status] = await once(child, 'close').catch((error) => {
    if (error.code === 'ENOENT') return ['missing'];
    throw error;
  });
  return status;
}
