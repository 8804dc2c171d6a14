// Builds native/ with AddressSanitizer and UndefinedBehaviorSanitizer, then with ThreadSanitizer, and runs it two ways
// each: the parts that need no Node as programs of their own (leaks are reported too), and the whole addon inside Node
// and real daemons under test.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
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

const flags = ['-Inative', '-std=c++20', '-g', '-O1', '-Wall', '-fno-exceptions', '-fno-omit-frame-pointer'];
const memory = '-fsanitize=address,undefined';
const threads = '-fsanitize=thread';
const addonFolders = ['accept', 'addon', 'gate', 'identity', 'os', 'uws'];
const sources = (folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => join(folder, name));
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

mkdirSync(out, { recursive: true });
runPrograms(memory, ['native_test', 'threads_test', 'bench_test']);
runTests(
  buildAddon(memory),
  [
    'identity',
    'rates',
    'robustness',
    'guest-events',
    'odd-requests',
    'images',
    'response-cache',
    'restarts',
    'native-threads',
    'fuzz',
  ],
  {
    LD_PRELOAD: runtime('libasan.so'),
    // V8 leaks by design when it ends; leaks of native/ are the programs' to find.
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
    UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
  },
);

// GCC 12's ThreadSanitizer cannot live with the address randomness of some kernels (vm.mmap_rnd_bits above 28).
const orderly = spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : [];
if (orderly.length === 0 && Number(readFileSync('/proc/sys/vm/mmap_rnd_bits', 'utf8')) > 28) {
  process.stdout.write('SKIPPED ThreadSanitizer: needs "setarch -R", or sysctl vm.mmap_rnd_bits=28\n');
} else {
  runPrograms(threads, ['native_test', 'threads_test'], orderly);
  const environment = {
    LD_PRELOAD: runtime('libtsan.so'),
    // V8 is not built for it, and looks full of races.
    TSAN_OPTIONS: 'ignore_noninstrumented_modules=1:halt_on_error=1',
  };
  // What the daemon does on other threads than the event loop's: it sends images, and receives descriptors.
  const addon = buildAddon(threads);
  runTests(addon, ['native-threads', 'images'], environment, orderly);
  // The service-manager tests need Python, which exits at once with this library preloaded.
  runTests(addon, ['restarts'], environment, orderly, ['--test-name-pattern=^a takeover: ']);
}
rmSync(out, { recursive: true });

function runPrograms(sanitizer, names, prefix = []) {
  for (const name of names) {
    const program = join(out, name);
    run('g++', [...flags, sanitizer, '-o', program, ...programs[name]]);
    const [command, ...args] = [...prefix, program];
    run(command, args);
  }
}

function buildAddon(sanitizer) {
  const addon = join(out, 'devlxd.node');
  const defines = ['-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DNAPI_VERSION=8', '-DNODE_GYP_MODULE_NAME=devlxd'];
  const includes = ['-I', headers, '-I', require('node-addon-api').include_dir.replaceAll('"', '')];
  run('g++', [
    ...flags,
    sanitizer,
    '-shared',
    '-fPIC',
    ...defines,
    ...includes,
    '-o',
    addon,
    ...addonFolders.flatMap((folder) => sources(`native/${folder}`)),
  ]);
  return addon;
}

function runTests(addon, names, environment, prefix = [], more = []) {
  const files = names.map((name) => `dist/test/${name}.test.js`);
  const options = ['--test', '--test-concurrency=1', '--test-timeout=170000', ...more];
  const [command, ...args] = [...prefix, process.execPath, ...options, ...files];
  run(command, args, { DEVLXD_ADDON: addon, ...environment });
}

function runtime(library) {
  return spawnSync('g++', [`-print-file-name=${library}`], { encoding: 'utf8' }).stdout.trim();
}

function run(command, args, environment = {}) {
  process.stdout.write(
    `sanitize: ${command.replace(`${root}/`, '')} ${args.filter((word) => !word.startsWith('-')).length} inputs\n`,
  );
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...environment } });
  if (status !== 0) process.exit(status ?? 1);
}
