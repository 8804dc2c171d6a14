import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { InFlight } from '../../src/concurrency/in-flight.js';
import { handoverFromManager } from '../../src/daemon/systemd.js';
import type { Gate } from '../../src/gate/gate.js';
import {
  byConnectionName,
  connectionName,
  connectionNamed,
  withinEnvironment,
} from '../../src/handover/connection-names.js';
import { admitGuests } from '../../src/handover/connections.js';
import type { HandoverConnection } from '../../src/handover/protocol.js';
import type { RunningInstances } from '../../src/instances/running-instances.js';

const callers = [
  undefined,
  { instanceId: 1, startTicks: 0, root: false },
  { instanceId: 2 ** 40, startTicks: 2 ** 50, root: true },
];

test('the name of a connection says which caller it is of, as systemd allows names to be', () => {
  for (const caller of callers) {
    const name = connectionName({ socket: 'guest', caller });
    assert.match(name, /^[\x21-\x7e]{1,255}$/);
    assert.ok(!name.includes(':'));
    assert.deepEqual(connectionNamed(name, 7), { fd: 7, socket: 'guest', caller });
  }
  assert.deepEqual(connectionNamed(connectionName({ socket: 'control', caller: undefined }), 7), {
    fd: 7,
    socket: 'control',
    caller: undefined,
  });
  const held = { socket: 'guest', caller: undefined, startTicks: 2 ** 50, ticket: 2 ** 40 } as const;
  assert.deepEqual(connectionNamed(connectionName(held), 7), { fd: 7, ...held });
  for (const other of [
    'guest',
    'held.1',
    'held.0.1',
    'held.1.2.3',
    'connection.',
    'connection.1.2',
    'connection.1.2.3',
    'connection.1.2.1.',
    'connection.-1.2.1',
    'xconnection.1.2.1',
  ])
    assert.equal(connectionNamed(other, 7), undefined, other);
});

test('connections of the same name go together, so many at a time', () => {
  const connections = Array.from(
    { length: 10 },
    (_, fd): HandoverConnection => ({ fd, socket: 'guest', caller: callers[fd % 2] }),
  );
  assert.deepEqual(byConnectionName(connections, 3), [
    ['connection', [0, 2, 4]],
    ['connection', [6, 8]],
    ['connection.1.0.0', [1, 3, 5]],
    ['connection.1.0.0', [7, 9]],
  ]);
  assert.deepEqual(byConnectionName([], 3), []);
});

test('names of connections never outgrow the environment of the next process', () => {
  const groups = byConnectionName(
    Array.from({ length: 10_000 }, (_, fd) => ({ fd, socket: 'guest', caller: callers[fd % 3] })),
    253,
  );
  const fit = withinEnvironment(groups, 96 * 1024);
  const names = fit.flatMap(([name, fds]) => fds.map(() => name)).join(':');
  assert.ok(names.length <= 96 * 1024 && names.length > 96 * 1024 - 100, `${names.length}`);
  assert.deepEqual(withinEnvironment(groups, 10_000_000), groups);
});

test('a connection of an instance that does not run any more is closed', () => {
  const [stays, goes] = [0, 1].map(() => openSync('/dev/null', 'r')) as [number, number];
  const readmitted: unknown[] = [];
  const gate = { readmit: (...all: unknown[]) => readmitted.push(all) } as unknown as Gate;
  const running = {
    slotOfRun: (id: number, ticks: number) => (id === 1 && ticks === 5 ? 3 : undefined),
  } as RunningInstances;
  admitGuests(gate, running, [
    { fd: stays, socket: 'guest', caller: { instanceId: 1, startTicks: 5, root: true } },
    { fd: goes, socket: 'guest', caller: { instanceId: 1, startTicks: 6, root: true } },
  ]);
  assert.deepEqual(readmitted, [[stays, 3, true, -1]]);
  assert.throws(() => fstatSync(goes), /EBADF/);
  closeSync(stays);
});

test("another process's sockets are not taken, and not passed on", () => {
  const environment = { LISTEN_PID: String(process.pid + 1), LISTEN_FDS: '2', LISTEN_FDNAMES: 'guest:control', X: '1' };
  const { sockets, connections } = handoverFromManager(() => undefined, environment);
  assert.deepEqual([sockets.size, connections.length], [0, 0]);
  assert.deepEqual(Object.keys(environment), ['X']);
});

test('what is under way is waited for, what has begun meanwhile included, and not for ever', async () => {
  const inFlight = new InFlight();
  await inFlight.ended(0);
  const end = inFlight.begin();
  let finish = (): void => undefined;
  inFlight.add(
    new Promise<void>((_, reject) => {
      finish = () => reject(new Error('that it fails does not matter'));
    }),
  );
  await inFlight.ended(0.001);
  let ended = false;
  const waiting = inFlight.ended(0).then(() => {
    ended = true;
  });
  end();
  end();
  await new Promise(setImmediate);
  assert.equal(ended, false);
  finish();
  await waiting;
  assert.equal(ended, true);
});
