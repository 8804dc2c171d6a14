import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestDaemon, withDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Guests } from './support/guest-processes.js';
import { ask, Session } from './support/http.js';

let guests: Guests;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

const control = (daemon: TestDaemon): string => join(daemon.runDir, 'control.sock');

function said(daemon: TestDaemon, sentence: string): boolean {
  return daemon.log.some(({ msg }) => msg.includes(sentence));
}

function check(daemon: TestDaemon): string {
  const [program, script] = daemon.command() as [string, string];
  return spawnSync(program, [script, 'check', '--run-dir', daemon.runDir], { encoding: 'utf8' }).stdout;
}

test('socket files that are removed under a daemon are there again, also after a takeover', async () => {
  await withDaemon(async (daemon) => {
    const guest = guests.one();
    await daemon.register('c1', guest.pid, { 'user.mark': 'here' });
    const session = new Session(guest.connect(daemon.socket));
    for (const path of [daemon.socket, control(daemon), dirname(daemon.socket)]) {
      rmSync(path, { recursive: true });
      await eventually('bound again', () => existsSync(daemon.socket) && existsSync(control(daemon)));
      assert.equal((await ask(guest.connect(daemon.socket), '/1.0/config/user.mark')).body, 'here');
      assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
      assert.equal(await daemon.status('c1'), 'Running');
      assert.equal(await daemon.takeOver(), 0);
    }
    assert.equal(await daemon.end(), 0);
    assert.deepEqual([existsSync(control(daemon)), existsSync(daemon.socket)], [false, false]);
    await session.close();
  });
});

test('a second daemon on a used run directory is refused, also when its files are gone', async () => {
  await withDaemon(async (daemon) => {
    const [program, ...options] = daemon.command(['--state-dir', join(daemon.directory, 'other')]);
    const second = (): string => spawnSync(program, options, { encoding: 'utf8' }).stderr;
    assert.match(second(), /Another process listens on|uses the --run-dir/);
    process.kill(daemon.pid, 'SIGSTOP'); // so that it cannot bind them again meanwhile
    for (const path of [daemon.socket, control(daemon)]) rmSync(path);
    assert.match(second(), new RegExp(`A devlxd \\(pid ${daemon.pid}\\) uses the --run-dir`));
    process.kill(daemon.pid, 'SIGCONT');
    await eventually('bound again', () => existsSync(control(daemon)));
    await daemon.end('SIGKILL');
    await daemon.run(); // what a killed daemon has left bothers nobody
  });
});

test("a daemon that stops leaves another's sockets alone, and says before that they are in its place", async () => {
  await withDaemon(async (daemon) => {
    const others = [daemon.socket, control(daemon)].map((path) => {
      const server = createServer().listen(`${path}.new`);
      return { server, path };
    });
    await Promise.all(others.map(({ path }) => eventually('it listens', () => existsSync(`${path}.new`))));
    assert.equal(await daemon.metric('devlxd_socket_reachable', { socket: 'guest' }), 1);
    const [guestSocket] = others as [(typeof others)[number]];
    renameSync(`${guestSocket.path}.new`, guestSocket.path);
    await eventually('it is said', () => said(daemon, 'another process has put its own file'));
    assert.equal(await daemon.metric('devlxd_socket_reachable', { socket: 'guest' }), 0);
    assert.match(check(daemon), /sockets that lead elsewhere: guest/);
    renameSync(`${control(daemon)}.new`, control(daemon));
    assert.equal(await daemon.end(), 0);
    assert.deepEqual(
      others.map(({ path }) => existsSync(path)),
      [true, true],
    );
    for (const { server } of others) server.close();
  });
});

test('a directory of guests that is made anew is noticed and said', async () => {
  await withDaemon(async (daemon) => {
    const directory = dirname(daemon.socket);
    renameSync(directory, `${directory}.old`);
    mkdirSync(directory);
    await eventually('it is said', () => said(daemon, 'the directory of the guest socket was replaced'));
    await eventually('bound again', () => readdirSync(directory).includes('sock'));
    assert.equal(await daemon.metric('devlxd_guest_directory_replaced'), 1);
    assert.match(check(daemon), /directory of the guest socket: replaced/);
  });
});

test('files of sockets that were passed are not made again, but missed', async () => {
  await withDaemon(
    async (daemon) => {
      rmSync(daemon.socket);
      await eventually('it is said', () => said(daemon, 'restart the unit that binds it'));
      assert.equal(await daemon.metric('devlxd_socket_reachable', { socket: 'guest' }), 0);
      assert.equal(existsSync(daemon.socket), false);
    },
    [],
    (options) => TestDaemon.startWithSockets(options),
  );
});

test('what is no socket in the place of one is left there, named at the start, and answered beside', async () => {
  const make: Readonly<Record<string, (path: string) => void>> = {
    'a directory': (path) => mkdirSync(join(path, 'inside'), { recursive: true }),
    'a symbolic link': (path) => symlinkSync('/nonexistent/socket', path),
    'a file': (path) => writeFileSync(path, 'kept'),
    'a FIFO or a device': (path) => assert.equal(spawnSync('mkfifo', [path]).status, 0),
  };
  await withDaemon(async (daemon) => {
    await daemon.register('c1', guests.one().pid, {});
    for (const [n, [kind, put]] of Object.entries(make).entries()) {
      const path = n % 2 === 0 ? daemon.socket : control(daemon);
      process.kill(daemon.pid, 'SIGSTOP'); // so that it cannot be bound again in between
      rmSync(path);
      put(path);
      process.kill(daemon.pid, 'SIGCONT');
      await eventually('it is said', () => said(daemon, 'another process has put its own file'));
      assert.equal(await daemon.end(), 0);
      const sentence = `${path} is ${kind}, not a socket`;
      await assert.rejects(daemon.run(), new RegExp(`${sentence}; remove it, or choose another --run-dir`));
      assert.match(check(daemon), new RegExp(`BAD +run directory[^]*${sentence}`));
      rmSync(path, { recursive: true });
      await daemon.run();
      assert.equal(await daemon.status('c1'), 'Running');
      daemon.log.length = 0;
    }
  });
});
