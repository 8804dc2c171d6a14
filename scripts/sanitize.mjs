// Builds native/ with AddressSanitizer and UndefinedBehaviorSanitizer and runs it two ways: the parts that need no
// Node as a program of their own (leaks are reported too), and the whole addon inside real daemons under test.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const out = join(root, 'build-sanitized');
const require = createRequire(import.meta.url);
const headers = join(dirname(process.execPath), '../include/node');
if (!existsSync(join(headers, 'node_api.h'))) {
  process.stdout.write(`SKIPPED sanitizers: there are no Node headers in ${headers}\n`);
  process.exit(0);
}

const flags = [
  '-std=c++20',
  '-g',
  '-O1',
  '-Wall',
  '-fno-exceptions',
  '-fno-omit-frame-pointer',
  '-fsanitize=address,undefined',
];
const sources = (folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => join(folder, name));

mkdirSync(out, { recursive: true });
const program = join(out, 'native_test');
const parts = [
  'answers',
  'handover',
  'hook/answer',
  'instances',
  'known_processes',
  'namespaces',
  'peer',
  'process',
  'request_head',
  'send_file',
].map((name) => `native/${name}.cc`);
run('g++', [
  ...flags,
  '-o',
  program,
  'native/test/native_test.cc',
  ...parts,
  'native/guests/spawn.cc',
  'native/guests/message.cc',
]);
run(program, []);

const benchmarks = join(out, 'bench_test');
const readers = ['answer_parser', 'histogram', 'known_answer', 'websocket'].map((name) => `bench/native/${name}.cc`);
run('g++', [...flags, '-o', benchmarks, 'bench/native/test/bench_test.cc', ...readers]);
run(benchmarks, []);

const addon = join(out, 'devlxd.node');
const defines = ['-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DNAPI_VERSION=8', '-DNODE_GYP_MODULE_NAME=devlxd'];
const includes = ['-I', headers, '-I', require('node-addon-api').include_dir.replaceAll('"', '')];
run('g++', [...flags, '-shared', '-fPIC', ...defines, ...includes, '-o', addon, ...sources('native')]);

const library = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).stdout.trim();
const tests = [
  'identity',
  'rates',
  'robustness',
  'guest-events',
  'odd-requests',
  'images',
  'kept-answers',
  'restarts',
  'fuzz',
].map((name) => `dist/test/${name}.test.js`);
run(process.execPath, ['--test', '--test-concurrency=1', '--test-timeout=170000', ...tests], {
  DEVLXD_ADDON: addon,
  LD_PRELOAD: library,
  // V8 leaks by design when it ends; leaks of native/ are the program's to find.
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
  UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
});
rmSync(out, { recursive: true });

function run(command, args, environment = {}) {
  process.stdout.write(
    `sanitize: ${command.replace(`${root}/`, '')} ${args.filter((word) => !word.startsWith('-')).length} inputs\n`,
  );
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } });
  if (status !== 0) process.exit(status ?? 1);
}
