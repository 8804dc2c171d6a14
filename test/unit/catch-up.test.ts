import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings } from '../../src/config/options.js';
import { publish } from '../../src/daemon/publish.js';
import type { GuestDispatcher } from '../../src/guest/dispatcher.js';
import { catchUp } from '../../src/guest/events/catch-up.js';
import { Listeners } from '../../src/guest/events/listeners.js';
import { newInstance } from '../../src/instances/edit.js';
import { createProfile, editProfile } from '../../src/instances/profile-table.js';
import type { RunningInstances } from '../../src/instances/running-instances.js';
import type { LimitHits } from '../../src/limits/limit-hits.js';
import type { Log } from '../../src/log.js';
import type { WrittenChange } from '../../src/model/changes.js';
import type { GuestEvent } from '../../src/model/guest-events.js';
import type { Instance } from '../../src/model/instance.js';
import { storedRegistry } from '../support/registry.js';

const { limits } = readSettings({}, {});
const { registry } = storedRegistry();
const listeners = new Listeners();
registry.on('changes', (changes) => listeners.deliver(changes));

const types = new Set(['config', 'device'] as const);
const mostBytes = 1 << 20;

async function create(name: string): Promise<number> {
  const wanted = { config: new Map(), devices: new Map() };
  return registry.transact((transaction) => {
    const run = { pid: 1, startTicks: 1, bootId: 'b' };
    const instance = { ...newInstance(transaction.newId(), 'default', name, wanted, limits), run };
    transaction.create(instance);
    return instance.id;
  });
}

function set(name: string, config: Record<string, string>): Promise<void> {
  return registry.transact((transaction) => {
    const before = transaction.need('default', name);
    transaction.replace(before, { ...before, config: new Map([...before.config, ...Object.entries(config)]) });
  });
}

/** A store whose answer is held back: the work of the moment between reading and answering. */
function held() {
  let release: () => void = () => undefined;
  const free = new Promise<void>((resolve) => {
    release = resolve;
  });
  let read: Promise<unknown> = Promise.resolve();
  const eventsAfter: typeof registry.eventsAfter = async (...asked) => {
    const answer = registry.eventsAfter(...asked);
    read = answer;
    await free;
    return answer;
  };
  return { registry: { eventsAfter }, release, read: () => read };
}

const valuesOf = (events: readonly GuestEvent[] | undefined) =>
  events?.map(({ text }) => (JSON.parse(text) as { metadata: { value: string } }).metadata.value);

const long = '2020-01-01T00:00:00.000000000Z';

for (const readsFirst of [true, false]) {
  test(`what is written ${readsFirst ? 'after' : 'before'} the store has read, and before it answers, is heard once`, async () => {
    const name = readsFirst ? 'first' : 'second';
    const instanceId = await create(name);
    await set(name, { 'user.n': '1' });
    const store = held();
    let begun: readonly GuestEvent[] | undefined;
    const heard: GuestEvent[] = [];
    const listener = { types, send: (event: GuestEvent) => heard.push(event) > 0, end: () => undefined };
    // Written in the same turn, the change is durable before the store is asked.
    const earlier = readsFirst ? undefined : set(name, { 'user.n': '2' });
    await earlier;
    const done = catchUp(store.registry, listeners, { instanceId, types, since: long, mostBytes }, (missed) => {
      begun = missed;
      listeners.add(instanceId, listener);
    });
    await store.read();
    if (readsFirst) await set(name, { 'user.n': '2' });
    store.release();
    await Promise.all([done, set(name, { 'user.n': '3' })]);
    assert.deepEqual(valuesOf([...(begun ?? []), ...heard]), ['1', '2', '3']);
    assert.equal(listeners.of(instanceId), 1);
    listeners.remove(instanceId, listener);
  });
}

test('an event that is delivered while the store still reads it is in both, and heard once', async () => {
  const instanceId = await create('both');
  const store = held();
  let begun: readonly GuestEvent[] | undefined;
  const writing = set('both', { 'user.n': '1' }); // on its way: delivered after the listener has begun to catch up
  const done = catchUp(
    { eventsAfter: async (...asked) => writing.then(() => store.registry.eventsAfter(...asked)) },
    listeners,
    { instanceId, types, since: long, mostBytes },
    (missed) => {
      begun = missed;
    },
  );
  await writing;
  store.release();
  await done;
  assert.deepEqual(valuesOf(begun), ['1']);
});

test('what a profile changed while its instance was stopped is missed, also once the instance has it no more', async () => {
  const wanted = { description: '', config: new Map([['user.p', '1']]), devices: new Map() };
  const run = { pid: 1, startTicks: 1, bootId: 'b' };
  const change = (to: () => Partial<Instance>) =>
    registry.transact((transaction) => {
      const before = transaction.need('default', 'loses');
      transaction.replace(before, { ...before, ...to() });
    });
  const instanceId = await create('loses');
  await registry.transact((transaction) => createProfile(transaction, 'default', 'p', wanted, limits));
  await change(() => ({ profiles: [registry.needProfile('default', 'p')] }));
  const [seen] = (await registry.eventsAfter(instanceId, long, mostBytes)) ?? [];
  await change(() => ({ run: undefined }));
  await registry.transact((transaction) =>
    editProfile(transaction, transaction.profiles.need('default', 'p'), { ...wanted, config: new Map() }, limits),
  );
  await change(() => ({ profiles: [] }));
  await change(() => ({ run }));
  assert.equal(await registry.eventsAfter(instanceId, seen?.timestamp ?? '', mostBytes), undefined);
  await set('loses', { 'user.q': '1' });
  const { changedAt } = registry.needProfile('default', 'p');
  assert.deepEqual(valuesOf(await registry.eventsAfter(instanceId, changedAt, mostBytes)), ['1']);
});

test('streams that are ended while one of them catches up: it is told', async () => {
  const instanceId = await create('ended');
  const store = held();
  let told: boolean | undefined;
  const done = catchUp(store.registry, listeners, { instanceId, types, since: long, mostBytes }, (_, ended) => {
    told = ended;
  });
  listeners.end(instanceId, 1008, 'security.devlxd is false');
  store.release();
  await done;
  assert.equal(told, true);
  assert.equal(listeners.of(instanceId), 0);
});

test('a change is answered before it is heard of, and heard of before its instance is stopped; one step that fails stops no other', () => {
  const order: string[] = [];
  const lines: unknown[] = [];
  const step = (name: string) => () => {
    order.push(name);
    if (name === 'deliver') throw new Error('on purpose');
  };
  publish(
    [] as WrittenChange[],
    {
      running: { changed: step('changed'), ended: step('ended') } as unknown as RunningInstances,
      listeners: { deliver: step('deliver') } as unknown as Listeners,
      dispatcher: { forget: step('forget') } as unknown as GuestDispatcher,
      limitHits: { deliver: step('limits') } as unknown as LimitHits,
    },
    { error: (fields: { step: string }) => lines.push(fields.step) } as unknown as Log,
  );
  assert.deepEqual(order, ['changed', 'deliver', 'ended', 'forget', 'limits']);
  assert.deepEqual(lines, ['events']);
});
