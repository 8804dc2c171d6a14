// Feeds what native/ reads from guests, the kernel, runtimes and other processes with libFuzzer's inputs, under
// AddressSanitizer and UndefinedBehaviorSanitizer. Each target is native/fuzz/TARGET.cc; its seeds lie beside it.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { start } from './children.mjs';
import { inParallel } from './in-parallel.mjs';

const root = resolve(import.meta.dirname, '..');
const work = 'build-fuzz';
// The parts of native/ that each target runs.
const targets = {
  hook: ['hook/answer', 'hook/json', 'hook/request'],
  procfs: ['identity/procfs'],
  request_head: ['gate/request_body', 'gate/request_head'],
  response_cache: ['gate/response_cache'],
  unix_socket: ['os/unix_socket'],
};
const compilers = ['clang++-19', 'clang++'];
const flags = [
  '-Inative',
  '-std=c++20',
  '-g',
  '-O1',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-D_GLIBCXX_ASSERTIONS',
  '-fno-omit-frame-pointer',
  '-fno-sanitize-recover=undefined',
  '-fsanitize=fuzzer,address,undefined',
];
const help = `Fuzzes what native/ parses: npm run fuzz:native -- [options] [TARGET...]

  --seconds N    for each target (10)
  --replay FILE  runs the one TARGET with one input instead
  --required     fails when there is no compiler for it, instead of skipping
  --help

Targets: ${Object.keys(targets).join(', ')}
What is found is kept in ${work}/TARGET/findings, and inputs that reach further in ${work}/TARGET/corpus, for the next run.

Examples:
  npm run fuzz:native
  npm run fuzz:native -- --seconds 300 request_head
  npm run fuzz:native -- --replay ${work}/procfs/findings/crash-0123 procfs
`;

const { values, names } = options();
if (values.help) {
  process.stdout.write(help);
} else {
  process.chdir(root);
  const compiler = compilerFor();
  if (values.replay !== undefined) process.exit(await replay(compiler, names[0], values.replay));
  const results = await inParallel(names, (name) => fuzz(compiler, name));
  process.exit(results.every((passed) => passed) ? 0 : 1);
}

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '10' },
      replay: { type: 'string' },
      required: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = positionals.find((name) => !(name in targets));
  if (unknown !== undefined) fail(`there is no target "${unknown}", only ${Object.keys(targets).join(', ')}`);
  if (!/^[1-9]\d*$/.test(values.seconds)) fail('--seconds takes a whole number above 0');
  if (values.replay !== undefined && positionals.length !== 1) fail('--replay wants one TARGET');
  return { values, names: positionals.length > 0 ? positionals : Object.keys(targets) };
}

// libFuzzer comes in a package of its own, so that the compiler alone is not enough.
function compilerFor() {
  const empty = 'extern "C" int LLVMFuzzerTestOneInput(const char *, unsigned long) { return 0; }';
  const found = compilers.find((name) => {
    const args = ['-fsanitize=fuzzer,address,undefined', '-x', 'c++', '-', '-o', '/dev/null'];
    return spawnSync(name, args, { input: empty }).status === 0;
  });
  if (found !== undefined) return found;
  const reason = 'no clang with libFuzzer (apt-get install clang-19 libclang-rt-19-dev)';
  if (values.required) fail(reason);
  process.stdout.write(`SKIPPED fuzz:native: ${reason}\n`);
  process.exit(0);
}

async function build(compiler, name) {
  for (const folder of ['corpus', 'findings']) mkdirSync(join(work, name, folder), { recursive: true });
  const program = join(work, name, 'fuzz');
  const sources = [`fuzz/${name}`, ...targets[name]].map((source) => `native/${source}.cc`);
  const code = await run(compiler, [...flags, '-o', program, ...sources], 'inherit');
  if (code !== 0) fail(`${name} does not compile`);
  return program;
}

async function fuzz(compiler, name) {
  const program = await build(compiler, name);
  const dictionary = `native/fuzz/${name}.dict`;
  const log = join(work, name, 'log');
  const args = [
    `-max_total_time=${values.seconds}`,
    '-timeout=10',
    '-print_final_stats=1',
    `-artifact_prefix=${work}/${name}/findings/`,
    ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
    `${work}/${name}/corpus`,
    `native/fuzz/corpus/${name}`,
  ];
  const before = new Set(readdirSync(join(work, name, 'findings')));
  const output = openSync(log, 'w');
  const code = await run(program, args, output);
  closeSync(output);
  const found = readdirSync(join(work, name, 'findings')).filter((file) => !before.has(file));
  report(name, code, readFileSync(log, 'latin1'), found);
  return code === 0;
}

function report(name, code, log, found) {
  const [, inputs, coverage] = /#(\d+)\s+DONE\s+cov: (\d+)/.exec(log) ?? [];
  if (code === 0) {
    const rate = /average_exec_per_sec:\s+(\d+)/.exec(log)?.[1];
    process.stdout.write(`fuzz:native: ${name}: ok, ${inputs} inputs, ${rate}/s, ${coverage} edges\n`);
    return;
  }
  process.stdout.write(`${log.split('\n').slice(-40).join('\n')}\nfuzz:native: ${name}: failed (${code}); see above\n`);
  for (const file of found) {
    process.stdout.write(`  npm run fuzz:native -- --replay ${work}/${name}/findings/${file} ${name}\n`);
  }
}

async function replay(compiler, name, file) {
  if (!existsSync(file)) fail(`there is no ${file}`);
  return run(await build(compiler, name), [file], 'inherit');
}

// The exit code; 1 for a program that was ended by a signal.
async function run(command, args, output) {
  const symbolizer = '/usr/lib/llvm-19/bin/llvm-symbolizer';
  const env = existsSync(symbolizer) ? { ...process.env, ASAN_SYMBOLIZER_PATH: symbolizer } : process.env;
  const { status } = await start(command, args, { stdio: ['ignore', output, output], env }).ended;
  return status ?? 1;
}

function fail(sentence) {
  process.stderr.write(`fuzz:native: ${sentence}\n`);
  process.exit(1);
}
