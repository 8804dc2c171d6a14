// A source whose guests' directory is mounted in a mount namespace of its own only, as LXD's is in its snap.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { metricValue, samplesOf } from '../src/metrics/exposition.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { FakeLxd } from './support/fake-lxd.js';

const listening = `require('http').createServer((_, response) => response.end('of LXD'))
  .listen(process.argv[1], () => process.stdout.write('listening'))`;
/** A /var of its own, in which each of these directories, DIRECTORY HOST'S, is one of the host. */
const withVar = `mount -t tmpfs tmpfs /var; set -- $0 -- "$@"
while [ "$1" != -- ]; do mkdir -p "/var/$1"; mount --bind "$2" "/var/$1"; shift 2; done
shift; exec "$@"`;
const inside = 'mount -t tmpfs -o mode=755 tmpfs "$1" && exec "$0" -e "$2" "$1/sock"';

describe('a source in a mount namespace of its own', {
  skip: process.getuid?.() === 0 ? false : 'needs root, to make mount namespaces',
}, () => {
  let lxd: FakeLxd;
  let directory: string;
  const started: ChildProcess[] = [];

  beforeEach(async () => {
    lxd = new FakeLxd();
    await lxd.start();
    directory = dirname(lxd.guestSocket);
    rmSync(lxd.guestSocket);
  });

  afterEach(async () => {
    for (const child of started.splice(0)) await ended(child);
    await lxd.remove();
  });

  /** The daemon itself; the fake answers on its API. */
  async function daemonInside(): Promise<ChildProcess> {
    const words = ['-m', 'sh', '-c', inside, process.execPath, directory, listening];
    const child = spawn('unshare', words, { stdio: ['ignore', 'pipe', 'inherit'] });
    started.push(child);
    await once(child.stdout, 'data');
    lxd.serverPid = child.pid as number;
    return child;
  }

  async function ended(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }

  /** Who answers in that directory, as the daemon in there and its guests see it. */
  function whoAnswers(child: ChildProcess, path = `/proc/${child.pid}/root${directory}/sock`): Promise<string> {
    return new Promise((resolve) => {
      get({ socketPath: path, path: '/', headers: { host: 'lxd' }, agent: false }, (response) => {
        response.resume();
        resolve(response.headers['uwebsockets'] === undefined ? 'LXD' : 'devlxd');
      }).on('error', ({ message }) => resolve(message));
    });
  }

  const answeredBy = (child: ChildProcess, wanted: string) =>
    eventually(`${wanted} answers`, async () => (await whoAnswers(child)) === wanted);

  async function whileItRuns(work: (daemon: TestDaemon) => Promise<void>): Promise<void> {
    const daemon = await TestDaemon.start(['--source', `lxd:${lxd.socket}`]);
    try {
      await work(daemon);
    } finally {
      await daemon.remove();
    }
  }

  async function taken(daemon: TestDaemon): Promise<{ value: number; labels: Readonly<Record<string, string>> }> {
    const found = samplesOf(await daemon.client.metrics()).find(({ name }) => name === 'devlxd_source_socket_taken');
    assert.ok(found);
    return found;
  }

  const checked = (daemon: TestDaemon): { value: string; state: string } =>
    JSON.parse(new CommandLine(() => daemon).run(['check', '--json']).stdout).find(
      ({ what }: { what: string }) => what === "source's guest socket",
    );

  test('its socket is taken in there and given back, and nothing is left on the host', async () => {
    const child = await daemonInside();
    await whileItRuns(async (daemon) => {
      await answeredBy(child, 'devlxd');
      assert.deepEqual(readdirSync(directory), []);
      const path = `/proc/${child.pid}/root${directory}/sock`;
      const { value, labels } = await taken(daemon);
      assert.deepEqual([value, { ...labels }], [1, { path, reason: '' }]);
      assert.deepEqual([checked(daemon).value, checked(daemon).state], [`taken, ${path}`, 'ok']);
    });
    assert.equal(await whoAnswers(child), 'LXD');
    assert.deepEqual(readdirSync(`/proc/${child.pid}/root${directory}`), ['sock']);
  });

  test('it ends: guests are answered as before; another with another directory starts: it is taken there', async () => {
    const first = await daemonInside();
    await whileItRuns(async (daemon) => {
      await answeredBy(first, 'devlxd');
      await ended(first);
      await lxd.stop();
      const held = heldBy(daemon);
      assert.equal(await whoAnswers(first, `${held}/sock`), 'devlxd');
      await lxd.start();
      rmSync(lxd.guestSocket);
      const second = await daemonInside();
      lxd.hangUp();
      await answeredBy(second, 'devlxd');
      // Guests that have run all the while have the first one mounted, and no other.
      assert.equal(await whoAnswers(first, `${held}/sock`), 'devlxd');
      assert.deepEqual(readdirSync(directory), []);
    });
  });

  test('it is away when devlxd starts: what was made on the host meanwhile is removed when it comes', async () => {
    const first = await daemonInside();
    await whileItRuns(async (daemon) => {
      await answeredBy(first, 'devlxd');
      await daemon.end('SIGKILL');
      await ended(first);
      await lxd.stop();
      await daemon.run();
      await lxd.start();
      rmSync(lxd.guestSocket);
      mkdirSync(`${directory}/.devlxd`, { mode: 0o700 }); // as one that was killed leaves it
      const second = await daemonInside();
      lxd.hangUp();
      await answeredBy(second, 'devlxd');
    });
  });

  test('where it cannot be found, and where it cannot be written, the log, a metric and check say so', async () => {
    const child = await daemonInside();
    const { serverPid } = lxd;
    lxd.serverPid = 2 ** 22;
    await whileItRuns(async (daemon) => {
      await eventually('the log says so', () =>
        daemon.log.some(({ msg }) => msg === "the source's guest socket cannot be taken"),
      );
      const { value, labels } = await taken(daemon);
      assert.deepEqual([value, labels['reason']], [0, `no socket in ${directory}`]);
      assert.deepEqual(checked(daemon), {
        ...checked(daemon),
        value: `not taken: no socket in ${directory}`,
        state: 'bad',
      });
      assert.deepEqual(readdirSync(directory), [], 'a socket that no guest sees was bound');
      assert.equal(await whoAnswers(child), 'LXD');
      lxd.serverPid = serverPid;
      lxd.hangUp();
      await answeredBy(child, 'devlxd');
      assert.equal(metricValue(samplesOf(await daemon.client.metrics()), 'devlxd_source_socket_taken'), 1);
      assert.equal(checked(daemon).state, 'ok');
    });
    await remounted(child, 'ro');
    await whileItRuns(async (daemon) => {
      await eventually('a metric says so', async () => (await taken(daemon)).labels['reason'] === 'EROFS');
      assert.equal(checked(daemon).value, 'not taken: EROFS');
      await remounted(child, 'rw');
      await answeredBy(child, 'devlxd');
      assert.equal(checked(daemon).state, 'ok');
    });
  });

  async function remounted(child: ChildProcess, how: 'ro' | 'rw'): Promise<void> {
    const words = ['-t', String(child.pid), '-m', 'mount', '-o', `remount,${how}`, directory];
    const [code] = await once(spawn('nsenter', words, { stdio: 'inherit' }), 'exit');
    assert.equal(code, 0);
  }

  /** By a descriptor, as the daemon holds the directory: no process is left that sees it under its name. */
  function heldBy(daemon: TestDaemon): string {
    const fds = `/proc/${daemon.pid}/fd`;
    const fd = readdirSync(fds).find((each) => {
      try {
        return readdirSync(`${fds}/${each}`).includes('.devlxd');
      } catch {
        return false;
      }
    });
    assert.ok(fd, 'the directory is not held');
    return `/proc/self/fd/${openSync(`${fds}/${fd}`, constants.O_DIRECTORY)}`;
  }

  test("without a path the snap's socket is found, unless a packaged LXD listens on its own", async () => {
    const packaged = new FakeLxd();
    await packaged.start();
    const daemon = TestDaemon.prepared(['--source', 'lxd']);
    try {
      for (const [given, found] of [
        [['snap/lxd/common/lxd', dirname(lxd.socket)], '/var/snap/lxd/common/lxd/unix.socket'],
        [['snap/lxd/common/lxd', dirname(lxd.socket), 'lib/lxd', dirname(packaged.socket)], '/var/lib/lxd/unix.socket'],
      ] as const) {
        const child = spawn('unshare', ['-m', 'sh', '-c', withVar, given.join(' '), ...daemon.command()], {
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        started.push(child);
        const lines = createInterface({ input: child.stderr });
        for await (const line of lines)
          if (line.includes('"source read"')) {
            assert.equal(JSON.parse(line).socket, found);
            break;
          }
        await ended(child);
      }
    } finally {
      await daemon.remove();
      await packaged.remove();
    }
  });
});
