import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { TestDaemon } from './support/daemon.js';
import { EventStream } from './support/event-stream.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Session } from './support/http.js';

// Whatever an operator writes, the guest reads and hears: any key, any Unicode value, byte for byte.

type Config = Readonly<Record<string, string>>;

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid);
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

const keys = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }).map((name) => `user.${name}`);
const values = fc.string({ unit: 'binary', maxLength: 300 });
const configs = fc.dictionary(keys, values, { maxKeys: 12, noNullPrototype: true });

async function put(config: Config): Promise<void> {
  await daemon.client.instances.edit('c1', ({ config: before, devices }) => {
    const own = Object.entries(before).filter(([key]) => key.startsWith('volatile.'));
    return { config: { ...Object.fromEntries(own), ...config }, devices };
  });
}

/** What the guest's events must say of a change, in their order. */
function happenings(before: Config, after: Config): { key: string; old_value: string; value: string }[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .sort()
    .map((key) => ({ key, old_value: before[key] ?? '', value: after[key] ?? '' }))
    .filter(({ old_value, value }) => old_value !== value);
}

async function reads(config: Config): Promise<void> {
  const set = Object.keys(config).filter((key) => config[key] !== '');
  const session = new Session(guest.connect(daemon.socket));
  const list = JSON.parse((await session.ask('/1.0/config')).body) as string[];
  assert.deepEqual(list, set.map((key) => `/1.0/config/${key}`).sort());
  for (const key of set) {
    const { status, body } = await session.ask(`/1.0/config/${encodeURIComponent(key)}`);
    assert.deepEqual([status, body], [200, config[key]]);
  }
  await session.close();
}

test('any configuration comes back by the API, as events on both kinds of stream, and after kill -9', async () => {
  const streams = [await EventStream.webSocket(guest, daemon.socket), await EventStream.chunked(guest, daemon.socket)];
  let current: Config = {};
  let heard = 0;
  const property = fc.asyncProperty(configs, async (config) => {
    const expected = happenings(current, config);
    await put(config);
    current = config;
    await reads(config);
    for (const { events } of streams) {
      await eventually('the events', () => events.length >= heard + expected.length);
      assert.deepEqual(
        events.slice(heard).map(({ metadata }) => metadata),
        expected,
      );
    }
    heard += expected.length;
  });
  await fc.assert(property, { numRuns: 60 });
  for (const stream of streams) stream.end();
  await daemon.end('SIGKILL');
  await daemon.run();
  await reads(current);
});

test('half a surrogate pair is no text: refused by name, and nothing changes', async () => {
  await put({ 'user.a': 'before' });
  for (const config of [{ 'user.a': 'x\ud800' }, { 'user.\udfff': 'x' }]) {
    await assert.rejects(daemon.set('c1', config), /config\.user\..*: not Unicode: it has .* half of a surrogate pair/);
  }
  await reads({ 'user.a': 'before' });
});
