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

const patient = ['--limit-hold-seconds', '60'];

let guests: Guests;
let managed: ManagedDaemon | undefined;
let daemon: TestDaemon;

before(async () => {
  guests = new Guests();
  daemon = await TestDaemon.start(patient);
});

after(async () => {
  await guests.close();
  await daemon.remove();
  if (managed !== undefined) assert.equal(await managed.remove(), 0);
});

/** Only started by tests of it: with ThreadSanitizer, which its Python cannot live with, none of them runs. */
async function underManager(): Promise<ManagedDaemon> {
  managed ??= await ManagedDaemon.start(patient);
  return managed;
}

const quick = 20;
test('a restart by a service manager: guests that ask all the while are all answered', async () => {
  const managed = await underManager();
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
});

test('a takeover: guests that ask all the while are all answered', async () => {
  const askers = await Askers.start(daemon, guests, quick);
  for (let round = 0; round < 2; round++) {
    assert.equal(await daemon.takeOver(), 0);
    await askers.more(5 * quick);
  }
  await askers.end();
  assert.deepEqual(askers.failures, []);
});

interface Replaced {
  readonly daemon: TestDaemon;
  again(): Promise<unknown>;
}

const restarted = (of: ManagedDaemon): Replaced => ({ daemon: of.daemon, again: () => of.again('restart') });
const takenOver = (of: TestDaemon): Replaced => ({ daemon: of, again: () => of.takeOver() });

/** A daemon that is replaced by another process: the one that is there, or one with options of its own. */
const replacements = {
  'a restart by a service manager': async (work: (replaced: Replaced) => Promise<void>, options?: string[]) => {
    if (options === undefined) return work(restarted(await underManager()));
    const own = await ManagedDaemon.start(options);
    return work(restarted(own)).finally(() => own.remove());
  },
  'a takeover': async (work: (replaced: Replaced) => Promise<void>, options?: string[]) => {
    if (options === undefined) return work(takenOver(daemon));
    return withDaemon((own) => work(takenOver(own)), options);
  },
};

for (const [what, replacing] of Object.entries(replacements)) {
  test(`${what}: operators who change things all the while are all answered, and nothing is lost`, () =>
    replacing(async ({ daemon, again }) => {
      await daemon.create('changed');
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
        change('kept', (n) => daemon.set('changed', { 'user.kept': n })),
        change('new', (n) => operator.metadata('PATCH', '/1.0/instances/changed', { config: { 'user.new': n } })),
      ]);
      for (let round = 0; round < 2; round++) {
        await Promise.race([again(), changing]);
        const enough = changes.kept + changes.new + 10;
        await Promise.race([eventually('more changes', () => changes.kept + changes.new >= enough), changing]);
      }
      ended = true;
      await changing;
      const { config } = await daemon.client.instances.get('changed');
      assert.deepEqual([config['user.kept'], config['user.new']], [`${changes.kept}`, `${changes.new}`]);
    }));
}

function held(daemon: TestDaemon): Promise<number> {
  return daemon.metric('devlxd_guest_requests_held');
}

for (const [what, replacing] of Object.entries(replacements)) {
  for (const identity of ['auto', 'procfs']) {
    const options = identity === 'auto' ? undefined : ['--identity', identity, ...patient];
    test(`${what}: what guests ask who are not registered yet goes along (--identity ${identity})`, () =>
      replacing(async ({ daemon, again }) => {
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
        await daemon.register('first', guest.pid, { 'user.mark': 'here' });
        assert.equal((await asked).body, 'here');
        assert.equal((await silent.ask(path)).body, 'here');
        assert.match(await exchange(half, '\r\n', (text) => text.endsWith('here')), /^HTTP\/1\.1 200 /);
        assert.equal((await ready).status, 200);
        const stream = await hearing;
        await daemon.set('first', { 'user.mark': 'there' });
        await stream.atLeast(1);
        stream.end();
        await daemon.register('second', other.pid, { 'user.mark': 'of another' });
        assert.equal((await others).body, 'of another');
        await silent.close();
      }, options));
  }
}
