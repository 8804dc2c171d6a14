import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { packageRoot } from '../src/package-root.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';

const program = join(packageRoot, 'bin/devlxd-hook');

interface Called {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

interface Call {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly runDir?: string;
}

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

/** A hook as a runtime calls it: with an environment of its own. */
async function hook(words: readonly string[], { environment = {}, input = '', runDir }: Call = {}): Promise<Called> {
  const began = performance.now();
  const child = spawn(program, words, { env: { DEVLXD_RUN_DIR: runDir ?? daemon.runDir, ...environment } });
  child.stdin.on('error', () => undefined); // one that does not read
  child.stdin.end(input);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stdout, stderr, milliseconds: performance.now() - began };
}

const done = { code: 0, stdout: '', stderr: '' };

async function works(call: Promise<Called>): Promise<void> {
  const { milliseconds, ...result } = await call;
  assert.deepEqual(result, done);
}

async function fails(call: Promise<Called>, sentence: RegExp, code = 1): Promise<void> {
  const result = await call;
  assert.match(result.stderr, sentence);
  assert.deepEqual([result.code, result.stdout], [code, '']);
}

function lxc(type: string, name: string, pid?: number): Call {
  const told = pid === undefined ? {} : { LXC_PID: String(pid) };
  return { environment: { LXC_NAME: name, LXC_HOOK_TYPE: type, LXC_HOOK_SECTION: 'lxc', ...told } };
}

function state(id: string, pid: number | undefined, annotations: Record<string, string> = {}): Call {
  const status = pid === undefined ? 'stopped' : 'created';
  return { input: JSON.stringify({ ociVersion: '1.0.2', id, status, pid, bundle: '/b', annotations }) };
}

test('LXC: a container is registered with its keys, answered, and stopped', async () => {
  const guest = guests.one();
  await works(hook(['lxc', 'user.role=a web=server ☃'], lxc('start-host', 'l1', guest.pid)));
  const answer = await ask(guest.connect(daemon.socket), '/1.0/config/user.role');
  assert.equal(answer.body, 'a web=server ☃');
  await works(hook(['lxc'], lxc('stop', 'l1')));
  assert.equal(await daemon.status('l1'), 'Stopped');
  await works(hook(['lxc'], lxc('stop', 'l1'))); // once more
});

test('LXC: the words of lxc.hook.version 0 say the same as the environment of version 1', async () => {
  const guest = guests.one();
  const environment = { LXC_NAME: 'l2', LXC_PID: String(guest.pid) };
  await works(hook(['lxc', 'user.role=web', 'l2', 'lxc', 'start-host'], { environment }));
  assert.equal(await daemon.status('l2'), 'Running');
  await works(hook(['lxc', 'l2', 'lxc', 'stop'], { environment }));
  assert.equal(await daemon.status('l2'), 'Stopped');
});

test('a container that starts again under its name keeps what the operator has said', async () => {
  const first = guests.one();
  await works(hook(['lxc', 'user.role=web'], lxc('start-host', 'l3', first.pid)));
  await daemon.set('l3', { 'user.more': 'kept' });
  await works(hook(['lxc', 'user.role=web'], lxc('start-host', 'l3', first.pid))); // called twice
  first.kill();
  const second = guests.one();
  await works(hook(['lxc', 'user.role=db'], lxc('start-host', 'l3', second.pid)));
  const session = (path: string) => ask(second.connect(daemon.socket), path);
  assert.equal((await session('/1.0/config/user.more')).body, 'kept');
  assert.equal((await session('/1.0/config/user.role')).body, 'db');
  await fails(hook(['lxc'], lxc('start-host', 'l3', guests.one().pid)), /"l3" is already running/);
});

test('OCI: annotations name the instance and set its keys; it is deleted with the container', async () => {
  const guest = guests.one();
  const annotations = { 'devlxd.name': 'o1', 'devlxd.config.user.role': 'web', 'other.key': 'x' };
  await works(hook(['oci'], state('f'.repeat(64), guest.pid, annotations)));
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config')).body, '["/1.0/config/user.role"]\n');
  guest.kill();
  await works(hook(['oci'], state('f'.repeat(64), undefined, annotations)));
  await assert.rejects(daemon.status('o1'), /not found/);
  await works(hook(['oci'], state('f'.repeat(64), undefined, annotations))); // without a start
});

test('OCI: an instance that was there before its container stays; a generated id makes a name', async () => {
  await daemon.create('o2', { 'user.role': 'old' });
  const guest = guests.one();
  await works(hook(['oci'], state('o2', guest.pid, { 'devlxd.config.user.role': 'new' })));
  guest.kill();
  await works(hook(['oci'], state('o2', undefined)));
  assert.equal(await daemon.status('o2'), 'Stopped');
  const generated = guests.one();
  await works(hook(['oci'], state('0123456789abcdef'.repeat(4), generated.pid)));
  assert.equal(await daemon.status('oci-0123456789ab'), 'Running');
});

test('nspawn: the init is found below its supervisor', async (t) => {
  const family = new Guests();
  t.after(() => family.close());
  const only = family.one();
  const [, parent = ''] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${only.pid}/status`, 'utf8')) ?? [];
  await works(hook(['nspawn', 'start', 'n1', '--supervisor', parent, 'user.role=web']));
  assert.equal((await ask(only.connect(daemon.socket), '/1.0/config/user.role')).body, 'web');
  await works(hook(['nspawn', 'stop', 'n1']));
  await works(hook(['nspawn', 'start', 'n1'], { environment: { MAINPID: parent } }));
  assert.equal(await daemon.status('n1'), 'Running');
  await works(hook(['nspawn', 'stop', 'n1']));
});

test('what is wrong is said in a sentence, and leaves nothing behind', async () => {
  const guest = guests.one();
  const before = await daemon.client.instances.list();
  await fails(hook(['lxc'], lxc('start-host', 'not_a_name', guest.pid)), /"not_a_name" is not an instance name/);
  await fails(hook(['lxc'], lxc('start-host', 'w1', 4_000_000)), /no process 4000000/);
  await fails(hook(['lxc'], lxc('start-host', 'w1', process.pid)), /own pid namespace/);
  await fails(hook(['lxc'], lxc('start-host', 'w1')), /LXC_PID.*is missing/);
  await fails(hook(['lxc'], lxc('mount', 'w1', guest.pid)), /"mount" is not taken/);
  await fails(hook(['lxc']), /only LXC calls this hook/);
  await fails(hook(['lxc', 'security.devlxd=perhaps'], lxc('start-host', 'w1', guest.pid)), /security\.devlxd/);
  await fails(hook(['oci'], { input: 'nonsense' }), /is not of an OCI state/);
  await fails(hook(['oci'], { input: '{"id":1}' }), /id.*is not of an OCI state/);
  await fails(hook(['nspawn', 'begin', 'w1']), /takes "start NAME" or "stop NAME"/);
  await fails(hook(['nspawn', 'start', 'w1', '--supervisor', '1x']), /"1x" is no pid/);
  await fails(hook(['nspawn', 'start', 'w1', 'word']), /word: is not KEY=VALUE/);
  await fails(hook(['docker']), /no hook for "docker"/, 2);
  await fails(hook([]), /a runtime is missing/, 2);
  await fails(hook(['lxc', '--on-error', 'perhaps']), /fail or ignore/, 2);
  assert.deepEqual(await daemon.client.instances.list(), before);
});

test('without a daemon a container is not started, or it is, as the hook is told', async () => {
  const nowhere = mkdtempSync(join(tmpdir(), 'devlxd-hook-'));
  try {
    const call = { ...lxc('start-host', 'a1', 1), runDir: nowhere };
    await fails(hook(['lxc'], call), /no devlxd runs here: there is no .*control\.sock; start it first/);
    await fails(hook(['lxc', '--on-error', 'ignore'], call), /no devlxd runs here/, 0);
    const environment = { ...call.environment, DEVLXD_HOOK_ON_ERROR: 'ignore' };
    await fails(hook(['lxc'], { ...call, environment }), /no devlxd runs here/, 0);
  } finally {
    rmSync(nowhere, { recursive: true });
  }
});

test('how long a hook takes', async (t) => {
  const guest = guests.one();
  const times: number[] = [];
  for (let i = 0; i < 10; i++) {
    const start = await hook(['lxc'], lxc('start-host', 't1', guest.pid));
    const stop = await hook(['lxc'], lxc('stop', 't1'));
    assert.deepEqual([start.code, stop.code], [0, 0]);
    times.push(start.milliseconds, stop.milliseconds);
  }
  times.sort((a, b) => a - b);
  t.diagnostic(`median ${times[10]?.toFixed(1)} ms, longest ${times.at(-1)?.toFixed(1)} ms; 150 ms are allowed`);
  await eventually('it is stopped', async () => (await daemon.status('t1')) === 'Stopped');
});

test('devlxd hook is the same', async () => {
  const child = spawn(join(packageRoot, 'bin/devlxd'), ['hook', 'docker'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 2);
  assert.match(stderr, /no hook for "docker"/);
});
