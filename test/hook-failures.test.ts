import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { listenUnix } from '../src/gate/unix-socket.js';
import { packageRoot } from '../src/package-root.js';
import { TestDaemon } from './support/daemon.js';
import { Guests } from './support/guest-processes.js';
import {
  type Call,
  type Called,
  fails,
  hooksFor,
  lxc,
  hookProgram as program,
  ran,
  state,
  stopped,
  works,
} from './support/hook-calls.js';

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

const hook = hooksFor(() => daemon);
const shell = (script: string, call: Call = {}): Promise<Called> =>
  ran('/bin/sh', ['-c', script, program], { runDir: daemon.runDir, ...call });

test('what is wrong is said in a sentence, and leaves nothing behind', async () => {
  const guest = guests.one();
  const names = async () => (await daemon.client.instances.list()).map(({ name }) => name);
  const before = await names();
  await fails(hook(['lxc'], lxc('start-host', '', guest.pid)), /name: the container has none/);
  await fails(hook(['lxc'], lxc('start-host', 'w1', 4_000_000)), /no process 4000000/);
  await fails(hook(['lxc'], lxc('start-host', 'w1')), /LXC_PID.*is missing/);
  await fails(hook(['lxc'], lxc('mount', 'w1', guest.pid)), /"mount" is not taken/);
  await fails(hook(['lxc']), /only LXC calls this hook/);
  await fails(hook(['lxc', '--nam', 'w2'], lxc('start-host', 'w1', guest.pid)), /--nam: is no option of this hook/);
  await fails(hook(['lxc', '--name'], lxc('start-host', 'w1', guest.pid)), /--name: needs a value/);
  await fails(hook(['lxc', '--project', 'none'], lxc('start-host', 'w1', guest.pid)), /"none" not found/);
  await fails(hook(['oci', 'word'], state('w1', guest.pid)), /word: is not KEY=VALUE/);
  await fails(hook(['lxc', 'security.devlxd=perhaps'], lxc('start-host', 'w1', guest.pid)), /security\.devlxd/);
  await fails(hook(['oci'], { input: 'nonsense' }), /is not of an OCI state/);
  await fails(hook(['oci'], { input: '{"id":1}' }), /id.*is not of an OCI state/);
  await fails(hook(['nspawn', 'begin', 'w1']), /takes "start NAME" or "stop NAME"/);
  await fails(hook(['nspawn', 'start', 'w1', '--supervisor', '1x']), /"1x" is no pid/);
  await fails(hook(['nspawn', 'start', 'w1', 'word']), /word: is not KEY=VALUE/);
  await fails(hook(['docker']), /no hook for "docker"/, 2);
  await fails(hook([]), /a runtime is missing/, 2);
  await fails(hook(['lxc', '--on-error', 'perhaps']), /fail or ignore/, 2);
  assert.deepEqual(await names(), before);
});

test('what is no UTF-8 is refused, and named, wherever it stands', async () => {
  const guest = guests.one();
  const before = await daemon.client.instances.list();
  const start = lxc('start-host', 'utf1', guest.pid);
  await fails(shell('exec "$0" lxc "user.word=a$(printf \'\\377\')"', start), /config\.user\.word: not Unicode/);
  await fails(
    shell('LXC_NAME="u$(printf \'\\303\')" exec "$0" lxc', start),
    /name: the container has none that is text/,
  );
  const { input = '' } = state('utf1', guest.pid, { 'devlxd.config.user.note': 'BYTE' });
  const annotated = `printf '%s' '${input}' | sed 's/BYTE/\\xc0\\xaf/' | "$0" oci`;
  await fails(shell(annotated), /config\.user\.note: not Unicode/);
  const others = `printf '%s' '${input.replace('devlxd.config.user.note', 'other')}' | sed 's/BYTE/\\xff/' | "$0" oci`;
  await works(shell(others)); // nothing of ours
  await works(hook(['oci'], stopped('utf1', guest.pid)));
  // runc, which is written in Go, has replaced them; the configuration of the bundle has them.
  const bundle = mkdtempSync(join(tmpdir(), 'devlxd-bundle-'));
  const replaced = { 'devlxd.config.user.note': 'a\ufffdb', other: '\ufffd' };
  const call = { input: JSON.stringify({ ...JSON.parse(state('utf1', guest.pid, replaced).input ?? ''), bundle }) };
  const annotations = (note: string) => `{"annotations":{"other":"\xff","devlxd.config.user.note":"a${note}b"}}`;
  writeFileSync(join(bundle, 'config.json'), Buffer.from(annotations('\xfc'), 'latin1'));
  await fails(hook(['oci'], call), /config\.user\.note: not Unicode/);
  writeFileSync(join(bundle, 'config.json'), annotations('\ufffd')); // is what it says
  await works(hook(['oci'], call));
  assert.equal((await daemon.client.instances.get('utf1')).config['user.note'], 'a\ufffdb');
  rmSync(bundle, { recursive: true });
  await works(hook(['oci'], stopped('utf1', guest.pid)));
  guest.kill();
  await works(hook(['oci'], stopped('utf1', undefined)));
  const names = (all: readonly { name: string }[]) => all.map(({ name }) => name);
  assert.deepEqual(names(await daemon.client.instances.list()), names(before));
});

/** Something that is not a daemon, on the socket of one. */
function impostor(connected: (socket: Socket) => void): (path: string) => Promise<() => void> {
  return async (path) => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      connected(socket);
    });
    await once(server.listen(path), 'listening');
    return () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    };
  };
}

const answering = (text: string) => impostor((socket) => void socket.once('data', () => socket.end(text)));
const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n';

/** What a hook may find in the place of a daemon, and what it says then. */
const absent: Readonly<Record<string, [(path: string) => Promise<() => void>, RegExp]>> = {
  nothing: [async () => () => undefined, /no devlxd runs here: there is no .*control\.sock; start it first/],
  'a file': [aFile, /no devlxd listens on .*control\.sock/],
  'nobody who listens': [nobody, /no devlxd listens on .*control\.sock/],
  'one who hangs up': [impostor((socket) => socket.destroy()), /devlxd (?:closed the connection|does not listen)/],
  'an empty answer': [answering(''), /devlxd closed the connection/],
  'half an answer': [answering('HTTP/1.1 2'), /devlxd answers "HTTP\/1\.1 2"/],
  'a head alone': [answering(head), /devlxd answers "HTTP\/1\.1 200 OK"/],
  'status 500': [answering('HTTP/1.1 500 Internal Server Error\r\n\r\n{}'), /answers "HTTP\/1\.1 500 Internal/],
  'status 507': [answering('HTTP/1.1 507 Insufficient Storage\r\n\r\nok'), /answers "HTTP\/1\.1 507/],
  'no HTTP': [answering('\0\x1b[2J'.repeat(100)), /devlxd answers " {2}\[2J/],
  'an endless line': [answering(`${head}error: ${'long '.repeat(1 << 18)}`), /long long .*\.\.\./],
  'an endless answer': [
    impostor((socket) => {
      const more = (error?: Error | null): void => void (error || socket.write('x'.repeat(1 << 16), more));
      more();
    }),
    /devlxd answers "xxx.*\.\.\."/,
  ],
  'no answer': [impostor(() => undefined), /has not answered within 10 s/],
  'an answer that drips': [
    impostor((socket) => {
      const timer = setInterval(() => socket.write('x'), 100);
      socket.on('close', () => clearInterval(timer));
    }),
    /has not answered within 10 s/,
  ],
  'a full queue': [fullQueue, /has not accepted within 10 s/],
};

async function aFile(path: string): Promise<() => void> {
  writeFileSync(path, '');
  return () => undefined;
}

async function nobody(path: string): Promise<() => void> {
  closeSync(listenUnix(path, 0o600, 1));
  return () => undefined;
}

async function fullQueue(path: string): Promise<() => void> {
  const fd = listenUnix(path, 0o600, 0);
  const waiting = connect(path).on('error', () => undefined);
  await once(waiting, 'connect');
  return () => {
    waiting.destroy();
    closeSync(fd);
  };
}

test('whatever is in the place of the daemon: a container starts, or not, as the hook is told', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-hook-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const kinds = Object.entries(absent).map(async ([kind, [make, sentence]], index) => {
    const runDir = join(directory, String(index));
    mkdirSync(runDir);
    t.after(await make(join(runDir, 'control.sock')));
    const call = { ...lxc('start-host', 'a1', 1), runDir };
    const { environment } = call;
    const policies: [readonly string[], Call, number][] = [
      [['lxc'], { ...call, environment: { ...environment, DEVLXD_HOOK_ON_ERROR: 'ignore' } }, 0],
      [['lxc', '--on-error', 'fail'], call, 1],
      [['oci', '--on-error', 'ignore'], { runDir, input: '{' }, 0],
    ];
    const asked = policies.map(async ([words, told, code]) => {
      const result = await hook(words, told);
      assert.deepEqual([kind, result.code], [kind, code]);
      assert.match(result.stderr, sentence, kind);
      assert.ok(result.stderr.length < 700 && result.stderr.split('\n').length === 2, kind);
    });
    await Promise.all(asked);
  });
  await Promise.all(kinds);
});

test('without a policy a container starts, whatever is wrong', async () => {
  const { environment } = lxc('start-host', 'a1', 4_000_000);
  const DEVLXD_RUN_DIR = daemon.runDir;
  const call = { env: { ...environment, DEVLXD_RUN_DIR }, encoding: 'utf8' } as const;
  const refused = spawnSync(program, ['lxc'], call);
  assert.deepEqual(
    [refused.status, refused.stderr],
    [0, 'devlxd-hook: There is no process 4000000, or it has exited.\n'],
  );
  const away = spawnSync(program, ['lxc'], { ...call, env: { ...environment, DEVLXD_RUN_DIR: '/nonexistent' } });
  assert.equal(away.status, 0);
});

test('a runtime that does not end what it says, or closes its pipes, still gets an end', async () => {
  const endless = spawn(program, ['oci'], {
    env: { DEVLXD_RUN_DIR: daemon.runDir },
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  endless.stdin.write('{');
  let stderr = '';
  endless.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const [code] = (await once(endless, 'close')) as [number | null];
  assert.deepEqual([code, stderr], [0, 'devlxd-hook: the runtime has not said all of its input\n']);
  const long = { input: `{"id":"${'x'.repeat(5 << 20)}` };
  await fails(hook(['oci'], long), /input is longer than 4 MiB/);
  await fails(shell('exec "$0" oci <&-'), /is not of an OCI state/);
  const mute = await shell('"$0" oci <&- >&- 2>&-');
  assert.deepEqual([mute.code, mute.stdout + mute.stderr], [1, '']);
});

test('devlxd hook is the same', async () => {
  const child = spawn(join(packageRoot, 'bin/devlxd'), ['hook', 'docker'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 2);
  assert.match(stderr, /no hook for "docker"/);
});
