// Builds the Debian package on Debian 12, 13 and sid, each with a Node that runs it, and installs each on all three:
// what apt says of it, and where it installs, what it does under the systemd of that release (test/support/under-systemd.ts).
// This host is Debian 12; the others are root directories made with debootstrap, which stay for the next run.
//   npm run test:debian -- [--roots DIR] [--only RELEASE]
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { endOf, must, remove, run, scratch } from './children.mjs';
import { aloneWithMounts, enter, missingForRoots, nodeIn, projectIn, rootOf, usualRoots } from './platforms/roots.mjs';

const project = resolve(import.meta.dirname, '..');
const { values } = parseArgs({
  options: { roots: { type: 'string', default: usualRoots }, only: { type: 'string', default: '' } },
});
const versions = ['0.0.1', '9.9.9'];
const running = ['ca-certificates', 'curl', 'dbus', 'procps', 'systemd', 'systemd-sysv'];
const building = ['nodejs', 'libnode-dev', 'g++', 'make', 'python3', 'dpkg-dev', 'binutils'];
const releases = ['bookworm', 'trixie', 'sid'];
/** Packages of each release that the tests of the other script have as well. */
const inRoot = { bookworm: running, trixie: [...running, ...building], sid: [...running, ...building] };

const missing = missingForRoots() ?? missingHere();
if (missing !== undefined) process.stdout.write(`SKIPPED test:debian: ${missing}\n`);
else process.exit((await main()) ? 0 : 1);

function missingHere() {
  const release = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  if (release !== 'bookworm') return `this host is not Debian 12, but ${release}`;
  if (!existsSync('/usr/bin/systemd-nspawn')) return 'needs systemd-nspawn: apt-get install systemd-container';
  return undefined;
}

async function main() {
  const roots = {};
  for (const release of releases) roots[release] = await rootOf(values.roots, release, inRoot[release]);
  const failed = releases.filter((release) => roots[release] === undefined);
  if (failed.length > 0) {
    process.stdout.write(`no root directory of ${failed.join(' and ')}\n`);
    return false;
  }
  await packNode(roots.bookworm);
  const built = {};
  for (const release of releases) built[release] = await builtOn(release, roots[release]);
  const rows = [];
  for (const from of releases)
    for (const release of releases.filter((name) => name.includes(values.only))) {
      process.stdout.write(`installing what ${from} has built on ${release} ...\n`);
      rows.push({ from, release, ...(await installed(roots[release], built[from])) });
    }
  process.stdout.write('\n| built on | installed on | apt | under systemd |\n|---|---|---|---|\n');
  for (const { from, release, apt, systemd } of rows)
    process.stdout.write(`| ${from} | ${release} | ${apt} | ${systemd} |\n`);
  const works = (from, release) => rows.some((row) => row.from === from && row.release === release && row.works);
  return releases.filter((release) => release.includes(values.only)).every((release) => works(release, release));
}

/** Debian 12 has no Node 20 of its own: Node's binary as a package, as people have it from elsewhere. */
async function packNode(root) {
  if (existsSync(join(root, 'usr/bin/node'))) return;
  const stage = scratch(join(tmpdir(), 'devlxd-node-'));
  const node = join(root, await nodeIn(root, 20));
  mkdirSync(join(stage, 'usr/bin'), { recursive: true });
  cpSync(node, join(stage, 'usr/bin/node'));
  mkdirSync(join(stage, 'DEBIAN'));
  const { stdout: version } = await must(node, ['--version']);
  const fields = ['Package: nodejs', `Version: ${version.trim().slice(1)}`, 'Architecture: amd64'];
  const control = [...fields, 'Maintainer: devlxd <devlxd@localhost>', 'Description: Node', ''].join('\n');
  writeFileSync(join(stage, 'DEBIAN/control'), control);
  const file = join(root, 'root/nodejs.deb');
  await must('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z1', '--build', stage, file]);
  remove(stage);
  done(await enter(root, ['dpkg', '-i', '/root/nodejs.deb']));
}

/** The directory with both versions of the package. */
async function builtOn(release, root) {
  const isHost = release === 'bookworm';
  const at = isHost ? project : projectIn(root, 'own');
  const output = isHost ? join(root, 'srv/packages') : '/srv/packages';
  const inside = (...words) =>
    isHost
      ? must(process.execPath, words, { cwd: project })
      : enter(root, ['sh', '-c', 'cd "$0" && exec "$@"', at, '/usr/bin/node', ...words]).then(done);
  rmSync(join(root, 'srv/packages'), { recursive: true, force: true });
  mkdirSync(join(root, 'srv/packages'), { recursive: true });
  process.stdout.write(`building on ${release} ...\n`);
  await inside('scripts/setup.mjs', 'package');
  for (const version of versions)
    await inside('scripts/build-deb.mjs', '--fast', '--version', version, '--output', output);
  return join(root, 'srv/packages');
}

async function installed(root, packages) {
  const [older, newer] = readdirSync(packages).sort();
  rmSync(join(root, 'root/packages'), { recursive: true, force: true });
  mkdirSync(join(root, 'root/packages'));
  cpSync(join(packages, older), join(root, 'root/packages', older));
  const simulated = await enter(root, ['apt-get', 'install', '-s', `/root/packages/${older}`]);
  rmSync(join(root, 'root/packages'), { recursive: true });
  if (simulated.status !== 0) return { apt: `refused: ${reason(simulated)}`, systemd: '', works: false };
  const directory = scratch(join(tmpdir(), 'devlxd-booted-'));
  const script = join(project, 'test/support/boot-systemd.sh');
  const program = join(project, 'dist/test/support/under-systemd.js');
  const inside = [older, newer].map((name) => join('/root/packages', basename(name)));
  const words = [directory, project, packages, `devlxd-test-${process.pid}`, '/usr/bin/node', program, ...inside];
  const env = { ...process.env, ROOT: root };
  const { stdout, stderr } = await run('unshare', [...aloneWithMounts, '--mount-proc', 'sh', script, ...words], {
    env,
  });
  remove(directory);
  const works = /^\d+ answers, all is well$/m.test(stdout);
  if (!works) process.stdout.write(`${stdout}${stderr}\n`);
  return { apt: 'installs', systemd: works ? stdout.trim().split('\n').at(-1) : 'failed', works };
}

/** What is missing, in apt's words: "Depends: libc6 (>= 2.38) but ..." of 2.x, "Depends nodejs (< 21~)" of 3.x. */
function reason({ stdout, stderr }) {
  const missing = [...`${stdout}\n${stderr}`.matchAll(/Depends:? (\S+ \([^)]*\))/g)].map(([, what]) => what);
  return missing.length > 0 ? [...new Set(missing)].join(', ') : stderr.trim();
}

function done(ran) {
  if (ran.status !== 0) throw new Error(`${endOf(ran)}\n${ran.stdout}${ran.stderr}`);
  return ran;
}
