import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { packageRoot } from '../src/package-root.js';
import { eventually } from './support/eventually.js';
import { becomesAnotherUser } from './support/other-users.js';

const ordinaryUser = ['setpriv', '--reuid=12346', '--regid=12346', '--clear-groups'];

async function runDemo(prefix: readonly string[], directory: string, end: 'SIGINT' | 'SIGHUP'): Promise<void> {
  const runDir = join(directory, 'run');
  const environment = { PATH: process.env['PATH'], HOME: directory, TMPDIR: directory, DEVLXD_RUN_DIR: runDir };
  const [command = '', ...words] = [...prefix, process.execPath, join(packageRoot, 'bin/devlxd')];
  const child: ChildProcess = spawn(command, [...words, 'demo'], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr] as Readable[])
    stream.setEncoding('utf8').on('data', (text) => (output += text));
  const exit = once(child, 'exit') as Promise<[number | null]>;
  try {
    await eventually(
      'the demo says what to try next',
      () => output.includes('Ctrl-C ends everything') || child.exitCode !== null,
      30, // it starts Node five times
    );
    for (const name of ['demo1', 'demo2', 'demo3']) {
      assert.match(output, new RegExp(`${name} \\| GET /1\\.0 .*"api_version":"1\\.0"`), output);
      assert.match(output, new RegExp(`${name} \\| GET /1\\.0/config/user\\.greeting +.*${name}`));
      assert.match(output, new RegExp(`${name} \\| +local-hostname: ${name}`));
    }
    spawnSync(command, [...words, 'set', 'demo2', 'user.foo=bar'], { env: environment });
    await eventually('the event arrives', () => output.includes('EVENT'));
    child.kill(end);
    assert.deepEqual(await exit, [0, null]);
    assert.deepEqual(
      output.match(/demo\d \| EVENT .*"key":"user\.foo"/g)?.map((line) => line.slice(0, 5)),
      ['demo2'],
    );
    assert.deepEqual(readdirSync(directory), []); // neither store nor sockets
    const inits = [...output.matchAll(/init is process (\d+)/g)].map(([, pid]) => pid);
    assert.equal(inits.length, 3);
    for (const pid of inits) assert.equal(existsSync(`/proc/${pid}`), false);
  } finally {
    child.kill('SIGKILL');
  }
}

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-demo-test-'));
  chmodSync(directory, 0o777);
  return directory;
}

test('npm start: three guests get each their own, an event reaches one of them, and Ctrl-C leaves nothing', async () => {
  const directory = scratch();
  await runDemo([], directory, 'SIGINT').finally(() => rmSync(directory, { recursive: true }));
});

test(
  'the same as an ordinary user, with unprivileged user namespaces, until the terminal is closed',
  becomesAnotherUser,
  async () => {
    const directory = scratch();
    await runDemo(ordinaryUser, directory, 'SIGHUP').finally(() => rmSync(directory, { recursive: true }));
  },
);
