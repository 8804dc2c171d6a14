import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiError } from '../src/client/client-errors.js';
import { socketPaths } from '../src/config/paths.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, ended, Session } from './support/http.js';
import { OptionsFile } from './support/options-file.js';

const mostDescriptors = 256;
const measuredMilliseconds = 1500;
const path = '/1.0/config/user.mark';

/** Node raises its own to the hard one. */
const limitAtStart = Number(/^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;
let inside: Session;
const crowd = new Set<Socket>();
const file = new OptionsFile();

before(async () => {
  const noOtherLimit = ['--limit-connections', '100000', '--limit-connections-per-instance', '0'];
  daemon = await TestDaemon.start([...noOtherLimit, '--options-file', file.path]);
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.mark': 'before' });
  inside = new Session(guest.connect(daemon.socket));
  assert.equal((await inside.ask(path)).body, 'before');
  const limit = `--nofile=${mostDescriptors}:${mostDescriptors}`;
  assert.equal(spawnSync('prlimit', ['--pid', String(daemon.pid), limit]).status, 0);
});

after(async () => {
  await inside.close();
  for (const socket of crowd) socket.destroy();
  await guests.close();
  await daemon.remove();
  file.remove();
});

/** Connects until one is dropped; those that got in stay. */
async function fill(): Promise<void> {
  let dropped = 0;
  for (let n = 0; n < 2 * mostDescriptors; n++) {
    const socket = guest.connect(daemon.socket);
    crowd.add(socket);
    ended(socket).then(() => {
      crowd.delete(socket);
      dropped++;
    });
  }
  await eventually('the surplus is dropped', () => dropped >= mostDescriptors);
}

/** Processor time of the daemon, in seconds: proc(5), fields 14 and 15 of stat. */
function processorSeconds(): number {
  const stat = readFileSync(`/proc/${daemon.pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

test('the table of descriptors is as large from the start as it may become', () => {
  const [, size] = /^FDSize:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8')) ?? [];
  assert.ok(Number(size) >= Math.min(limitAtStart, 131_072), `${size} entries, of ${limitAtStart}`);
});

test('full: those inside are answered, newcomers are dropped at once, and the log says why', async () => {
  await fill();
  assert.equal((await inside.ask(path)).body, 'before');
  await ended(guest.connect(daemon.socket));
  await eventually('the line', () => daemon.log.some(({ limit }) => limit === 'descriptors'));
});

test('full: a change is made durable, or refused with a sentence, and is never half made', async (t) => {
  const outcome = await daemon.set('c1', { 'user.mark': 'after' }).then(
    () => 'after',
    (error: unknown) => {
      assert.ok(error instanceof ApiError, String(error));
      t.diagnostic(`refused: ${error.message}`);
      return 'before';
    },
  );
  t.diagnostic(`the guest sees "${outcome}"`);
  assert.equal((await inside.ask(path)).body, outcome);
});

test('full: an operator who is connected is answered, another is dropped like a guest', async () => {
  const measured = await daemon.client.metrics();
  assert.match(measured, /^devlxd_limit_hits_total\{limit="descriptors"\} [1-9]\d*$/m);
  assert.match(measured, /^process_max_fds 256$/m);
  await ended(connect(socketPaths(daemon.runDir).control));
});

test('full: it does not spin, neither idle nor while newcomers come', async (t) => {
  for (const socket of crowd) socket.destroy(); // those who ask nothing for ten seconds are let go
  await fill();
  for (const newcomers of [false, true]) {
    const before = processorSeconds();
    const began = performance.now();
    while (performance.now() - began < measuredMilliseconds) {
      if (newcomers)
        crowd.add(
          guest
            .connect(daemon.socket)
            .on('error', () => undefined)
            .resume(),
        );
      await pause(50);
    }
    const share = (processorSeconds() - before) / ((performance.now() - began) / 1000);
    t.diagnostic(`${newcomers ? 'with newcomers' : 'idle'}: ${(share * 100).toFixed(1)} % of one processor`);
    assert.ok(share < 0.5, `${share}`);
  }
});

test('full: options are read again, and with them what the descriptors leave room for', async () => {
  assert.deepEqual((await file.reload(daemon, 'DEVLXD_LIMIT_PENDING_CALLERS=9'))['changed'], {
    'limit-pending-callers': 9,
  });
  assert.match(await daemon.client.metrics(), /^devlxd_connections_max 191$/m); // of 256, 64 are ours and one is an init's
});

test('when descriptors are free again it takes newcomers by itself', async () => {
  for (const socket of crowd) socket.destroy();
  await eventually('there is room', async () => {
    const answer = await ask(guest.connect(daemon.socket), path).catch(() => undefined);
    return answer?.status === 200;
  });
  await daemon.set('c1', { 'user.mark': 'at last' });
  assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'at last');
  assert.match(await daemon.client.metrics(), /^devlxd_connections \d+$/m);
});

test('guests leave room for instances that start, whose inits take descriptors too', async () => {
  const few = await TestDaemon.start(['--limit-connections-per-instance', '0'], {
    NODE_OPTIONS: `--import=${new URL('./support/few-descriptors.js', import.meta.url).href}`,
  });
  try {
    const room = async () => Number(/^devlxd_connections_max (\d+)$/m.exec(await few.client.metrics())?.[1]);
    const before = await room();
    const inits = Array.from({ length: 20 }, () => guests.one());
    for (const [n, { pid }] of inits.entries()) await few.register(`i${n}`, pid, { 'user.mark': `${n}` });
    assert.equal(await room(), before - inits.length);
    const sockets = Array.from({ length: before }, () => inits[0]?.connect(few.socket) as Socket);
    let closed = 0;
    for (const socket of sockets) ended(socket).then(() => closed++);
    await eventually('the surplus is closed', () => closed === inits.length);
    await few.register('another', guest.pid, { 'user.mark': 'starts' });
    assert.equal(await few.metric('devlxd_limit_hits_total', { limit: 'connections' }), 20);
    for (const socket of sockets) socket.destroy();
    await eventually('it is let in', async () => {
      const answer = await ask(guest.connect(few.socket), path).catch(() => undefined);
      return answer?.body === 'starts';
    });
  } finally {
    await few.remove();
  }
});
