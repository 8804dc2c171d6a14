// Builds native/ with AddressSanitizer and UndefinedBehaviorSanitizer, and with ThreadSanitizer, and runs each two ways:
// the parts that need no Node as programs of their own (leaks are reported too), and the whole addon inside Node and
// real daemons under test. Each source is compiled once for each; the tests of the first run while the second compiles.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { run as runChild } from './children.mjs';
import { inParallel } from './in-parallel.mjs';

const root = resolve(import.meta.dirname, '..');
const out = join(root, 'build-sanitized');
const require = createRequire(import.meta.url);
const headers = join(dirname(process.execPath), '../include/node');
if (!existsSync(join(headers, 'node_api.h'))) {
  process.stdout.write(`SKIPPED sanitizers: there are no Node headers in ${headers}\n`);
  process.exit(0);
}

const flags = [
  '-Inative',
  '-isystem',
  headers,
  '-isystem',
  require('node-addon-api').include_dir.replaceAll('"', ''),
  ...['-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DNAPI_VERSION=8', '-DNODE_GYP_MODULE_NAME=devlxd'],
  ...['-std=c++20', '-Wall', '-fPIC', '-fno-exceptions', '-fno-omit-frame-pointer'],
  // Half of the compile time of -g -O1: a report says functions and lines, and inlining shows the sanitizers nothing.
  ...['-g1', '-Og'],
];
// Undefined behaviour ends a program as what the others find does, instead of a line that nobody reads.
const memory = { name: 'memory', flags: ['-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'] };
const threads = { name: 'threads', flags: ['-fsanitize=thread'] };
const addon = ['accept', 'addon', 'gate', 'identity', 'os', 'uws'].flatMap((folder) =>
  readdirSync(join(root, 'native', folder))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => `native/${folder}/${name}`),
);
const programs = {
  native_test: [
    ...['native', 'gate', 'hook', 'identity', 'os', 'procfs'].map((name) => `native/test/${name}_test.cc`),
    ...[
      'gate/rate_limiter',
      'gate/request_body',
      'gate/request_head',
      'gate/response_cache',
      'hook/answer',
      'hook/json',
      'identity/accept_clock',
      'identity/caller',
      'identity/instance_table',
      'identity/namespace_cache',
      'identity/namespace_owner',
      'identity/pid_namespace',
      'identity/procfs',
      'os/send_file',
      'os/unix_socket',
      'os/vsock',
      'tools/guests/message',
      'tools/guests/spawn',
    ].map((name) => `native/${name}.cc`),
  ],
  threads_test: ['native/test/threads_test.cc', 'native/os/unix_socket.cc', 'native/os/send_file.cc'],
  bench_test: [
    'bench/native/test/bench_test.cc',
    ...['answer_parser', 'histogram', 'known_answer', 'websocket'].map((name) => `bench/native/${name}.cc`),
  ],
};

const tests = [
  'identity',
  'rates',
  'robustness',
  'guest-events',
  'odd-requests',
  'images',
  'image-imports',
  'response-cache',
  'restarts',
  'native-threads',
  'fuzz',
];

let failed = false;
await compile(memory, ['native_test', 'threads_test', 'bench_test']);
const results = await Promise.allSettled([testMemory(), testThreads()]);
for (const { reason } of results.filter(({ status }) => status === 'rejected')) process.stderr.write(`${reason}\n`);
if (failed || results.some(({ status }) => status === 'rejected')) process.exit(1);
rmSync(out, { recursive: true });

async function testMemory() {
  await runPrograms(memory, ['native_test', 'threads_test', 'bench_test']);
  await runTests(memory, tests, {
    LD_PRELOAD: runtime('libasan.so'),
    // V8 leaks by design when it ends; leaks of native/ are the programs' to find.
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  });
}

async function testThreads() {
  // GCC 12's ThreadSanitizer cannot live with the address randomness of some kernels (vm.mmap_rnd_bits above 28).
  const orderly = spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : [];
  if (orderly.length === 0 && Number(readFileSync('/proc/sys/vm/mmap_rnd_bits', 'utf8')) > 28) {
    process.stdout.write('SKIPPED ThreadSanitizer: needs "setarch -R", or sysctl vm.mmap_rnd_bits=28\n');
    return;
  }
  await compile(threads, ['native_test', 'threads_test']);
  await runPrograms(threads, ['native_test', 'threads_test'], orderly);
  const environment = {
    LD_PRELOAD: runtime('libtsan.so'),
    // V8 is not built for it, and looks full of races.
    TSAN_OPTIONS: 'ignore_noninstrumented_modules=1:halt_on_error=1',
  };
  // What the daemon does on other threads than the event loop's: it sends images, and receives descriptors.
  await runTests(threads, ['native-threads', 'images'], environment, orderly);
  // The service-manager tests need Python, which exits at once with this library preloaded.
  await runTests(threads, ['restarts'], environment, orderly, ['--test-name-pattern=^a takeover: ']);
}

/** All that these programs and the addon are linked from, the longest sources first. */
async function compile(sanitizer, names) {
  const sources = [...new Set([...names.flatMap((name) => programs[name]), ...addon])];
  const size = (source) => statSync(join(root, source)).size;
  sources.sort((a, b) => size(b) - size(a));
  process.stdout.write(`sanitize: compile ${sources.length} sources for ${sanitizer.name}\n`);
  await inParallel(sources, async (source) => {
    const object = objectOf(sanitizer, source);
    mkdirSync(dirname(object), { recursive: true });
    await build([...flags, ...sanitizer.flags, '-c', '-o', object, source]);
  });
  for (const name of names) await link(sanitizer, name, programs[name]);
  await link(sanitizer, 'devlxd.node', addon, ['-shared']);
}

function objectOf(sanitizer, source) {
  return join(out, sanitizer.name, source.replace(/\.cc$/, '.o'));
}

function link(sanitizer, name, sources, more = []) {
  const objects = sources.map((source) => objectOf(sanitizer, source));
  return build([...sanitizer.flags, ...more, '-o', join(out, sanitizer.name, name), ...objects]);
}

async function build(args) {
  const { status, output } = await run(['g++', ...args]);
  process.stdout.write(output);
  if (status !== 0) throw new Error(`sanitize: g++ ${args.join(' ')} failed`);
}

async function runPrograms(sanitizer, names, prefix = []) {
  for (const name of names)
    report(`${name} for ${sanitizer.name}`, await run([...prefix, join(out, sanitizer.name, name)]));
}

async function runTests(sanitizer, names, environment, prefix = [], more = []) {
  const files = names.map((name) => `dist/test/${name}.test.js`);
  const lanes = `--test-concurrency=${availableParallelism()}`;
  const words = [...prefix, process.execPath, '--test', lanes, '--test-timeout=170000', ...more, ...files];
  const addon = join(out, sanitizer.name, 'devlxd.node');
  report(`${names.join(', ')} for ${sanitizer.name}`, await run(words, { DEVLXD_ADDON: addon, ...environment }));
}

function runtime(library) {
  return spawnSync('g++', [`-print-file-name=${library}`], { encoding: 'utf8' }).stdout.trim();
}

/** Whole, since others report meanwhile. */
function report(what, { status, output }) {
  process.stdout.write(`sanitize: ${what}: ${status === 0 ? 'ok' : 'FAILED'}\n${output}`);
  if (status !== 0) failed = true;
}

/** status and output, of both streams */
async function run([command, ...args], environment = {}) {
  const how = await runChild(command, args, { cwd: root, env: { ...process.env, ...environment }, minutes: 60 });
  if (how.error !== undefined) throw how.error;
  return { status: how.status, output: how.stdout + how.stderr };
}
