// Runs the core of the tests where people run devlxd: Debian 13 with its own Node 20 and with 22 and 24, sid with its
// own Node. Each in a root directory made with debootstrap, which stays for the next run. Node 22 and 24 are Node's own
// binaries, from the registry of npm.
//   npm run test:platforms -- [--roots DIR] [--only WORD] [TEST...]
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = resolve(import.meta.dirname, '..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    roots: { type: 'string', default: join(root, 'build-platforms') },
    only: { type: 'string', default: '' },
  },
});

/** Identity, answers, durability: each depends on Node, on the kernel's face or on SQLite. */
const core = [
  'identity',
  'golden',
  'guest-api',
  'characters',
  'guest-events',
  'bridge',
  'restarts',
  'durability',
  'backup',
  'store',
  'registry',
  'property',
  'client.test',
];
const tests = positionals.length > 0 ? positionals : core;

// node: the major version; without it Debian's own
const platforms = [
  { name: 'trixie, its own Node', release: 'trixie' },
  { name: 'trixie, Node 22', release: 'trixie', node: 22 },
  { name: 'trixie, Node 24', release: 'trixie', node: 24 },
  { name: 'sid, its own Node', release: 'sid' },
].filter(({ name }) => name.includes(values.only));

const packages = ['nodejs', 'libnode-dev', 'g++', 'make', 'python3', 'ca-certificates', 'curl', 'procps', 'strace'];
const nodePackage = `node-linux-${process.arch}`;

const missing = missingHere();
if (missing !== undefined) {
  process.stdout.write(`SKIPPED test:platforms: ${missing}\n`);
} else {
  const results = platforms.map((platform) => ({ platform, ...run(platform) }));
  process.stdout.write(`\n| where | Node | tests | passed | failed | skipped |\n|---|---|---|---|---|---|\n`);
  for (const { platform, node, counts } of results)
    process.stdout.write(`| ${platform.name} | ${node} | ${counts.join(' | ')} |\n`);
  process.exit(results.every(({ passed }) => passed) ? 0 : 1);
}

function missingHere() {
  if (process.getuid() !== 0) return 'needs root, for root directories of its own';
  if (spawnSync('debootstrap', ['--version']).error) return 'needs debootstrap: apt-get install debootstrap';
  return undefined;
}

function run(platform) {
  const directory = rootOf(platform.release);
  if (directory === undefined) return { passed: false, node: '-', counts: ['no root: debootstrap failed', '', '', ''] };
  const node = platform.node === undefined ? '/usr/bin/node' : nodeIn(directory, platform.node);
  const project = projectIn(directory, platform.node ?? 'own');
  const inside = (...words) => enter(directory, ['sh', '-c', 'cd "$0" && exec "$@"', project, node, ...words]);
  const version = inside('--version').stdout.trim();
  const setup = inside('scripts/setup.mjs', 'core');
  if (setup.status !== 0)
    return { passed: false, node: version, counts: [`set-up: ${setup.stderr.trim()}`, '', '', ''] };
  // Which reporter is the default depends on Node.
  const { status, stdout } = inside('scripts/test.mjs', '--test-reporter=tap', ...tests);
  writeFileSync(join(resolve(values.roots), `${platform.name.replaceAll(/\W+/g, '-')}.log`), stdout);
  const counts = ['tests', 'pass', 'fail', 'skipped'].map(
    (what) => new RegExp(`^# ${what} (\\d+)$`, 'm').exec(stdout)?.[1],
  );
  process.stdout.write(`${platform.name}, Node ${version}: ${counts.join(', ')}\n`);
  for (const [line] of stdout.matchAll(/^ *not ok .*$/gm)) process.stdout.write(`  ${line.trim()}\n`);
  return { passed: status === 0, node: version, counts };
}

/** The root directory of a release, with what the tests need. */
function rootOf(release) {
  const directory = join(resolve(values.roots), release);
  const done = join(directory, 'root/devlxd-ready');
  if (existsSync(done)) return directory;
  mkdirSync(directory, { recursive: true });
  process.stdout.write(`debootstrap ${release} ...\n`);
  const made = spawnSync('debootstrap', ['--variant=minbase', release, directory], { encoding: 'utf8' });
  // Some of sid's packages are left unconfigured; apt mends that. A mirror's copy of sid may be older than sid allows.
  const install = `dpkg --configure -a; apt-get -o Acquire::Check-Valid-Until=false update -qq && apt-get install -y -qq --no-install-recommends ${packages.join(' ')}`;
  const { status, stderr } = enter(directory, ['sh', '-c', `export DEBIAN_FRONTEND=noninteractive; ${install}`]);
  if (status === 0) writeFileSync(done, '');
  else process.stdout.write(`${made.stdout.split('\n').slice(-5).join('\n')}${stderr}\n`);
  return status === 0 ? directory : undefined;
}

/** Node's own binary, and its headers beside it. */
function nodeIn(directory, major) {
  const prefix = join(directory, 'opt', String(major));
  if (!existsSync(prefix)) {
    const words = [
      'install',
      '--prefix',
      prefix,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      `${nodePackage}@${major}`,
    ];
    const { status, stderr } = spawnSync('npm', words, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`npm install ${nodePackage}@${major}: ${stderr}`);
  }
  return `/opt/${major}/node_modules/${nodePackage}/bin/node`;
}

/** A copy of the project, with its dependencies; what is compiled there stays there. */
function projectIn(directory, name) {
  const project = `/srv/devlxd-${name}`;
  const copy = join(directory, project);
  const built = ['build', 'dist', 'node_modules/better-sqlite3/build'];
  const parts = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
    .stdout.split('\0')
    .filter((part) => part !== '' && existsSync(join(root, part)));
  // Whole directories, so that a source that is gone here is gone there.
  for (const top of new Set(parts.map((part) => part.split('/')[0])))
    rmSync(join(copy, top), { recursive: true, force: true });
  for (const part of parts)
    cpSync(join(root, part), join(copy, part), { verbatimSymlinks: true, preserveTimestamps: true });
  if (!existsSync(join(copy, 'node_modules')))
    cpSync(join(root, 'node_modules'), join(copy, 'node_modules'), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !built.some((part) => path === join(root, part)),
    });
  return project;
}

function enter(directory, words) {
  const script = join(root, 'scripts/enter-root.sh');
  return spawnSync(script, [directory, ...words], { encoding: 'utf8', maxBuffer: 1 << 28 });
}
