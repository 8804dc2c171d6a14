// A checkout that is moved, and a Node of another patch release, are not set up again; an addon of another Node is
// refused in a sentence.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../src/package-root.js';
import { binary } from './support/command.js';

let scratch: string;

before(() => {
  scratch = mkdtempSync(join(tmpdir(), 'devlxd-moved-'));
});

after(() => rmSync(scratch, { recursive: true }));

/** A Node that says of itself what is given here. */
function pretending(versions: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const all = JSON.stringify(versions);
  const code = `Object.defineProperty(process, 'versions', { value: { ...process.versions, ...${all} } });`;
  return { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}

/** The steps that set-up does in a directory, as it is for all commands and for npm start. */
function stepsIn(directory: string, env: NodeJS.ProcessEnv, prefix: readonly string[] = []): string {
  const setup = join(directory, 'scripts/setup.mjs');
  return ['build', 'start'].map((purpose) => stepsFor([...prefix, process.execPath, setup, purpose], env)).join('');
}

function stepsFor([command = '', ...words]: readonly string[], env: NodeJS.ProcessEnv): string {
  const { status, stdout, stderr } = spawnSync(command, words, { encoding: 'utf8', env, timeout: 600_000 });
  assert.equal(status, 0, stdout + stderr);
  return stderr;
}

test('what is set up is not set up again where it was moved to, or by the next patch release of Node', (t) => {
  const [major] = process.versions.node.split('.');
  const upgraded = pretending({ node: `${major}.99.9` });
  assert.equal(stepsIn(packageRoot, upgraded), '');
  const elsewhere = join(scratch, 'elsewhere');
  mkdirSync(elsewhere);
  const mount = ['unshare', '--mount', 'sh', '-ec', `mount --bind '${packageRoot}' '${elsewhere}'; exec "$@"`, 'sh'];
  if (process.getuid?.() !== 0) return t.skip('needs root, to have the checkout in two places');
  assert.equal(stepsIn(elsewhere, upgraded, mount), '');
  const [command = '', ...words] = [...mount, process.execPath, join(elsewhere, 'bin/devlxd'), 'check'];
  const { stdout } = spawnSync(command, [...words, '--run-dir', join(scratch, 'none'), '--state-dir', scratch], {
    encoding: 'utf8',
  });
  assert.match(stdout, /uWebSockets\.js bridge: self-test passed/);
});

test('an addon that another Node built, or that is none, is refused in one sentence', () => {
  const run = ['--run-dir', join(scratch, 'run'), '--state-dir', join(scratch, 'state')];
  const abi = process.versions.modules;
  for (const [name, text, sentence] of [
    [
      'other.cjs',
      'exports.nodeAbi = 108;',
      `The addon was built for another Node \\(ABI 108\\) .* \\(ABI ${abi}\\)\\.`,
    ],
    ['broken.node', 'no addon', 'The addon cannot be loaded: .*broken\\.node: .*\\.'],
    ['none.node', undefined, "The addon cannot be loaded: Cannot find module '.*none\\.node'\\."],
  ] as const) {
    const file = join(scratch, name);
    if (text !== undefined) writeFileSync(file, text);
    for (const command of ['serve', 'check']) {
      const { status, stderr } = spawnSync(process.execPath, [binary, command, ...run], {
        encoding: 'utf8',
        env: { ...process.env, DEVLXD_ADDON: file },
        timeout: 60_000,
      });
      assert.match(stderr, new RegExp(`^devlxd: ${sentence} Build it with this Node: npm run build\\n$`));
      assert.equal(status, 1, command);
    }
  }
});
