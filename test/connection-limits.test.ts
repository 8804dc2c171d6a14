import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { LimitLog } from '../src/metrics/limit-log.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, ended } from './support/http.js';
import { type connectionLimits, hitsOf, type LimitCase, testLimits } from './support/limit-cases.js';
import { stalled } from './support/stalled.js';

const limits = {
  'connections-per-instance': 6,
  connections: 12,
  'connections-nonroot': 2,
  'connections-unregistered': 4,
  'connections-unidentified': 4,
  'connections-per-uid': 3,
  'pending-callers': 1,
  'hold-seconds': 1,
};

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;
const open: Socket[] = [];

before(async () => {
  const options = Object.entries(limits).flatMap(([name, value]) => [`--limit-${name}`, String(value)]);
  daemon = await TestDaemon.start(options);
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.a': '1' });
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

/** A connection that says this and reads nothing. */
function stall(from: Guest, text = ''): Socket {
  const socket = stalled(from, daemon.socket, text);
  open.push(socket);
  return socket;
}

const cases: Record<(typeof connectionLimits)[number], LimitCase> = {
  'connections-per-instance': {
    instance: 'c1',
    reach: () =>
      ended(Array.from({ length: limits['connections-per-instance'] + 1 }, () => stall(guest)).at(-1) as Socket),
  },
  connections: {
    instance: 'c1',
    reach: async () => {
      for (const [n, one] of guests.spawn(limits.connections).entries()) {
        await daemon.register(`full${n}`, one.pid);
        stall(one);
      }
      await ended(guest.connect(daemon.socket));
    },
  },
  'connections-nonroot': {
    instance: 'c1',
    reach: () =>
      ended(
        Array.from({ length: limits['connections-nonroot'] + 1 }, () => guest.connect(daemon.socket, { uid: 1000 })).at(
          -1,
        ) as Socket,
      ),
  },
  'connections-unregistered': {
    reach: async () => {
      const stranger = guests.one();
      const count = limits['pending-callers'] + limits['connections-unregistered'];
      const silent = Array.from({ length: count }, () => stall(stranger));
      await ended(stranger.connect(daemon.socket));
      assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 200);
      for (const socket of silent) socket.destroy();
    },
  },
  'connections-unidentified': {
    reach: async () => {
      // A child that is still alive when the daemon accepts is identified: again, until enough were not.
      const before = await hitsOf(daemon, 'connections-unidentified');
      for (let n = 0; n < 100 && (await hitsOf(daemon, 'connections-unidentified')) === before; n++) {
        const socket = guest.connect(daemon.socket, { child: true, dies: 'exit', uid: n % 3 });
        open.push(socket.on('error', () => undefined));
      }
    },
  },
  'connections-per-uid': {
    reach: async () => {
      const held = Array.from({ length: limits['connections-per-uid'] }, () => connect(daemon.socket));
      for (const socket of held) open.push(socket.on('error', () => undefined));
      await ended(connect(daemon.socket));
      assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 200);
      for (const socket of held) socket.destroy();
      await eventually('they count no more', async () => (await ask(connect(daemon.socket), '/1.0')).status === 500);
    },
  },
  'pending-callers': {
    reach: async () => {
      const stranger = guests.one();
      await Promise.all([1, 2, 3].map(() => ask(stranger.connect(daemon.socket), '/1.0')));
    },
  },
  'hold-seconds': { reach: async () => ask(guests.one().connect(daemon.socket), '/1.0') },
  unidentified: { reach: () => ask(connect(daemon.socket), '/1.0') },
};

testLimits(cases, () => daemon, open);

test('a flood by many instances: all that it writes is bounded, and counts each refusal', async () => {
  const refusal = 'connections-per-instance';
  const flood = await TestDaemon.start(['--limit-connections-per-instance', '1']);
  try {
    const crowd = guests.spawn(30);
    for (const [n, { pid }] of crowd.entries()) await flood.register(`f${n}`, pid);
    for (const one of crowd) {
      open.push(one.connect(flood.socket));
      await Promise.all(Array.from({ length: 40 }, () => ended(one.connect(flood.socket))));
    }
    await flood.end();
    const lines = flood.log.filter(({ limit }) => limit === refusal);
    const rest = flood.log.filter(({ msg }) => msg === 'limits reached by more instances');
    const times = [...lines, ...rest].reduce((sum, line) => sum + Number(line['times']), 0);
    assert.equal(times, 30 * 40);
    assert.ok(lines.length <= 2 * LimitLog.mostLines, `${lines.length} lines`);
    assert.ok(rest.length >= 1 && rest.length <= 2);
    assert.ok(lines.every((line) => /^f\d+$/.test(String(line['instance']))));
  } finally {
    for (const socket of open.splice(0)) socket.destroy();
    await flood.remove();
  }
});
