// What set-up does, step by step, and what each step is made from.
import { existsSync, rmSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { binariesOf } from '../../bin/supported-node.mjs';
import { digestOf, filesOf, isDone } from './stamp.mjs';

const root = resolve(import.meta.dirname, '../..');
const require = createRequire(join(root, 'package.json'));
const abi = [process.versions.modules, process.arch];
const jobs = String(availableParallelism());

/** What each command needs of binding.gyp. `npm run build` makes all. */
const running = ['devlxd', 'devlxd-hook', 'guests'];
const installed = [...running, 'devlxd-runc'];
const inCore = [...running, 'guests_client'];
export const targetsFor = {
  start: running,
  install: installed,
  package: installed,
  core: inCore,
  pack: [],
  build: ['all'],
};
const modules = ['devlxd', 'guests_client'];

export function dependencies() {
  return {
    name: 'dependencies',
    why: 'npm ci',
    inputs: ['package-lock.json'],
    stamp: 'node_modules/.devlxd-stamp',
    products: ['node_modules/uWebSockets.js/package.json'],
    // Without their scripts: what must be compiled is compiled below, beside the addon.
    commands: () => [['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund']],
    after: () => {
      removeForeign();
      rmSync(join(root, 'node_modules/echarts/dist'), { recursive: true, force: true }); // bundles for browsers
    },
  };
}

/** The binaries of uWebSockets.js for other platforms: 250 MB. What is not ours alone stays as it is. */
export function removeForeign() {
  const directory = relative(root, dirname(require.resolve('uWebSockets.js/package.json')));
  if (directory.startsWith('..')) return;
  for (const file of filesOf(root, directory)) {
    const name = file.slice(directory.length + 1);
    if (/^uws_.*\.node$/.test(name) && !binariesOf().includes(name)) rmSync(join(root, file));
  }
}

/**
 * A fifth of the work of compiling SQLite as better-sqlite3 does it, and no slower at what the store does: the time goes
 * to -O3 and to what the store does not use.
 */
const unused = ['FTS3', 'FTS3_PARENTHESIS', 'FTS4', 'FTS5', 'GEOPOLY', 'RTREE', 'STAT4', 'PERCENTILE', 'DBSTAT_VTAB'];
const quickly = [`CFLAGS=-O1 ${unused.map((name) => `-USQLITE_ENABLE_${name}`).join(' ')}`, 'CXXFLAGS=-O1'];

/** Node 20 has no SQLite of its own. */
export function sqlite() {
  if (isBuiltin('node:sqlite')) return undefined;
  const directory = relative(root, dirname(require.resolve('better-sqlite3/package.json')));
  const binary = join(directory, 'build/Release/better_sqlite3.node');
  return {
    name: 'SQLite',
    why: 'better-sqlite3, which Node 20 needs, is compiled',
    inputs: [join(directory, 'package.json')],
    facts: abi,
    stamp: join(directory, 'build/.devlxd-stamp'),
    products: [binary],
    commands: () => [
      [...nodeGyp(), 'configure', '--release', '--directory', directory],
      ['make', '-C', join(directory, 'build'), 'BUILDTYPE=Release', '-j', jobs, ...quickly, 'better_sqlite3'],
    ],
    // 60 MB that nothing needs once it is linked.
    after: () => rmSync(join(root, directory, 'build/Release/obj.target'), { recursive: true }),
  };
}

/** undefined: all of it is built, and this is a part. */
export function addon(purpose) {
  const whole = addonFor('build');
  const isPart = purpose !== 'build' && isDone(root, whole, digestOf(root, whole));
  return isPart ? undefined : addonFor(purpose);
}

function addonFor(purpose) {
  const targets = targetsFor[purpose];
  const all = purpose === 'build';
  const products = all ? [...inCore, 'bench_load'] : targets;
  return {
    name: 'addon',
    why: all ? 'native/ and the tools of bench/ and test/' : `of native/: ${targets.join(', ')}`,
    inputs: ['binding.gyp', 'package-lock.json', 'native', ...(all ? ['bench/native'] : [])],
    facts: abi,
    stamp: `build/.devlxd-stamp-${targets.join('-')}`,
    products: products.map((name) => join('build/Release', modules.includes(name) ? `${name}.node` : name)),
    commands: () => [
      [...nodeGyp(), 'configure', '--release'],
      ['make', '-C', 'build', 'BUILDTYPE=Release', '-j', jobs, ...targets],
    ],
  };
}

/** npm's own, when npm installs this as a package. */
function nodeGyp() {
  return [process.execPath, process.env.npm_config_node_gyp ?? require.resolve('node-gyp/bin/node-gyp.js')];
}

const bundle = 'scripts/setup/bundle.mjs';

export function typeScript() {
  return {
    name: 'TypeScript',
    why: 'tsc and esbuild',
    inputs: ['tsconfig.json', 'package-lock.json', 'scripts/setup', 'src', 'test', 'bench'],
    stamp: 'dist/.devlxd-stamp',
    products: ['dist/program/main.js'],
    before: removeOrphans,
    commands: () => [
      [process.execPath, 'node_modules/typescript/bin/tsc', '-p', '.'],
      [process.execPath, bundle],
    ],
  };
}

/** What was compiled from a source that is gone must not be run as a test. */
function removeOrphans() {
  const compiled = ['src', 'test', 'bench'].flatMap((folder) => filesOf(root, join('dist', folder)));
  for (const file of compiled.filter((name) => name.endsWith('.js'))) {
    if (existsSync(join(root, file.slice('dist/'.length).replace(/\.js$/, '.ts')))) continue;
    rmSync(join(root, file));
    for (const beside of [`${file}.map`, file.replace(/\.js$/, '.d.ts')]) rmSync(join(root, beside), { force: true });
    rmSync(join(root, 'dist/.tsbuildinfo'), { force: true });
  }
}
