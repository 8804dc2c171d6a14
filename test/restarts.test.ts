import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { listenUnix } from '../src/gate/unix-socket.js';
import { Askers } from './support/askers.js';
import { TestDaemon } from './support/daemon.js';
import { EventStream } from './support/event-stream.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask, exchange, Session } from './support/http.js';
import { ManagedDaemon } from './support/managed-daemon.js';

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

const quick = 20;

test('a restart by a service manager: guests that ask all the while are all answered', async () => {
  const managed = await ManagedDaemon.start();
  try {
    const askers = await Askers.start(managed.daemon, guests, quick);
    for (let round = 0; round < 2; round++) {
      await managed.again('restart');
      await askers.more(5 * quick);
    }
    await askers.end();
    assert.deepEqual(askers.failures, []);
    assert.ok(managed.told.some(({ kept = 0 }) => kept > 0));
    assert.deepEqual(
      managed.told.flatMap(({ exit }) => exit ?? []),
      [0, 0],
    );
  } finally {
    assert.equal(await managed.remove(), 0);
  }
});

test('a takeover: guests that ask all the while are all answered', async () => {
  const daemon = await TestDaemon.start();
  try {
    const askers = await Askers.start(daemon, guests, quick);
    for (let round = 0; round < 2; round++) {
      assert.equal(await daemon.takeOver(), 0);
      await askers.more(5 * quick);
    }
    await askers.end();
    assert.deepEqual(askers.failures, []);
  } finally {
    await daemon.remove();
  }
});

const replacements: Readonly<Record<string, (options?: readonly string[]) => Promise<Replaced>>> = {
  'a restart by a service manager': async (options) => {
    const managed = await ManagedDaemon.start(options);
    return { daemon: managed.daemon, again: () => managed.again('restart'), remove: () => managed.remove() };
  },
  'a takeover': async (options) => {
    const daemon = await TestDaemon.start(options);
    return { daemon, again: () => daemon.takeOver(), remove: () => daemon.remove() };
  },
};

interface Replaced {
  readonly daemon: TestDaemon;
  again(): Promise<unknown>;
  remove(): Promise<unknown>;
}

for (const [what, start] of Object.entries(replacements)) {
  test(`${what}: operators who change things all the while are all answered, and nothing is lost`, async () => {
    const { daemon, again, remove } = await start();
    try {
      await daemon.create('c1');
      const operator = new Operator(() => daemon);
      const changes = { kept: 0, new: 0 };
      let ended = false;
      const change = async (who: 'kept' | 'new', set: (n: string) => Promise<unknown>): Promise<void> => {
        while (!ended) {
          await set(`${changes[who] + 1}`);
          changes[who]++;
        }
      };
      const changing = Promise.all([
        change('kept', (n) => daemon.set('c1', { 'user.kept': n })),
        change('new', (n) => operator.metadata('PATCH', '/1.0/instances/c1', { config: { 'user.new': n } })),
      ]);
      for (let round = 0; round < 2; round++) {
        await Promise.race([again(), changing]);
        const enough = changes.kept + changes.new + 10;
        await Promise.race([eventually('more changes', () => changes.kept + changes.new >= enough), changing]);
      }
      ended = true;
      await changing;
      const { config } = await daemon.client.instances.get('c1');
      assert.deepEqual([config['user.kept'], config['user.new']], [`${changes.kept}`, `${changes.new}`]);
    } finally {
      await remove();
    }
  });
}

/** Listens, and again whenever it is told to, until it has heard of so many changes. Gives them, and the close codes. */
async function heardOf(count: number, guest: Guest, socket: string): Promise<{ values: unknown[]; codes: number[] }> {
  const values: unknown[] = [];
  const codes: number[] = [];
  for (let since = ''; values.length < count; ) {
    const stream = await EventStream.webSocket(guest, socket, since);
    await stream.atLeast(count - values.length);
    if (stream.events.length + values.length < count) codes.push(await stream.closed);
    else stream.end();
    values.push(...stream.events.map(({ metadata }) => metadata['value']));
    const last = stream.events.at(-1)?.timestamp;
    if (last !== undefined) since = `?since=${last}`;
  }
  return { values, codes };
}

test('listeners are told 1012, come back, and have heard every change once, in order', async () => {
  const daemon = await TestDaemon.start();
  try {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.n': '0' });
    const operator = new Operator(() => daemon);
    const first = await operator.request('GET', '/1.0');
    assert.equal(first.status, 200);
    const hearing = heardOf(30, guest, daemon.socket);
    for (let n = 1; n <= 30; n++) {
      await operator.metadata('PATCH', '/1.0/instances/c1', { config: { 'user.n': `${n}` } });
      if (n % 10 === 0 && n < 30) assert.equal(await daemon.takeOver(), 0);
    }
    const { values, codes } = await hearing;
    assert.deepEqual(
      values,
      Array.from({ length: 30 }, (_, n) => `${n + 1}`),
    );
    assert.deepEqual(codes, [1012, 1012]);
  } finally {
    await daemon.remove();
  }
});

const unknown = { status: 500, body: 'Process ID not found in container\n' };

async function held(daemon: TestDaemon): Promise<number> {
  const { body } = await new Operator(() => daemon).request('GET', '/1.0/metrics');
  return Number(/^devlxd_guest_requests_held (\d+)$/m.exec(body)?.[1]);
}

for (const [what, start] of Object.entries(replacements)) {
  for (const identity of ['auto', 'procfs']) {
    test(`${what}: what guests ask who are not registered yet goes along (--identity ${identity})`, async () => {
      const { daemon, again, remove } = await start(['--identity', identity, '--limit-hold-seconds', '60']);
      try {
        const [guest, other] = guests.spawn(2) as [Guest, Guest];
        const path = '/1.0/config/user.mark';
        const line = `GET http://lxd${path} HTTP/1.1\r\n`; // for the other edge
        const half = guest.connect(daemon.socket);
        half.write(line);
        const silent = new Session(guest.connect(daemon.socket)); // says nothing before
        const asked = ask(guest.connect(daemon.socket), path);
        const ready = ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body: '{"state":"Ready"}' });
        const hearing = EventStream.webSocket(guest, daemon.socket);
        const others = ask(other.connect(daemon.socket), path);
        await eventually('they wait', async () => (await held(daemon)) === 5);
        await again();
        await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
        assert.equal((await asked).body, 'here');
        assert.equal((await silent.ask(path)).body, 'here');
        assert.match(await exchange(half, '\r\n', (text) => text.endsWith('here')), /^HTTP\/1\.1 200 /);
        assert.equal((await ready).status, 200);
        const stream = await hearing;
        await daemon.set('c1', { 'user.mark': 'there' });
        await stream.atLeast(1);
        stream.end();
        await daemon.register('c2', other.pid, { 'user.mark': 'of another' });
        assert.equal((await others).body, 'of another');
        await silent.close();
      } finally {
        await remove();
      }
    });
  }
}

test('who is not registered after a takeover either is told so, and asks anew on another connection', async () => {
  const daemon = await TestDaemon.start(['--limit-hold-seconds', '1']);
  try {
    const guest = guests.one();
    const session = new Session(guest.connect(daemon.socket));
    const asked = session.ask('/1.0');
    await eventually('it waits', async () => (await held(daemon)) === 1);
    assert.equal(await daemon.takeOver(), 0);
    const { status, body, headers } = await asked;
    assert.deepEqual({ status, body }, unknown);
    assert.equal(headers['connection'], 'close');
    await daemon.register('c1', guest.pid);
    await session.close();
    assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 200);
  } finally {
    await daemon.remove();
  }
});

test('who waits to be known when a daemon ends for good is told so', async () => {
  const daemon = await TestDaemon.start(['--limit-hold-seconds', '60']);
  try {
    const asked = ask(guests.one().connect(daemon.socket), '/1.0');
    await eventually('it waits', async () => (await held(daemon)) === 1);
    assert.equal(await daemon.end(), 0);
    const { status, body } = await asked;
    assert.deepEqual({ status, body }, unknown);
  } finally {
    await daemon.remove();
  }
});

test('who waits because it asks too often goes along as well', async () => {
  const daemon = await TestDaemon.start(['--limit-requests-per-second', '20', '--limit-request-burst', '10']);
  try {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    const sessions = Array.from({ length: 10 }, () => new Session(guest.connect(daemon.socket)));
    const ask = async (): Promise<void> => {
      const answers = await Promise.all(sessions.map((session) => session.ask('/1.0/config/user.mark')));
      for (const { body } of answers) assert.equal(body, 'here');
    };
    await ask(); // that was the burst
    const waiting = ask();
    await eventually('they wait', async () => {
      return (await daemon.metric('devlxd_limit_hits_total', { limit: 'requests-per-second' })) >= 5;
    });
    const leaving = daemon.takeOver();
    await waiting;
    await ask();
    assert.equal(await leaving, 0);
    await ask();
    await Promise.all(sessions.map((session) => session.close()));
  } finally {
    await daemon.remove();
  }
});

test('operators who follow are told 1012', async () => {
  const daemon = await TestDaemon.start();
  try {
    const follower = await new Operator(() => daemon).follow();
    assert.equal(await daemon.takeOver(), 0);
    assert.equal(await follower.closed, 1012);
  } finally {
    await daemon.remove();
  }
});

const large = `${'0123456789'.repeat(400_000)}.`;

test('an answer that is being read slowly comes whole from the daemon that goes, and delays nobody', async () => {
  const daemon = await TestDaemon.start(['--limit-drain-seconds', '30']);
  try {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.large': large, 'user.mark': 'here' });
    const slow = guest.connect(daemon.socket).setEncoding('latin1');
    slow.write('GET /1.0/config/user.large HTTP/1.1\r\nHost: lxd\r\n\r\n');
    await once(slow, 'readable');
    let left = false;
    const leaving = daemon.takeOver().then((code) => {
      left = true;
      return code;
    });
    await eventually('the new one answers', () => daemon.log.filter(({ msg }) => msg === 'ready').length === 2);
    assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.mark')).body, 'here');
    assert.equal(left, false);
    const received = await exchange(slow, '', (text) => text.endsWith('.'));
    assert.equal(received.slice(received.indexOf('\r\n\r\n') + 4), large);
    assert.equal(await leaving, 0);
  } finally {
    await daemon.remove();
  }
});

test('a change that a guest has asked for is answered before the daemon goes', async () => {
  const daemon = await TestDaemon.start();
  try {
    const guest = guests.one();
    await daemon.register('c1', guest.pid);
    const body = '{"state":"Ready"}';
    const asking = guest.connect(daemon.socket);
    // The body comes when the daemon has begun to stop.
    asking.write(`PATCH /1.0 HTTP/1.1\r\nHost: lxd\r\nContent-Length: ${body.length}\r\n\r\n`);
    const other = new Session(guest.connect(daemon.socket));
    await other.ask('/1.0'); // the head of the first has been read by now, too
    const leaving = daemon.takeOver();
    await eventually('it is asked to go', () => daemon.log.some(({ msg }) => msg === 'another devlxd takes over'));
    const answer = await exchange(asking, body, (text) => text.includes('\r\n\r\n'));
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.equal(await leaving, 0);
    assert.match((await other.ask('/1.0')).body, /"state":"Ready"/);
    await other.close();
  } finally {
    await daemon.remove();
  }
});

/** Runs `serve --takeover` in place of a daemon, with a store of its own; gives its last words. */
async function failedTakeover(daemon: TestDaemon, stateDir: string): Promise<string> {
  const [program, ...options] = daemon.command(['--takeover', '--state-dir', stateDir]);
  const child = spawn(program, options, { stdio: ['ignore', 'inherit', 'pipe'] });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words += text;
  });
  const [code] = (await once(child, 'close')) as [number];
  assert.equal(code, 1, words);
  return words;
}

test('when the new daemon fails, the old one goes on, and with it whoever is connected', async () => {
  const daemon = await TestDaemon.start();
  try {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    const session = new Session(guest.connect(daemon.socket));
    assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
    const damaged = join(daemon.directory, 'damaged');
    mkdirSync(damaged);
    writeFileSync(join(damaged, 'devlxd.db'), 'no database at all, and long enough to be looked at'.repeat(100));
    for (let round = 0; round < 2; round++) {
      assert.match(await failedTakeover(daemon, damaged), /devlxd: .*devlxd\.db is damaged/);
      assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
      await daemon.set('c1', { 'user.mark': 'here' });
      assert.equal(await daemon.status('c1'), 'Running');
    }
    const said = daemon.log.filter(
      ({ msg }) => msg === 'the devlxd that was to take over has failed; this one goes on',
    );
    assert.equal(said.length, 2);
    assert.equal(await daemon.takeOver(), 0);
    assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
    await session.close();
    // Init exits: one daemon hears of it, once.
    guest.kill();
    await eventually('stopped', async () => (await daemon.status('c1')) === 'Stopped');
    assert.equal(daemon.log.filter(({ level }) => Number(level) >= 50).length, said.length);
  } finally {
    await daemon.remove();
  }
});

test('a daemon that dies when it has given everything away is not missed', async () => {
  const daemon = await TestDaemon.start();
  try {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    const session = new Session(guest.connect(daemon.socket));
    assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
    const before = daemon.pid;
    const leaving = daemon.takeOver();
    await eventually('everything is there', () => daemon.log.some(({ msg }) => msg === 'taken over'));
    process.kill(before, 'SIGKILL');
    await leaving;
    assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
    await session.close();
    assert.equal(await daemon.end(), 0);
  } finally {
    await daemon.remove();
  }
});

test('a takeover from nobody is a start; one from a managed daemon is refused', async () => {
  const managed = await ManagedDaemon.start();
  try {
    assert.match(
      await failedTakeover(managed.daemon, join(managed.daemon.directory, 'other')),
      /does not hand over: a service manager runs it: systemctl restart devlxd/,
    );
    assert.equal((await new Operator(() => managed.daemon).request('GET', '/1.0')).status, 200);
  } finally {
    await managed.remove();
  }
  const alone = TestDaemon.prepared();
  try {
    await alone.run(['--takeover']);
    assert.ok(alone.log.some(({ msg }) => msg === 'no devlxd runs that could be taken over from'));
  } finally {
    await alone.remove();
  }
});

test('only a takeover takes over', async () => {
  const daemon = await TestDaemon.start();
  try {
    const head = 'GET /1.0/takeover HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    const path = join(daemon.runDir, 'control.sock');
    assert.match(await exchange(connect(path), head), /^HTTP\/1\.1 400 [\s\S]*this is for devlxd serve --takeover/);
    await daemon.create('c1');
  } finally {
    await daemon.remove();
  }
});

const asRoot = { skip: process.getuid?.() === 0 ? false : 'needs root, to be another user' };

test('who is let in by the group of the control socket may not take over', asRoot, async () => {
  const [uid, gid] = [65534, 12345];
  const daemon = await TestDaemon.start(['--group', `${gid}`]);
  try {
    const [program, ...options] = daemon.command(['--takeover']);
    const { status, stderr } = spawnSync(program, options, { encoding: 'utf8', uid, gid });
    assert.equal(status, 1);
    assert.match(stderr, /only root and the user who runs devlxd may take over from it/);
    await daemon.create('c1');
  } finally {
    await daemon.remove();
  }
});

test('after kill -9 instances are taken up again, and whoever asked meanwhile is answered', async () => {
  const managed = await ManagedDaemon.start();
  try {
    const { daemon } = managed;
    const [guest, other] = guests.spawn(2) as [Guest, Guest];
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    await daemon.register('c2', other.pid);
    const again = managed.again('kill');
    await managed.until(() => managed.told.some(({ exit }) => exit !== undefined));
    const answer = ask(guest.connect(daemon.socket), '/1.0/config/user.mark');
    other.kill();
    await again;
    assert.equal((await answer).body, 'here');
    const status = async (name: string): Promise<string> => {
      const { status: found } = await new Operator(() => daemon).metadata<{ status: string }>(
        'GET',
        `/1.0/instances/${name}`,
      );
      return found;
    };
    assert.equal(await status('c1'), 'Running');
    await eventually('stopped', async () => (await status('c2')) === 'Stopped');
  } finally {
    await managed.remove();
  }
});

test('a service manager hears when it is ready, alive and stopping', async () => {
  const managed = await ManagedDaemon.start();
  assert.deepEqual(managed.notified('READY'), ['1']);
  await managed.until(() => managed.notified('WATCHDOG').length >= 3);
  await managed.again('restart');
  assert.deepEqual(managed.notified('STOPPING'), ['1']);
  assert.equal(await managed.remove(), 0);
});

test('systemd itself passes the sockets', async (t) => {
  if (spawnSync('systemd-socket-activate', ['--version']).error) {
    t.skip('needs systemd-socket-activate: apt-get install systemd');
    return;
  }
  const daemon = TestDaemon.prepared();
  mkdirSync(join(daemon.runDir, 'guest'), { recursive: true });
  const control = join(daemon.runDir, 'control.sock');
  const listen = ['-l', daemon.socket, '-l', control, '--fdname=guest:control'];
  const systemd: ChildProcess = spawn('systemd-socket-activate', [...listen, '--', ...daemon.command()], {
    stdio: ['ignore', 'inherit', 'ignore'],
  });
  try {
    await eventually('systemd listens', () => existsSync(control));
    chmodSync(daemon.socket, 0o666); // which SocketMode= does in a unit
    const guest = guests.one();
    const early = ask(guest.connect(daemon.socket), '/1.0/config/user.mark'); // this starts it
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    assert.equal((await early).body, 'here');
  } finally {
    const exit = once(systemd, 'exit');
    systemd.kill('SIGTERM');
    assert.deepEqual(await exit, [0, null]);
    assert.ok(existsSync(control), 'the files are not its own to remove');
    await daemon.remove();
  }
});

test('sockets that were passed to a daemon are left to whoever has passed them, also after takeovers', async () => {
  const daemon = await TestDaemon.startWithSockets();
  try {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    for (const end of ['SIGTERM', 'SIGKILL'] as const) {
      for (let round = 0; round < 2; round++) assert.equal(await daemon.takeOver(), 0);
      await daemon.end(end);
      assert.ok(existsSync(join(daemon.runDir, 'control.sock')));
      const answer = ask(guest.connect(daemon.socket), '/1.0/config/user.mark');
      await daemon.run();
      assert.equal((await answer).body, 'here');
    }
  } finally {
    await daemon.remove();
  }
});

test('who has connected, and asks when the daemon has begun to stop for good, is answered', async () => {
  const daemon = await TestDaemon.start();
  try {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    const socket = guest.connect(daemon.socket);
    await daemon.set('c1', { 'user.mark': 'there' }); // and so it has been accepted
    const leaving = daemon.end();
    await eventually('it stops', () => daemon.log.some(({ msg }) => msg === 'devlxd stops'));
    assert.equal((await ask(socket, '/1.0/config/user.mark')).body, 'there');
    assert.equal(await leaving, 0);
  } finally {
    await daemon.remove();
  }
});

/** What a daemon says that is passed these descriptors by these names, and ends with. */
function passed(daemon: TestDaemon, descriptors: readonly number[], count: number, names: string): string {
  const program = `exec env LISTEN_PID=$$ LISTEN_FDS=${count} LISTEN_FDNAMES=${names} "$@"`;
  const { status, stderr } = spawnSync('sh', ['-c', program, 'sh', ...daemon.command()], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe', ...descriptors],
  });
  assert.equal(status, 1, stderr);
  return stderr;
}

test('sockets that are none, or have another name, are refused with a sentence', async () => {
  const daemon = TestDaemon.prepared();
  const file = openSync('/dev/null', 'r');
  const listening = listenUnix(join(daemon.directory, 'listening'), 0o600, 1);
  for (const [descriptors, count, names, sentence] of [
    [[file], 1, 'guest', /"guest" is no listening Unix stream socket/],
    [[listening], 1, 'http', /passed a socket named "http"; name it guest or control/],
    [[listening], 3, 'guest', /passed 3 sockets, but 1 names/],
    [[listening, listening], 2, 'guest:guest', /two sockets named "guest"/],
  ] as const) {
    assert.match(passed(daemon, descriptors, count, names), sentence);
  }
  closeSync(file);
  closeSync(listening);
  await daemon.remove();
});

test('what another version has kept, or is no connection at all, is let go of', async () => {
  const daemon = await TestDaemon.startWithSockets();
  try {
    await daemon.create('c1', { 'user.mark': 'here' });
    await daemon.end();
    const file = openSync('/dev/null', 'r');
    await daemon.run([], { kept: file, 'kept.7': file, operator: file, 'kept.of.another.version': file });
    closeSync(file);
    assert.equal((await daemon.client.instances.get('c1')).config['user.mark'], 'here');
  } finally {
    await daemon.remove();
  }
});

test('a state directory that cannot be used is named', async () => {
  await assert.rejects(TestDaemon.start(['--state-dir', '/dev/null/state']), /The --state-dir cannot be used: ENOTDIR/);
});

test('a daemon that stops leaves the store in one file, and no socket', async () => {
  const daemon = await TestDaemon.start();
  await daemon.create('c1', { 'user.mark': 'here' });
  const wal = join(daemon.stateDir, 'devlxd.db-wal');
  assert.ok(readFileSync(wal).length > 0);
  assert.equal(await daemon.end(), 0);
  assert.deepEqual(existsSync(wal) && readFileSync(wal).length > 0, false);
  assert.deepEqual(readdirSync(join(daemon.runDir, 'guest')), []);
  await daemon.remove();
});
