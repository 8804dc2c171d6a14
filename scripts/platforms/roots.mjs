// Root directories of other releases of Debian, made with debootstrap, which stay for the next run.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { endOf, must, run, start } from '../children.mjs';

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
export async function rootOf(roots, release, packages) {
  const directory = join(resolve(roots), release);
  if (!existsSync(directory)) await bootstrap(release, directory);
  const wanted = packages.join(' ');
  const done = join(directory, 'root', `devlxd-${wanted.replaceAll(/\W+/g, '-')}`.slice(0, 200));
  if (existsSync(done)) return directory;
  process.stdout.write(`apt-get install on ${release} ...\n`);
  // A mirror's copy of sid may be older than sid allows.
  const install = `dpkg --configure -a; apt-get -o Acquire::Check-Valid-Until=false update -qq && apt-get install -y -qq --no-install-recommends ${wanted}`;
  const { status, stderr } = await enter(directory, ['sh', '-c', `export DEBIAN_FRONTEND=noninteractive; ${install}`]);
  if (status === 0) writeFileSync(done, '');
  else process.stdout.write(`${stderr}\n`);
  return status === 0 ? directory : undefined;
}

/** It has its name once it is whole: what is ended half-way is made anew. */
async function bootstrap(release, directory) {
  const part = `${directory}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  process.stdout.write(`debootstrap ${release} ...\n`);
  const words = [...aloneWithMounts, '--mount-proc', 'debootstrap', '--variant=minbase', release, part];
  const { status, stdout } = await run('unshare', words);
  // Some of sid's packages are left unconfigured; apt mends that.
  if (status !== 0) process.stdout.write(`${stdout.split('\n').slice(-5).join('\n')}\n`);
  if (existsSync(join(part, 'etc/debian_version'))) renameSync(part, directory);
}

/** Node's own binary of a major version, from the registry of npm, and its headers beside it: its path in the root. */
export async function nodeIn(directory, major) {
  const prefix = join(directory, 'opt', String(major));
  if (!existsSync(prefix)) {
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund'];
    const words = ['install', '--prefix', prefix, ...quiet, `${nodePackage}@${major}`];
    await must('npm', words);
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

/** What begins a command that has mounts and processes of its own, which end with it, however it ends. */
export const aloneWithMounts = ['--mount', '--pid', '--fork', '--kill-child'];

export function enter(directory, words) {
  return run(script, [directory, ...words]);
}

/** As enter, but for so many minutes at most. line: called with each line, as it comes; ended: how it has ended */
export async function enterWithin(minutes, directory, words, line = () => undefined) {
  const child = start(script, [directory, ...words]);
  const lines = [];
  for (const stream of [child.process.stdout, child.process.stderr])
    createInterface({ input: stream }).on('line', (text) => {
      lines.push(text);
      line(text);
    });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.signal('SIGKILL'); // unshare, with which all in there ends
  }, minutes * 60_000);
  const how = await child.ended;
  clearTimeout(timer);
  return { status: how.status, lines, ended: late ? `had not ended after ${minutes} minutes` : endOf(how) };
}
