// Runs the core of the tests where people run devlxd: Debian 13 with its own Node 20 and with 22 and 24, sid with its
// own Node. Each in a root directory made with debootstrap, which stays for the next run. Node 22 and 24 are Node's own
// binaries, from the registry of npm.
//   npm run test:platforms -- [--roots DIR] [--only WORD] [TEST...]
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { enter, missingForRoots, nodeIn, projectIn, rootOf, usualRoots } from './platforms/roots.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    roots: { type: 'string', default: usualRoots },
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

const missing = missingForRoots();
if (missing !== undefined) {
  process.stdout.write(`SKIPPED test:platforms: ${missing}\n`);
} else {
  const results = platforms.map((platform) => ({ platform, ...run(platform) }));
  process.stdout.write(`\n| where | Node | tests | passed | failed | skipped |\n|---|---|---|---|---|---|\n`);
  for (const { platform, node, counts } of results)
    process.stdout.write(`| ${platform.name} | ${node} | ${counts.join(' | ')} |\n`);
  process.exit(results.every(({ passed }) => passed) ? 0 : 1);
}

function run(platform) {
  const directory = rootOf(values.roots, platform.release, packages);
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
