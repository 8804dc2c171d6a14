// All the set-up there is: dependencies, the addon and the tools in C++, TypeScript. Each step runs
// only when what it is made from has changed, so a second run costs a fraction of a second.
// No dependency but Node: it runs before there is any.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const force = process.argv.includes('--force');

const steps = [
  {
    name: 'dependencies',
    why: 'npm ci; better-sqlite3 is compiled, which takes a minute',
    inputs: ['package-lock.json'],
    stamp: 'node_modules/.devlxd-stamp',
    commands: [['npm', 'ci', '--no-audit', '--no-fund']],
  },
  {
    name: 'addon',
    why: 'node-gyp, native/ and the tools of bench/ and test/',
    inputs: ['binding.gyp', 'package-lock.json', 'native', 'bench/native'],
    stamp: 'build/.devlxd-stamp',
    commands: [[process.execPath, 'node_modules/node-gyp/bin/node-gyp.js', 'configure', 'build', '-j', '2']],
  },
  {
    name: 'TypeScript',
    why: 'tsc',
    inputs: ['tsconfig.json', 'package-lock.json', 'src', 'test', 'bench'],
    stamp: 'dist/.devlxd-stamp',
    commands: [[process.execPath, 'node_modules/typescript/bin/tsc', '-p', '.']],
    before: () => removeOrphans(join(root, 'dist')),
  },
];

requirements();
for (const step of steps) run(step);

function requirements() {
  if (process.platform !== 'linux') fail('devlxd needs Linux: it asks the kernel for pid namespaces.');
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 17))
    fail(`Node ${process.versions.node} is too old; install Node 20.17 or newer.`);
  for (const tool of ['g++', 'make', 'python3']) {
    if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).error) {
      fail(`${tool} is missing; on Debian: apt-get install g++ make python3`);
    }
  }
}

function run(step) {
  const stamp = join(root, step.stamp);
  const digest = digestOf(step.inputs);
  if (!force && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  const began = Date.now();
  process.stderr.write(`setup: ${step.name} (${step.why}) ... `);
  step.before?.();
  for (const [command, ...args] of step.commands) {
    const result = spawnSync(command, args, { cwd: root, env: environment(), encoding: 'utf8', maxBuffer: 1 << 28 });
    if (result.status !== 0) {
      const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}`;
      process.stderr.write(`failed\n\n${output.split('\n').slice(-30).join('\n')}\n`);
      fail(`"${command} ${args.join(' ')}" failed; its output stands above.`);
    }
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, digest);
  process.stderr.write(`${((Date.now() - began) / 1000).toFixed(1)} s\n`);
}

// Node's own headers where they are installed beside it; else node-gyp fetches them.
function environment() {
  const prefix = resolve(dirname(process.execPath), '..');
  const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? { npm_config_nodedir: prefix } : {};
  return { ...process.env, ...headers };
}

function digestOf(inputs) {
  const hash = createHash('sha256').update(`${process.version} ${process.arch}\n`);
  for (const input of inputs) {
    for (const file of filesOf(join(root, input))) hash.update(`${file}\0`).update(readFileSync(file)).update('\0');
  }
  return hash.digest('hex');
}

function filesOf(path) {
  if (!existsSync(path)) return [];
  const entries = tryReaddir(path);
  if (!entries) return [path];
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap((entry) => filesOf(join(path, entry.name)));
}

function tryReaddir(path) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    return undefined;
  }
}

// What was compiled from a source that is gone must not be run as a test.
function removeOrphans(dist) {
  for (const file of filesOf(dist).filter((name) => name.endsWith('.js'))) {
    const source = join(root, file.slice(dist.length + 1).replace(/\.js$/, '.ts'));
    if (existsSync(source)) continue;
    rmSync(file);
    rmSync(`${file}.map`, { force: true });
    rmSync(join(dist, '.tsbuildinfo'), { force: true });
  }
}

function fail(sentence) {
  process.stderr.write(`setup: ${sentence}\n`);
  process.exit(1);
}
