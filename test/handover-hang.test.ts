import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { packageRoot } from '../src/package-root.js';
import { TestDaemon, withDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { failedHandover } from './support/failed-handover.js';
import { Guests } from './support/guest-processes.js';
import { Session } from './support/http.js';

const given = (seconds: number): string[] => ['--handover-seconds', `${seconds}`];

let guests: Guests;
/** Gives up one new process after the other. */
let old: TestDaemon;

before(async () => {
  guests = new Guests();
  old = await TestDaemon.start(given(1));
});

after(async () => {
  await guests.close();
  await old.remove();
});

let instances = 0;

/** With a guest that asks all the while on one connection: while nobody answers, its request waits. */
async function withGuest(daemon: TestDaemon, work: () => Promise<void>): Promise<void> {
  const guest = guests.one();
  const name = `c${++instances}`;
  await daemon.register(name, guest.pid, { 'user.mark': 'here' });
  const session = new Session(guest.connect(daemon.socket));
  const ask = async (): Promise<void> => assert.equal((await session.ask('/1.0/config/user.mark')).body, 'here');
  let over = false;
  const asking = (async () => {
    for (; !over; await pause(2)) await ask();
  })();
  await Promise.race([work(), asking]);
  over = true;
  await asking;
  await ask();
  await daemon.set(name, { 'user.again': 'stored' });
  assert.equal(await daemon.status(name), 'Running');
  await session.close();
}

/** It gives up the process that start makes, kills it, and goes on. */
async function givesUp(start: (daemon: TestDaemon) => ChildProcess): Promise<void> {
  await withGuest(old, async () => {
    const before = old.log.length;
    assert.deepEqual(await once(start(old), 'exit'), [null, 'SIGKILL']);
    await eventually('the old process goes on', () => {
      const failed = old.log.findIndex(({ outcome }, index) => index >= before && outcome === 'hung');
      return failed >= 0 && old.log.slice(failed).some(({ msg }) => msg === 'ready');
    });
  });
}

const stopping = `--import ${join(packageRoot, 'dist/test/support/stop-at-line.js')}`;

for (const line of ['devlxd starts', 'store loaded', 'listening']) {
  test(`a new process that is stopped at "${line}" is given up: the old one goes on with everything`, () =>
    givesUp((daemon) => {
      const [program, ...options] = daemon.command(['--takeover']);
      const environment = { ...process.env, NODE_OPTIONS: stopping, STOP_AT_LINE: line };
      return spawn(program, options, { stdio: 'ignore', env: environment });
    }));
}

const upgrade =
  'GET /1.0/takeover HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade\\r\\nUpgrade: devlxd-takeover\\r\\n\\r\\n';
const asking = `import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'${upgrade}')
`;

for (const [how, program] of Object.entries({
  'never reads': 'time.sleep(600)',
  'stops reading half-way': 's.recv(130); time.sleep(600)',
  'reads everything and never says ready': 'while b\'"count":0\' not in s.recv(65536): pass\ntime.sleep(600)',
  'says something else': "s.sendall(b'read'); s.sendall(b'y?\\n'); time.sleep(600)",
})) {
  test(`a new process that ${how} is given up: the old one goes on with everything`, () =>
    givesUp(({ runDir }) =>
      spawn('python3', ['-c', asking + program, join(runDir, 'control.sock')], { stdio: 'inherit' }),
    ));
}

test('an old process that is stopped is given up: the new one says so, and the old one goes on later', async () => {
  const environment = { NODE_OPTIONS: stopping, STOP_AT_LINE: 'another devlxd takes over' };
  await withDaemon(
    async (daemon) => {
      await withGuest(daemon, async () => {
        assert.match(await failedHandover(daemon, []), /does not hand over: it has hung for 1 seconds/);
        process.kill(daemon.pid, 'SIGCONT');
      });
    },
    given(1),
    (options) => TestDaemon.start(options, environment),
  );
});

test('an old process that stood still while the new one became ready hears of it, and ends', async () => {
  await withDaemon(async (daemon) => {
    await withGuest(daemon, async () => {
      const stopped = daemon.pid;
      const leaving = daemon.takeOver();
      await eventually('everything is there', () => daemon.log.some(({ msg }) => msg === 'taken over'));
      process.kill(stopped, 'SIGSTOP');
      await eventually('it is ready', () => daemon.log.filter(({ msg }) => msg === 'ready').length === 2);
      await pause(3500); // longer than --handover-seconds, which this test cannot see pass in a stopped process
      process.kill(stopped, 'SIGCONT');
      assert.equal(await leaving, 0);
    });
    assert.equal(await daemon.end(), 0);
  }, given(3));
});
