import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Command } from 'commander';
import { manualPage } from '../src/cli/man.js';
import { programFor } from '../src/cli/program.js';
import { packageRoot } from '../src/package-root.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Guests } from './support/guest-processes.js';

let daemon: TestDaemon;
let guests: Guests;

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const commandLine = new CommandLine(() => daemon);
const devlxd = (...words: string[]) => commandLine.run(words);
const does = (...words: string[]) => commandLine.does(...words);

test('an init, and a VMM, says that it runs as the help of start has it', async () => {
  const examples = does('start', '--help').split('\n');
  const run = async (name: string, word: RegExp, change: (example: string) => string): Promise<void> => {
    const example = examples.find((line) => word.test(line)) ?? '';
    const stays = spawn('sh', ['-c', `exec ${change(example.trim())}`], {
      env: { ...commandLine.environment(), PATH: `${packageRoot}/bin:${process.env['PATH']}` },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await eventually(`${name} runs`, async () => (await daemon.status(name)) === 'Running', 600);
    stays.kill('SIGKILL');
    await eventually(`${name} has stopped`, async () => (await daemon.status(name)) === 'Stopped');
  };
  await daemon.create('web1');
  await daemon.client.instances.create({ name: 'db1', type: 'virtual-machine' });
  const user = process.getuid?.() === 0 ? '' : '--user --map-root-user';
  await run('web1', /^ +unshare /, (example) =>
    example.replace('unshare', `unshare --kill-child ${user}`).replace(/'$/, "; exec sleep 600'"),
  );
  await run('db1', /^ +sh /, (example) => example.replace('VMM', 'sleep 600'));
  for (const name of ['web1', 'db1']) await daemon.client.instances.delete(name);
});

test('the life of an instance, by commands', () => {
  assert.match(does('list'), /no instances yet/);
  does('create', 'web1', 'user.role=web', 'user.equals=a=b');
  does('set', 'web1', 'user.role=db', 'user.extra=1');
  does('unset', 'web1', 'user.extra');
  does('device', 'add', 'web1', 'data', 'disk', 'source=/srv', 'path=/data');
  does('start', 'web1', '--pid', String(guests.one().pid));
  const shown = JSON.parse(does('show', 'web1', '--format', 'json'));
  assert.equal(shown.status, 'Running');
  assert.deepEqual(
    [shown.config['user.role'], shown.config['user.equals'], shown.config['user.extra']],
    ['db', 'a=b', undefined],
  );
  assert.deepEqual(shown.devices, { data: { type: 'disk', source: '/srv', path: '/data' } });
  assert.match(does('show', 'web1'), /^name: web1\n/);
  assert.match(does('list'), /^NAME +STATUS +PID +KEYS +DEVICES +CREATED\nweb1 +RUNNING +\d+ +2 +1 +\d{4}-/);
  assert.match(does('list', '--format', 'csv'), /^web1,RUNNING,\d+,2,1,/);
  assert.equal(JSON.parse(does('list', '--format', 'json'))[0].name, 'web1');
  does('device', 'remove', 'web1', 'data');
  does('stop', 'web1');
  does('delete', 'web1');
  assert.match(does('list'), /no instances yet/);
});

test('what goes wrong: one sentence, and 1 or 2 as exit code', () => {
  const table: [string[], number, RegExp][] = [
    [['show', 'nobody'], 1, /^devlxd: Instance "nobody" not found\n$/],
    [['create', '1a'], 1, /^devlxd: name: "1a" is not an instance name/],
    [['set', 'nobody', 'pair'], 2, /^devlxd: "pair" is not of the form key=value\.\n$/],
    [['start', 'nobody'], 2, /required option '--pid <pid>'/],
    [['start', 'nobody', '--pid', 'x'], 2, /It is a number, such as 4711/],
    [['device', 'remove', 'nobody', 'x'], 1, /not found/],
    [['lst'], 2, /Did you mean list\?/],
    [['profile', 'shw'], 2, /Did you mean show\?/],
    [['list', '--formt', 'csv'], 2, /Did you mean --format\?/],
    [['list', '--format', 'xml'], 2, /Allowed choices are table, json, yaml, csv/],
    [['create', 'x', 'security.devlxd.image=1'], 1, /do you mean security\.devlxd\.images\?\n$/],
    [['monitor', '--type', 'nothing'], 2, /Types are lifecycle, operation, logging/],
    [['top', '--interval', '0'], 2, /--interval takes seconds/],
    [['show', ''], 1, /^devlxd: "" is no name\n$/],
    [['profile', 'show', '..'], 1, /^devlxd: "\.\." is no name\n$/],
    [['image', 'show', '.'], 1, /^devlxd: "\." is no name\n$/],
    [['backup', '/nonexistent/x.db'], 1, /^devlxd: ENOENT: [^\n]*'\/nonexistent\/x\.db\.part'\n$/],
    [['image', 'import', '/'], 1, /^devlxd: \/ is no regular file\n$/],
    [['restore', '/nonexistent/x.db', '--state-dir', '/dev/null/x'], 1, /^devlxd: ENOTDIR: [^\n]*\n$/],
    [['serve', '--backlog', 'many'], 2, /--backlog \(DEVLXD_BACKLOG\) takes a whole number/],
    [
      ['--run-dir', '/nonexistent', 'list'],
      1,
      /^devlxd: No devlxd runs here: there is no \/nonexistent\/control\.sock/,
    ],
    [['serve', '--run-dir', daemon.runDir, '--state-dir', daemon.stateDir], 1, /^devlxd: Another devlxd uses /],
    [
      ['serve', '--run-dir', daemon.runDir, '--state-dir', `${daemon.directory}/other`],
      1,
      /^devlxd: A devlxd \(pid \d+\) uses the --run-dir /,
    ],
  ];
  for (const [words, code, sentence] of table) {
    const { status, stderr } = devlxd(...words);
    const told = stderr
      .split('\n')
      .filter((line) => !line.startsWith('{'))
      .join('\n');
    assert.match(told, sentence, words.join(' '));
    assert.equal(status, code, words.join(' '));
  }
});

test('a command is a process that says with its exit code how it went', () => {
  const table: [string[], number, RegExp, RegExp][] = [
    [['list', '--format', 'json'], 0, /^\[\]\n$/, /^$/],
    [['apply', '-f', '-', '--dry-run'], 3, /^instance web1: new\n/, /^$/],
    [['show', 'nobody'], 1, /^$/, /^devlxd: Instance "nobody" not found\n$/],
    [['set', 'nobody', 'pair'], 2, /^$/, /^devlxd: "pair" is not of the form key=value\.\n$/],
  ];
  for (const [words, code, printed, sentence] of table) {
    const { status, stdout, stderr } = commandLine.runAsProcess(words, 'instances: [{name: web1}]');
    assert.equal(status, code, words.join(' '));
    assert.match(stdout, printed);
    assert.match(stderr, sentence);
  }
});

test('a filter that nothing fits does not say that there is nothing', () => {
  assert.equal(does('list', '--filter', 'name=nobody'), 'None fits the filter.\n');
  assert.equal(does('image', 'list', '--filter', 'public=true'), 'None fits the filter.\n');
});

test('a daemon that could not start has left the running one alone', () => {
  does('list');
});

test('every command has --help with an example', async () => {
  const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
  const commands = all(await programFor([])).filter((command) => command.name() !== 'complete');
  assert.ok(commands.length >= 30);
  for (const command of commands) assert.match(manualPage(command), /Examples?:\n/, command.name());
  assert.match(does('profile', 'assign', '--help'), /Usage: devlxd profile assign .*Example:\n/s);
});

test('the life of a profile, by commands', () => {
  does('create', 'web1');
  does('profile', 'create', 'web', 'user.role=web', '--description', 'for the\nweb');
  does('profile', 'set', 'web', 'user.role=frontend', 'user.more=1');
  does('profile', 'unset', 'web', 'user.more');
  does('profile', 'assign', 'web1', 'default', 'web');
  assert.match(
    does('profile', 'list'),
    /^NAME +KEYS +DEVICES +USED BY +DESCRIPTION\n.*\nweb +1 +0 +1 +for the\\nweb\n$/s,
  );
  assert.equal(does('profile', 'list', '--filter', 'name=web', '--format', 'csv'), 'web,1,0,1,"for the\nweb"\n');
  assert.match(
    does('profile', 'show', 'web'),
    /^name: web\n[\s\S]*user\.role: frontend\n[\s\S]*\/1\.0\/instances\/web1/,
  );
  assert.match(
    does('show', 'web1', '--expanded', '--format', 'table'),
    /^KEY +VALUE\n[\s\S]*\nconfig\.user\.role +frontend\n/,
  );
  assert.match(devlxd('profile', 'delete', 'web').stderr, /^devlxd: The profile "web" is in use/);
  does('profile', 'assign', 'web1');
  assert.deepEqual(JSON.parse(does('show', 'web1', '--format', 'json')).profiles, []);
  does('profile', 'delete', 'web');
  does('delete', 'web1');
});

test('a project of its own, and lists of all', async () => {
  await daemon.client.projects.create({ name: 'blue' });
  does('--project', 'blue', 'create', 'there', 'user.role=web');
  does('create', 'here');
  assert.match(does('list', '--format', 'csv'), /^here,[^\n]*\n$/);
  assert.match(does('list', '--project', 'blue', '--format', 'csv'), /^there,[^\n]*\n$/);
  assert.match(does('list', '--all-projects', '--format', 'csv'), /^default,here,.*\nblue,there,.*\n$/);
  assert.match(does('list', '--all-projects', '--filter', 'config.user.role=web', '--format', 'yaml'), /^- .*there/s);
  does('delete', 'there', '--project', 'blue');
  does('delete', 'here');
});

test('the life of an image, by commands', () => {
  const [metadata, rootfs] = ['metadata.tar', 'wurzel ünï.squashfs'].map((name) => join(daemon.directory, name)) as [
    string,
    string,
  ];
  writeFileSync(metadata, 'metadata');
  writeFileSync(rootfs, 'root file system');
  assert.match(does('image', 'list'), /no images yet/);
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  assert.equal(does('image', 'import', metadata, '--public').trim(), sha256('metadata'));
  const split = sha256('metadataroot file system');
  assert.equal(does('image', 'import', metadata, rootfs, '--vm', '--property', 'os=Debian').trim(), split);
  const images = JSON.parse(does('image', 'list', '--format', 'json'));
  assert.deepEqual(
    images.map(({ filename, type, size, properties }: Record<string, unknown>) => ({
      filename,
      type,
      size,
      properties,
    })),
    [
      { filename: 'metadata.tar', type: 'container', size: 8, properties: {} },
      { filename: 'wurzel ünï.squashfs', type: 'virtual-machine', size: 24, properties: { os: 'Debian' } },
    ],
  );
  assert.match(does('image', 'list'), new RegExp(`\n${split.slice(0, 12)} +private +virtual-machine +0\\.0 MiB `));
  assert.match(devlxd('image', 'import', join(daemon.directory, 'none')).stderr, /none cannot be read: ENOENT/);
  assert.match(devlxd('image', 'import', metadata).stderr, /already exists/);
  does('image', 'delete', split.slice(0, 10), sha256('metadata'));
  assert.match(does('image', 'list'), /no images yet/);
});

const health = [
  'store',
  'disk of the store',
  'changes',
  'event loop',
  'watchdog',
  'descriptors in use',
  'connections',
  'limits reached lately',
];

test('check: what the host offers and what it means, and how the daemon is', () => {
  const findings = JSON.parse(does('check', '--json')) as { what: string; ok: boolean; value: string }[];
  const host = ['kernel', 'identity method', 'file descriptors', 'uWebSockets.js bridge', 'daemon'];
  assert.deepEqual(
    findings.map(({ what, ok }) => [what, ok]),
    [...host, ...health].map((what) => [what, true]),
  );
  assert.match(does('check'), /^ok {7}kernel: /);
  const page = readFileSync(join(packageRoot, 'docs/operations.md'), 'utf8');
  for (const { what } of findings) assert.match(page, new RegExp(`^\\| .*\`${what}\`.* \\|`, 'm'), what);
});

test('check: a limit that was reached is a warning, and no daemon is no fault, but one that is gone without a word is', async () => {
  const other = await TestDaemon.start(['--limit-config-keys', '1']);
  try {
    const line = new CommandLine(() => other);
    assert.match(line.does('check'), /^ok {7}limits reached lately: none$/m);
    await assert.rejects(other.create('many', { 'user.a': '1', 'user.b': '2' }));
    const warned = line.run(['check']);
    assert.equal(warned.status, 0);
    assert.match(warned.stdout, /^warning {2}limits reached lately: config-keys$/m);
    process.kill(other.pid, 'SIGSTOP');
    assert.match(line.run(['check']).stdout, /^BAD {6}daemon: does not answer\n +It has not answered for /m);
    await other.end('SIGKILL');
    const killed = line.run(['check']);
    assert.equal(killed.status, 1);
    assert.match(killed.stdout, /^BAD {6}daemon: does not answer\n +No devlxd listens on /m);
    await other.run();
    line.does('check'); // well again
    await other.end();
    const gone = line.run(['check']);
    assert.match(gone.stdout, /^ok {7}daemon: none found$/m);
    assert.match(gone.stdout, /^ok {7}store: /m);
    assert.equal(gone.status, 0);
  } finally {
    await other.remove();
  }
});
