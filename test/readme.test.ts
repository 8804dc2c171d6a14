// Runs the commands of README.md as they stand, as root of a host of its own: mount and pid namespaces in which /run,
// /var/lib, /srv and /dev/lxd are its own.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../src/package-root.js';

const page = readFileSync(join(packageRoot, 'README.md'), 'utf8');
const scripts = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).scripts as Record<string, string>;

/** The indented lines of commands, without what is said beside them, each with the heading that it stands below. */
const commands = page.split(/^## /m).flatMap((section) => {
  const lines = section
    .split('\n')
    .filter((line) => /^ {4}(npm|apt-get|curl|\.\/bin|unshare|nsenter|export|lxc [a-z])/.test(line));
  return lines.map((line) => ({ heading: section.split('\n')[0], command: line.trim().replace(/ +# .*$/, '') }));
});
const inline = [...page.matchAll(/`((?:DEVLXD_RUN_DIR=R )?\.\/bin\/devlxd [^`]+)`/g)].map(
  ([, command]) => command as string,
);
const below = (heading: string): string[] =>
  commands.filter((line) => line.heading === heading).map(({ command }) => command);

/** What is not run as it stands, and why. */
const handled: readonly (readonly [RegExp, string])[] = [
  [/^apt-get install/, 'it installs on this host; .ci/run does it'],
  [/^npm (start|test)$/, 'demo.test.js runs the former, and the latter runs this'],
  [/^npm run build$/, 'it has run before this test'],
  [/--source lxd$/, 'npm run test:lxd does it, with a real LXD'],
];

let scratch: string;

before(() => {
  scratch = mkdtempSync(join(tmpdir(), 'devlxd-readme-'));
});

after(() => rmSync(scratch, { recursive: true }));

const host = `set -e
export HOME=$SCRATCH PAGER=cat EDITOR=true FILE=$SCRATCH/image.tar
for directory in /run /var/lib /srv; do mount -t tmpfs none $directory; done
mkdir $SCRATCH/dev && mount --rbind /dev $SCRATCH/dev && mount -t tmpfs none /dev
for entry in $SCRATCH/dev/*; do ln -s $entry /dev/; done
rm -f /dev/lxd && mkdir /dev/lxd
tar -cf $FILE -C $SCRATCH --files-from /dev/null
cd $PROJECT
said() { echo "== $*"; }
soon() { for try in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; echo "never: $*"; exit 1; }
guest() { nsenter --user --preserve-credentials --pid --target $(pgrep -P $instance) sh -c "$1"; }
`;

/** How the rig runs a command that goes on for ever, or wants something first. */
function line(command: string): string {
  if (command === './bin/devlxd serve') return `${command} & daemon=$!\nsoon ./bin/devlxd list`;
  if (/(monitor|top)\b/.test(command)) return followed(command);
  if (command.startsWith('unshare')) return `${command}\ninstance=$!\nsoon pgrep -P $!`;
  return command;
}

/** Until it has printed something, which a change of ours makes it do. */
function followed(command: string): string {
  const change = './bin/devlxd set web1 user.n=$((++n))';
  return `${command} >$SCRATCH/followed & follower=$!
until test -s $SCRATCH/followed; do ${change}; done; kill $follower; rm $SCRATCH/followed`;
}

function withFile(command: string): string {
  const file = /backup|restore/.test(command) ? '$SCRATCH/backup' : '$FILE';
  return command.replace(/\bFILE\b/, file).replace('DEVLXD_RUN_DIR=R', 'DEVLXD_RUN_DIR=/run/devlxd');
}

function runOnHost(lines: readonly string[]): string {
  const file = join(scratch, 'session.sh');
  const each = lines.map((text) => `said '${text.replaceAll("'", "'\\''")}'\n${text}\n`);
  writeFileSync(file, `${host}${each.join('')}said end\n`);
  const words = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'bash', file];
  const { status, stdout, stderr } = spawnSync('unshare', words, {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], SCRATCH: scratch, PROJECT: packageRoot },
    timeout: 300_000,
    killSignal: 'SIGKILL',
  });
  assert.equal(status, 0, `${stdout.slice(-2000)}\n${stderr.slice(-2000)}`);
  return stdout;
}

test('every script of npm that it names is there', () => {
  const named = [...page.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name as string);
  for (const name of named) assert.ok(name in scripts, name);
});

const asRoot = {
  skip: process.getuid?.() === 0 ? false : 'needs root, for /run/devlxd and /var/lib/devlxd of its own',
};

test('its commands for hosts and guests work as they stand', asRoot, (t) => {
  for (const { command } of commands) {
    const [, why] = handled.find(([pattern]) => pattern.test(command)) ?? [];
    if (why !== undefined) t.diagnostic(`not run: ${command}: ${why}`);
  }
  const isHandled = (command: string): boolean => handled.some(([pattern]) => pattern.test(command));
  const ofHost = below('For a host').filter((line) => /^(\.\/bin|unshare|nsenter)/.test(line) && !isHandled(line));
  const lxc = below('For a host').filter((command) => /^(export|lxc)/.test(command));
  const ofGuest = commands.map(({ command }) => command).filter((command) => command.startsWith('curl'));
  const run = [...ofHost, ...lxc, ...ofGuest];
  for (const { command } of commands)
    assert.ok(run.includes(command) || isHandled(command), `no test runs this: ${command}`);

  const hasLxc = spawnSync('lxc', ['--version']).error === undefined;
  if (!hasLxc) t.diagnostic('SKIPPED the commands of lxc: apt-get install lxd-client');
  const reading = ofGuest.map((command) => {
    const asked = `guest '${command.replaceAll("'", "'\\''")}'`;
    return command.includes('events') ? followed(asked) : asked.replace('curl', 'curl --fail');
  });
  const onceMore = inline.filter((command) => !/ serve| restore/.test(command));
  const stopped = inline.filter((command) => command.includes(' restore'));
  const output = runOnHost([
    ...ofHost.map(line),
    'mount --bind /run/devlxd/guest /dev/lxd',
    ...reading,
    ...onceMore.map(withFile),
    ...(hasLxc ? lxc.flatMap((command) => command.split('; ').map(line)) : []),
    'kill $daemon; wait $daemon',
    ...stopped.map(withFile),
  ]);
  assert.match(output, /^== end$/m);
});
