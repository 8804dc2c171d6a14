// Runs the core of the tests where people run devlxd: Debian 13 with its own Node 20 and with 22 and 24, sid with its
// own Node. Each in a root directory made with debootstrap, which stays for the next run. Node 22 and 24 are Node's own
// binaries, from the registry of npm. Last comes a table; the whole output of each is left beside the roots.
//   npm run test:platforms -- [--roots DIR] [--only WORD] [TEST...]
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { enterWithin, missingForRoots, nodeIn, projectIn, rootOf, usualRoots } from './platforms/roots.mjs';
import { Tally } from './platforms/tally.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    roots: { type: 'string', default: usualRoots },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(`Usage: npm run test:platforms -- [--roots DIR] [--only WORD] [TEST...]

Runs the core of the tests in Debian 13 with its own Node 20, 22 and 24, and in sid with its own Node.

  --roots DIR  where their root directories are, and stay (${usualRoots})
  --only WORD  of the names of the platforms
  TEST         words of test files instead of the core

Examples:
  npm run test:platforms
  npm run test:platforms -- --only "Node 24" ./golden
`);
  process.exit();
}

/** Identity, answers, durability, requests of operators: each depends on Node, on the kernel's face or on SQLite. */
const core = [
  './identity',
  './golden',
  './guest-api',
  './characters',
  './guest-events',
  './bridge',
  './restarts',
  './durability',
  './backup',
  './check-store',
  './unit/registry',
  './unit/property',
  './property',
  './client.test',
  './control-',
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
const setupMinutes = 10;
const testMinutes = 20;

const missing = missingForRoots();
if (missing !== undefined) {
  process.stdout.write(`SKIPPED test:platforms: ${missing}\n`);
  process.exit(0);
}
const results = [];
for (const platform of platforms) results.push({ platform, ...(await run(platform)) });
process.stdout.write(
  '\n| where | Node | tests | passed | failed | skipped | seconds |\n|---|---|---|---|---|---|---|\n',
);
for (const { platform, node = '-', counts, seconds, problem } of results)
  process.stdout.write(
    `| ${platform.name} | ${node} | ${problem ?? [...counts, seconds].join(' | ')} |${problem ? ' | | | |' : ''}\n`,
  );
process.exit(results.length > 0 && results.every(({ passed }) => passed) ? 0 : 1);

async function run({ name, release, node: major }) {
  const directory = await rootOf(values.roots, release, packages);
  if (directory === undefined) return { passed: false, problem: 'no root directory; debootstrap or apt-get failed' };
  const node = major === undefined ? '/usr/bin/node' : await nodeIn(directory, major);
  const project = projectIn(directory, major ?? 'own');
  const inside = (minutes, words, line) =>
    enterWithin(minutes, directory, ['sh', '-c', 'cd "$0" && exec "$@"', project, node, ...words], line);
  const {
    lines: [version],
  } = await inside(1, ['--version']);
  const label = `${name}, ${version}`;
  process.stdout.write(`${label}: set-up ...\n`);

  const setup = await inside(setupMinutes, ['scripts/setup.mjs', 'core']);
  if (setup.status !== 0) {
    process.stdout.write(`${label}: set-up: ${setup.ended}\n${setup.lines.slice(-30).join('\n')}\n`);
    return { passed: false, node: version, problem: `set-up: ${setup.ended}` };
  }
  const tally = new Tally(label);
  // Which reporter is the default depends on Node.
  const words = ['scripts/test.mjs', '--test-reporter=tap', ...tests];
  const { status, lines, ended } = await inside(testMinutes, words, (line) => tally.take(line));
  writeFileSync(join(resolve(values.roots), `${name.replaceAll(/\W+/g, '-')}.log`), `${lines.join('\n')}\n`);
  const { counts, seconds } = tally.end(ended);
  return { passed: status === 0, node: version, counts, seconds, problem: status === null ? ended : undefined };
}
