// Format, lint and static analysis, as CI runs them. --fix formats instead of complaining.
import { readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { run as runChild } from './children.mjs';
import { inParallel } from './in-parallel.mjs';

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

/** Minutes of one core: a process for each file, the longest first, as many at once as there are cores. */
async function tidy() {
  const headers = join(dirname(process.execPath), '../include/node');
  const addonApi = 'node_modules/node-addon-api';
  const size = (source) => statSync(join(root, source)).size;
  // Units only include what is looked at by itself.
  const isSource = (name) => name.endsWith('.cc') && !name.includes('/units/');
  const sources = native.filter(isSource).sort((a, b) => size(b) - size(a));
  const flags = [
    ...['-std=c++20', '-fno-exceptions', '-Inative', '-isystem', headers, '-isystem', addonApi],
    ...['-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DNODE_GYP_MODULE_NAME=devlxd'],
    // What the compiler finds as it parses costs next to nothing, where a check of clang-tidy walks all headers.
    ...['-Wall', '-Wextra', '-Wreserved-identifier'],
  ];
  const lines = sources.map((source) => ['--quiet', source, '--', ...flags, ...depthFor(source)]);
  await run('clang-tidy', 'clang-tidy-19', ...lines);
}

/**
 * How far the analyzer follows a function. Its own limit is spent in templates of the standard library: a quarter of it
 * finds the same planted faults. What calls Node goes through such templates in every line: there it finds more faults,
 * and in a sixth of the time, when it does not enter what is long (docs/native-lifecycle.md).
 */
function depthFor(source) {
  const depth = source.startsWith('native/addon/') ? 'mode=shallow' : 'max-nodes=50000';
  return ['-Xclang', '-analyzer-config', '-Xclang', depth];
}

/** lines: of arguments; the command runs with each of them */
async function run(name, command, ...lines) {
  const results = await inParallel(lines, (args) => resultOf(command, args));
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

/** Its exit code, or 'missing'. What it says is of interest when it fails: clang-tidy counts what it suppresses. */
async function resultOf(command, args) {
  const { status, stdout, stderr, error } = await runChild(command, args, { cwd: root });
  if (error?.code === 'ENOENT') return 'missing';
  if (status !== 0) process.stdout.write(stdout + stderr + (error?.message ?? ''));
  return status;
}
