import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { listenUnix } from '../src/gate/unix-socket.js';
import { packageRoot } from '../src/package-root.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { FakeLxd } from './support/fake-lxd.js';
import { type Guest, Guests } from './support/guest-processes.js';
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
function hook(words: readonly string[], call: Call = {}): Promise<Called> {
  return ran(program, words, call);
}

async function ran(
  command: string,
  words: readonly string[],
  { environment = {}, input = '', runDir }: Call = {},
): Promise<Called> {
  const began = performance.now();
  const child = spawn(command, words, {
    env: { DEVLXD_RUN_DIR: runDir ?? daemon.runDir, DEVLXD_HOOK_ON_ERROR: 'fail', ...environment },
  });
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

/** What a runtime says of a container that has ended: mostly no pid, or 0; some say its last one. */
function stopped(id: string, pid: number | undefined, bundle = '/b'): Call {
  return { input: JSON.stringify({ ociVersion: '1.0.2', id, status: 'stopped', pid, bundle }) };
}

test('LXC: a container is registered with its keys, answered, and stopped', async () => {
  const guest = guests.one();
  await works(hook(['lxc', 'user.role=a web=server ☃'], lxc('start-host', 'l1', guest.pid)));
  const answer = await ask(guest.connect(daemon.socket), '/1.0/config/user.role');
  assert.equal(answer.body, 'a web=server ☃');
  await works(hook(['lxc'], lxc('stop', 'l1', guest.pid)));
  assert.equal(await daemon.status('l1'), 'Stopped');
  await works(hook(['lxc'], lxc('stop', 'l1'))); // once more
});

test('LXC: the words of lxc.hook.version 0 say the same as the environment of version 1', async () => {
  const guest = guests.one();
  const environment = { LXC_NAME: 'l2', LXC_PID: String(guest.pid) };
  await works(hook(['lxc', 'user.role=web', 'l2', 'lxc', 'start-host'], { environment }));
  assert.equal(await daemon.status('l2'), 'Running');
  const namespaces = ['mnt:/proc/7/fd/11', 'uts:/proc/7/fd/12', 'pid:/proc/7/fd/13']; // which LXC 5 says as well
  await works(hook(['lxc', 'l2', 'lxc', 'stop', ...namespaces], { environment }));
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

test('a late stop of a container before it takes nothing from the one that runs', async () => {
  const calls: [string, (id: string, pid: number) => Promise<Called>, (id: string) => Promise<Called>][] = [
    ['OCI', (id, pid) => hook(['oci'], state(id, pid)), (id) => hook(['oci'], stopped(id, undefined))],
    ['OCI, pid 0', (id, pid) => hook(['oci'], state(id, pid)), (id) => hook(['oci'], stopped(id, 0))],
    ['OCI, another bundle', (id, pid) => hook(['oci'], state(id, pid)), (id) => hook(['oci'], stopped(id, 0, '/c'))],
    ['OCI, the pid before', (id, pid) => hook(['oci'], state(id, pid)), (id) => hook(['oci'], stopped(id, before.pid))],
    ['LXC', (id, pid) => hook(['lxc'], lxc('start-host', id, pid)), (id) => hook(['lxc'], lxc('stop', id, before.pid))],
    [
      'LXC, no pid',
      (id, pid) => hook(['lxc'], lxc('start-host', id, pid)),
      (id) => hook(['lxc'], lxc('post-stop', id)),
    ],
    ['nspawn', (id, pid) => hook(['lxc'], lxc('start-host', id, pid)), (id) => hook(['nspawn', 'stop', id])],
  ];
  const before = guests.one();
  before.kill();
  for (const [index, [what, start, stop]] of calls.entries()) {
    const [id, first, second] = [`late${index}`, guests.one(), guests.one()];
    await works(start(id, first.pid));
    first.kill();
    await works(start(id, second.pid));
    for (let twice = 0; twice < 2; twice++) {
      await works(stop(id));
      assert.equal(await daemon.status(id), 'Running', what);
    }
    assert.equal((await ask(second.connect(daemon.socket), '/1.0')).status, 200, what);
    second.kill();
    await works(stop(id));
    if (what.startsWith('OCI')) await assert.rejects(daemon.status(id), /not found/, what);
    else assert.equal(await daemon.status(id), 'Stopped', what);
  }
});

test('a container that did not get its name because another has it takes nothing from that one when it ends', async () => {
  const [one, other] = guests.spawn(2) as [Guest, Guest];
  const annotations = { 'devlxd.name': 'shared1' };
  await works(hook(['oci'], state('a'.repeat(64), one.pid, annotations)));
  await fails(hook(['oci'], state('b'.repeat(64), other.pid, annotations)), /"shared1" is already running/);
  other.kill();
  await works(hook(['oci'], state('b'.repeat(64), undefined, annotations)));
  assert.equal(await daemon.status('shared1'), 'Running');
});

test('a stop that names the init is believed while it runs', async () => {
  for (const id of ['named1', 'named2']) {
    const guest = guests.one();
    await works(hook(['oci'], state(id, guest.pid)));
    await works(hook(['oci'], stopped(id, guest.pid)));
    await assert.rejects(daemon.status(id), /not found/);
    assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 500);
  }
});

test('an instance made for an OCI container that ends while the daemon is away is forgotten', async () => {
  const [lives, ends, stops] = guests.spawn(3) as [Guest, Guest, Guest];
  await works(hook(['oci'], state('gone1', lives.pid)));
  await works(hook(['oci'], state('gone2', ends.pid)));
  await works(hook(['lxc'], lxc('start-host', 'gone3', stops.pid)));
  await daemon.end();
  for (const guest of [ends, stops]) guest.kill();
  await daemon.run();
  assert.equal(await daemon.status('gone1'), 'Running');
  await assert.rejects(daemon.status('gone2'), /not found/);
  assert.equal(await daemon.status('gone3'), 'Stopped');
});

test('names that are none of an instance get one of their own, and no two the same', async () => {
  const names = {
    '100': 'x--100',
    my_box: 'x--my-5fbox',
    'web.example.com': 'x--web-2eexample-2ecom',
    'debian.12': 'x--debian-2e12',
    'x--100': 'x--x-2d-2d100',
    'my-5fbox': 'my-5fbox',
    'oci-0123456789ab': 'x--oci-2d0123456789ab',
    'web-': 'x--web-2d',
    größe: 'x--gr-c3-b6-c3-9fe',
    WEB_1: 'x--WEB-5f1',
    web_1: 'x--web-5f1',
  };
  for (const [container, instance] of Object.entries(names)) {
    const [one, other] = guests.spawn(2) as [Guest, Guest];
    await works(hook(['lxc', `user.own=${container}`], lxc('start-host', container, one.pid)));
    assert.equal(await daemon.status(instance), 'Running', container);
    assert.equal((await ask(one.connect(daemon.socket), '/1.0/config/user.own')).body, container);
    await works(
      hook(['lxc', container, 'lxc', 'stop'], { environment: { LXC_NAME: container, LXC_PID: `${one.pid}` } }),
    );
    assert.equal(await daemon.status(instance), 'Stopped', container);
    await works(hook(['oci'], state(container, other.pid)));
    assert.equal(await daemon.status(instance), 'Running', container);
  }
  const long = ['1'.repeat(65), `${'1'.repeat(65)}2`, `${'a_'.repeat(40)}`, `${'a_'.repeat(39)}b_`];
  for (const container of long) await works(hook(['lxc'], lxc('start-host', container, guests.one().pid)));
  const made = (await daemon.client.instances.list())
    .filter(({ name }) => name.startsWith('x--'))
    .map(({ name }) => name);
  assert.equal(new Set(made).size, Object.values(names).filter((name) => name.startsWith('x--')).length + long.length);
  const said = daemon.log.filter(({ msg }) => msg.includes('has another here'));
  assert.equal(said.length, 1);
  assert.deepEqual([said[0]?.['container'], said[0]?.['instance']], ['100', 'x--100']);
});

test('LXC and nspawn can name the instance and its project', async (t) => {
  await daemon.client.request('POST', '/1.0/projects', { name: 'blue' });
  const family = new Guests();
  t.after(() => family.close());
  const [one, other, annotated] = [guests.one(), family.one(), guests.one()];
  await works(hook(['lxc', '--name', 'named', '--project=blue', 'user.a=b'], lxc('start-host', '100', one.pid)));
  const [, parent = ''] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${other.pid}/status`, 'utf8')) ?? [];
  await works(hook(['nspawn', 'start', 'debian.12', '--supervisor', parent, '--name', 'deb', '--project', 'blue']));
  const annotations = { 'devlxd.project': 'blue', 'devlxd.name': 'pod.web' };
  await works(hook(['oci', '--project', 'other'], state('c'.repeat(64), annotated.pid, annotations)));
  const named = (await daemon.client.request('GET', '/1.0/instances?project=blue&recursion=1')) as { name: string }[];
  assert.deepEqual(
    named.map(({ name }) => name),
    ['deb', 'named', 'x--pod-2eweb'],
  );
  annotated.kill();
  await works(hook(['oci'], state('c'.repeat(64), undefined, annotations)));
  const left = (await daemon.client.request('GET', '/1.0/instances?project=blue')) as string[];
  assert.equal(left.length, 2);
});

test('a container in a pid namespace that is not its own starts, which the log says once', async () => {
  const names = async () => (await daemon.client.instances.list()).map(({ name }) => name);
  const before = await names();
  const guest = guests.one();
  const inside = guest.connectFrom(daemon.socket, { child: true }); // another process of that pid namespace
  for (const pid of [process.pid, inside.pid, process.pid]) {
    await works(hook(['oci'], state('d'.repeat(64), pid)));
    await works(hook(['lxc'], lxc('start-host', 'hostpid', pid)));
    await works(hook(['oci'], state('d'.repeat(64), undefined)));
  }
  assert.deepEqual(await names(), before);
  const said = daemon.log.filter(({ msg }) => msg.includes('without a pid namespace of its own'));
  assert.equal(said.length, 1);
  assert.equal(said[0]?.['container'], 'd'.repeat(64));
  inside.socket.destroy();
});

test('of a pod its containers are served, and not what holds its namespaces', async () => {
  for (const word of ['io.kubernetes.cri.container-type', 'io.kubernetes.cri-o.ContainerType']) {
    const [holder, web] = guests.spawn(2) as [Guest, Guest];
    const pod = { 'devlxd.name': `pod${word.length}` };
    const sandbox = { ...pod, [word]: 'sandbox' };
    await works(hook(['oci'], state('e'.repeat(64), holder.pid, sandbox)));
    await assert.rejects(daemon.status(pod['devlxd.name']), /not found/);
    await works(hook(['oci'], state('f'.repeat(64), web.pid, { ...pod, [word]: 'container' })));
    await works(hook(['oci'], state('e'.repeat(64), undefined, sandbox)));
    assert.equal(await daemon.status(pod['devlxd.name']), 'Running');
  }
});

test('of an instance that belongs to a source, a hook only registers the init', async (t) => {
  const lxd = new FakeLxd();
  await lxd.start();
  lxd.add('theirs', { config: { 'user.role': 'theirs' } });
  const following = await TestDaemon.start(['--source', `lxd:${lxd.socket}`]);
  t.after(async () => {
    await following.remove();
    await lxd.remove();
  });
  /** but for what the daemon itself says of the guest */
  const config = async () => {
    const { config } = await following.client.instances.get('theirs');
    return Object.fromEntries(Object.entries(config).filter(([key]) => !key.startsWith('volatile.last_state.')));
  };
  await eventually('it is read', () =>
    config().then(
      () => true,
      () => false,
    ),
  );
  const before = await config();
  assert.notEqual(before['volatile.uuid'], undefined);
  const guest = guests.one();
  const { runDir } = following;
  await works(hook(['lxc', 'user.role=ours'], { ...lxc('start-host', 'theirs', guest.pid), runDir }));
  assert.equal((await ask(guest.connect(following.socket), '/1.0/config/user.role')).body, 'theirs');
  assert.deepEqual(await config(), before);
  await works(hook(['oci'], { ...stopped('theirs', guest.pid), runDir }));
  assert.equal(await following.status('theirs'), 'Stopped');
  assert.deepEqual(await config(), before);
});

test('what is no UTF-8 is refused, and named, wherever it stands', async () => {
  const guest = guests.one();
  const before = await daemon.client.instances.list();
  const shell = (script: string, call: Call): Promise<Called> => ran('/bin/sh', ['-c', script, program], call);
  const start = lxc('start-host', 'utf1', guest.pid);
  await fails(shell('exec "$0" lxc "user.word=a$(printf \'\\377\')"', start), /config\.user\.word: not Unicode/);
  await fails(
    shell('LXC_NAME="u$(printf \'\\303\')" exec "$0" lxc', start),
    /name: the container has none that is text/,
  );
  const { input = '' } = state('utf1', guest.pid, { 'devlxd.config.user.note': 'BYTE' });
  const annotated = `printf '%s' '${input}' | sed 's/BYTE/\\xc0\\xaf/' | "$0" oci`;
  await fails(shell(annotated, {}), /config\.user\.note: not Unicode/);
  const others = `printf '%s' '${input.replace('devlxd.config.user.note', 'other')}' | sed 's/BYTE/\\xff/' | "$0" oci`;
  await works(shell(others, {})); // nothing of ours
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
  const shell = (script: string): Promise<Called> => ran('/bin/sh', ['-c', script, program]);
  await fails(shell('exec "$0" oci <&-'), /is not of an OCI state/);
  const mute = await shell('"$0" oci <&- >&- 2>&-');
  assert.deepEqual([mute.code, mute.stdout + mute.stderr], [1, '']);
});

test('how long a hook takes', async (t) => {
  const guest = guests.one();
  const times: number[] = [];
  for (let i = 0; i < 10; i++) {
    const start = await hook(['lxc'], lxc('start-host', 't1', guest.pid));
    const stop = await hook(['lxc'], lxc('stop', 't1', guest.pid));
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
