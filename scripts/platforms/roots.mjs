// Root directories of other releases of Debian, made with debootstrap, which stay for the next run.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const project = resolve(import.meta.dirname, '../..');
const nodePackage = `node-linux-${process.arch}`;

/** Where they are when nothing else is said. */
export const usualRoots = join(project, 'build-platforms');

/** What is missing to make any; undefined: nothing. */
export function missingForRoots() {
  if (process.getuid() !== 0) return 'needs root, for root directories of its own';
  if (spawnSync('debootstrap', ['--version']).error) return 'needs debootstrap: apt-get install debootstrap';
  return undefined;
}

/** The root directory of a release with these packages; undefined: it could not be made. */
export function rootOf(roots, release, packages) {
  const directory = join(resolve(roots), release);
  if (!existsSync(join(directory, 'etc/debian_version'))) {
    mkdirSync(directory, { recursive: true });
    process.stdout.write(`debootstrap ${release} ...\n`);
    const made = spawnSync('debootstrap', ['--variant=minbase', release, directory], {
      encoding: 'utf8',
      ...bounds,
    });
    // Some of sid's packages are left unconfigured; apt mends that.
    if (made.status !== 0) process.stdout.write(`${made.stdout.split('\n').slice(-5).join('\n')}\n`);
  }
  const wanted = packages.join(' ');
  const done = join(directory, 'root', `devlxd-${wanted.replaceAll(/\W+/g, '-')}`.slice(0, 200));
  if (existsSync(done)) return directory;
  process.stdout.write(`apt-get install on ${release} ...\n`);
  // A mirror's copy of sid may be older than sid allows.
  const install = `dpkg --configure -a; apt-get -o Acquire::Check-Valid-Until=false update -qq && apt-get install -y -qq --no-install-recommends ${wanted}`;
  const { status, stderr } = enter(directory, ['sh', '-c', `export DEBIAN_FRONTEND=noninteractive; ${install}`]);
  if (status === 0) writeFileSync(done, '');
  else process.stdout.write(`${stderr}\n`);
  return status === 0 ? directory : undefined;
}

/** Node's own binary of a major version, from the registry of npm, and its headers beside it: its path in the root. */
export function nodeIn(directory, major) {
  const prefix = join(directory, 'opt', String(major));
  if (!existsSync(prefix)) {
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund'];
    const words = ['install', '--prefix', prefix, ...quiet, `${nodePackage}@${major}`];
    const { status, stderr } = spawnSync('npm', words, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`npm install ${nodePackage}@${major}: ${stderr}`);
  }
  return `/opt/${major}/node_modules/${nodePackage}/bin/node`;
}

/**
 * A copy of the project, with its dependencies and what TypeScript has become, which is the same everywhere; what is
 * compiled of C and C++ there stays there. Its path in the root.
 */
export function projectIn(directory, name) {
  const path = `/srv/devlxd-${name}`;
  const copy = join(directory, path);
  const parts = spawnSync('git', ['ls-files', '-z'], { cwd: project, encoding: 'utf8' })
    .stdout.split('\0')
    .filter((part) => part !== '' && existsSync(join(project, part)));
  // Whole directories, so that a source that is gone here is gone there.
  for (const top of new Set(['dist', ...parts.map((part) => part.split('/')[0])]))
    rmSync(join(copy, top), { recursive: true, force: true });
  for (const part of [...parts, 'dist']) copied(part, copy);
  const stamp = 'node_modules/.devlxd-stamp';
  if (textOf(join(copy, stamp)) !== textOf(join(project, stamp))) {
    rmSync(join(copy, 'node_modules'), { recursive: true, force: true });
    copied('node_modules', copy, 'node_modules/better-sqlite3/build');
  }
  return path;
}

function copied(part, copy, except) {
  const filter = (from) => except === undefined || from !== join(project, except);
  const options = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, filter };
  cpSync(join(project, part), join(copy, part), options);
}

function textOf(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

const script = join(project, 'scripts/enter-root.sh');

/** The most that anything there may take. */
export const bounds = { timeout: 20 * 60_000, killSignal: 'SIGKILL' };

export function enter(directory, words) {
  return spawnSync(script, [directory, ...words], { encoding: 'utf8', maxBuffer: 1 << 28, ...bounds });
}

/** As enter, but for so many minutes at most. line: called with each line, as it comes; ended: how it has ended */
export async function enterWithin(minutes, directory, words, line = () => undefined) {
  const child = spawn(script, [directory, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (text) => {
      lines.push(text);
      line(text);
    });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL'); // unshare, with which all in there ends
  }, minutes * 60_000);
  const [status, signal] = await once(child, 'close');
  clearTimeout(timer);
  const ended = late ? `had not ended after ${minutes} minutes` : `ended with ${signal ?? status}`;
  return { status, lines, ended };
}
