import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Askers } from './support/askers.js';
import { TestDaemon, withDaemon } from './support/daemon.js';
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
  await withDaemon(async (daemon) => {
    const askers = await Askers.start(daemon, guests, quick);
    for (let round = 0; round < 2; round++) {
      assert.equal(await daemon.takeOver(), 0);
      await askers.more(5 * quick);
    }
    await askers.end();
    assert.deepEqual(askers.failures, []);
  });
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

function held(daemon: TestDaemon): Promise<number> {
  return daemon.metric('devlxd_guest_requests_held');
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
