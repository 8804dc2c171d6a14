import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, isAbsolute, join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { allOptions, readSettings, variableOf } from '../../src/config/options.js';
import { readSettingsAndFile } from '../../src/config/options-file.js';
import { packageRoot } from '../../src/package-root.js';
import { Askers } from '../support/askers.js';
import { Guests } from '../support/guest-processes.js';
import { Operator } from '../support/host.js';
import { ManagedDaemon } from '../support/managed-daemon.js';

let scratch: string;
const packages: string[] = [];

before(() => {
  scratch = mkdtempSync(join(tmpdir(), 'devlxd-packaging-'));
  chmodSync(scratch, 0o755);
  if (spawnSync('dpkg-deb', ['--version']).error) return;
  for (const version of ['0.0.1', '9.9.9']) {
    const script = join(packageRoot, 'scripts/build-deb.mjs');
    const options = [script, '--fast', '--output', scratch, '--version', version];
    const { status, stdout, stderr } = spawnSync(process.execPath, options, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    packages.push(stdout.trim());
  }
});

after(() => rmSync(scratch, { recursive: true }));

function withoutPackages(t: TestContext): boolean {
  if (packages.length === 0) t.skip('needs dpkg-deb: apt-get install dpkg');
  return packages.length === 0;
}

/** Unpacks a package over what is there. */
function unpack(file: string | undefined, into: string): void {
  assert.equal(spawnSync('dpkg-deb', ['-x', file ?? '', into]).status, 0);
}

test('an upgrade from one package to the next, under load: everyone is answered', async (t) => {
  if (withoutPackages(t)) return;
  const tree = join(scratch, 'tree');
  mkdirSync(tree);
  unpack(packages[0], tree);
  const guests = new Guests();
  const managed = await ManagedDaemon.start([], { program: join(tree, 'usr/lib/devlxd/bin/devlxd') });
  try {
    const version = async (): Promise<unknown> => {
      const { environment } = await new Operator(() => managed.daemon).metadata<{
        environment: Readonly<Record<string, unknown>>;
      }>('GET', '/1.0');
      return environment['server_version'];
    };
    const askers = await Askers.start(managed.daemon, guests, 20);
    assert.equal(await version(), '0.0.1');
    unpack(packages[1], tree);
    await askers.more(100); // of the old one, whose files are gone
    await managed.again('restart');
    await askers.more(100);
    assert.equal(await version(), '9.9.9');
    await askers.end();
    assert.deepEqual(askers.failures, []);
  } finally {
    await guests.close();
    await managed.remove();
  }
});

test('the package has what is needed to run it, and nothing that only builds or tests it', (t) => {
  if (withoutPackages(t)) return;
  const tree = join(scratch, 'contents');
  mkdirSync(tree);
  unpack(packages[0], tree);
  const library = join(tree, 'usr/lib/devlxd');
  assert.deepEqual(readdirSync(join(library, 'dist')), ['program']);
  assert.match(readFileSync(join(library, 'dist/program/LICENSES'), 'utf8'), /^pino [\d.]+: MIT\n\nThe MIT License/m);
  for (const name of ['pino', 'typescript', '@biomejs', 'node-gyp', 'fast-check', 'prebuild-install'])
    assert.ok(!existsSync(join(library, 'node_modules', name)), name);
  for (const name of readdirSync(join(library, 'node_modules')).filter((name) => !name.startsWith('@'))) {
    const licences = (from: string): string[] =>
      readdirSync(join(from, 'node_modules', name)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
    assert.deepEqual(licences(library), licences(packageRoot), `the licence of ${name}`);
  }
  const unit = readFileSync(join(tree, 'usr/lib/systemd/system/devlxd.service'), 'utf8');
  const [, program = ''] = /^ExecStart=\/usr\/bin\/node (?:-\S+ )*(\/\S+) serve$/m.exec(unit) ?? [];
  assert.match(program, /devlxd$/);
  assert.ok(existsSync(join(tree, program)), program);
  for (const command of [['usr/bin/devlxd-hook'], ['usr/bin/devlxd', 'hook']]) {
    const [file = '', ...words] = command;
    assert.equal(spawnSync(join(tree, file), [...words, '--help']).status, 0, command.join(' '));
  }
  for (const file of ['man/man1/devlxd.1.gz', 'man/man1/devlxd-hook.1.gz', 'bash-completion/completions/devlxd'])
    assert.ok(statSync(join(tree, 'usr/share', file)).size > 100, file);
  const links = readdirSync(tree, { recursive: true, withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
  for (const { parentPath, name } of links) {
    const target = readlinkSync(join(parentPath, name));
    assert.ok(!isAbsolute(target) && existsSync(join(parentPath, target)), `${name} -> ${target}`);
  }
  const { stdout } = spawnSync('dpkg-deb', ['-f', packages[0] ?? '', 'Depends'], { encoding: 'utf8' });
  assert.match(stdout, /^nodejs \(>= 2\d[.\d]*\), nodejs \(<< 2\d~\), libc6 \(>= 2\.\d+\), .*libstdc\+\+6 \(>= \d/);
});

test('lintian finds nothing in it', (t) => {
  if (withoutPackages(t)) return;
  if (spawnSync('lintian', ['--version']).error) return t.skip('needs lintian: apt-get install lintian');
  const options = ['--fail-on', 'error,warning', '--allow-root', packages[0] ?? ''];
  const { status, stdout } = spawnSync('lintian', options, { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});

test("the agent's package has what its units start, and lintian finds nothing in it", (t) => {
  if (withoutPackages(t)) return;
  const script = join(packageRoot, 'scripts/build-agent-deb.mjs');
  const built = spawnSync(process.execPath, [script, '--output', scratch], { encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
  const tree = join(scratch, 'agent');
  mkdirSync(tree);
  unpack(built.stdout.trim(), tree);
  const unit = readFileSync(join(tree, 'usr/lib/systemd/system/devlxd-agent.service'), 'utf8');
  const [, program] = /^ExecStart=(\S+)/m.exec(unit) ?? [];
  const help = spawnSync(join(tree, program ?? ''), ['--help'], { encoding: 'utf8' });
  assert.match(help.stdout, /^Usage: devlxd-agent/);
  const lintian = spawnSync('lintian', ['--fail-on', 'error,warning', '--allow-root', built.stdout.trim()], {
    encoding: 'utf8',
  });
  if (lintian.error) return t.skip('lintian was not run: apt-get install lintian');
  assert.equal(lintian.status, 0, lintian.stdout);
});

test('the versions of libraries that it asks for are those that its binaries need', (t) => {
  if (withoutPackages(t)) return;
  const tree = join(scratch, 'libraries');
  mkdirSync(tree);
  unpack(packages[0], tree);
  const { stdout: depends } = spawnSync('dpkg-deb', ['-f', packages[0] ?? '', 'Depends'], { encoding: 'utf8' });
  const asked = Number(/libc6 \(>= 2\.(\d+)/.exec(depends)?.[1]);
  const binaries = readdirSync(tree, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.node'));
  const needed = binaries.flatMap((name) => {
    const { stdout } = spawnSync('objdump', ['-T', join(tree, name)], { encoding: 'utf8' });
    return [...stdout.matchAll(/\(GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
  });
  assert.ok(asked >= Math.max(...needed), `${depends}: its binaries need 2.${Math.max(...needed)}`);
});

test('the example configuration, uncommented, is a file of options that says what holds by default', () => {
  const text = readFileSync(join(packageRoot, 'packaging/devlxd.env'), 'utf8');
  const file = join(scratch, 'devlxd.env');
  writeFileSync(file, text.replaceAll(/^#(?=DEVLXD_)/gm, ''));
  const settings = readSettingsAndFile({ 'options-file': file }, {});
  assert.deepEqual(settings, { ...readSettings({}, {}), optionsFile: file });
});

test('the example configuration shows every option but the directories, with its default', () => {
  const text = readFileSync(join(packageRoot, 'packaging/devlxd.env'), 'utf8');
  const shown = text.split('\n').filter((line) => line !== '' && !line.startsWith('# '));
  const expected = allOptions()
    .filter(([name]) => !name.endsWith('-dir') && name !== 'options-file')
    .map(([name, declaration]) => `#${variableOf(name)}=${declaration.default}`);
  assert.deepEqual(shown.sort(), expected.sort());
});

/** A directory for a root of its own; undefined, and the test is skipped, where there can be none. */
function rootOfItsOwn(t: TestContext, name: string): string | undefined {
  if (withoutPackages(t)) return undefined;
  if (process.getuid?.() !== 0) {
    t.skip('needs root, for a root directory of its own');
    return undefined;
  }
  const own = join(scratch, name);
  mkdirSync(own);
  const overlay = `lowerdir=/,upperdir=${own}/u,workdir=${own}/w`;
  const probe = `mount -t tmpfs none ${own} && mkdir ${own}/u ${own}/w && mount -t overlay -o ${overlay} none ${own}`;
  if (spawnSync('unshare', ['--mount', 'sh', '-c', probe]).status === 0) return own;
  t.skip('needs overlayfs, for a root directory of its own');
  return undefined;
}

test('it installs, runs, upgrades and goes without a trace, where no systemd runs', (t) => {
  const own = rootOfItsOwn(t, 'root');
  if (own === undefined) return;
  const alone = ['--mount', '--pid', '--fork', '--kill-child'];
  const script = join(packageRoot, 'test/support/install-deb.sh');
  const { status, stderr } = spawnSync('unshare', [...alone, 'sh', script, ...packages, own], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});

test('under systemd it starts, restarts, upgrades and goes: everyone is answered', (t) => {
  const own = rootOfItsOwn(t, 'booted');
  if (own === undefined) return;
  const missing = ['/usr/bin/systemd-nspawn', '/sbin/init', '/usr/bin/node'].filter((file) => !existsSync(file));
  if (missing.length > 0)
    return t.skip(`needs ${missing.join(', ')}: apt-get install systemd-container systemd-sysv, and Node in /usr/bin`);
  const program = join(packageRoot, 'dist/test/support/under-systemd.js');
  const inside = packages.map((file) => join('/root/packages', basename(file)));
  const script = join(packageRoot, 'test/support/boot-systemd.sh');
  const options = [own, packageRoot, scratch, `devlxd-test-${process.pid}`, '/usr/bin/node', program, ...inside];
  const { stdout, stderr } = spawnSync('unshare', ['--mount', 'sh', script, ...options], { encoding: 'utf8' });
  assert.match(stdout, /^\d+ answers, all is well$/m, stdout + stderr);
});
