import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Fault } from '../../src/errors.js';
import { Registry, type Transaction } from '../../src/instances/registry.js';
import type { Change } from '../../src/model/changes.js';
import type { Instance } from '../../src/model/instance.js';
import { Store } from '../../src/store/store.js';
import { storedRegistry } from '../support/registry.js';

const { registry, store, directory } = storedRegistry();

function instance(id: number, name: string, config: Record<string, string> = {}): Instance {
  return {
    id,
    project: 'default',
    name,
    createdAt: '2026-11-23T12:00:00.000Z',
    config: new Map(Object.entries(config)),
    devices: new Map([['eth0', new Map([['type', 'nic']])]]),
    description: '',
    profiles: [],
    type: 'container',
    guestState: 'Started',
    run: { pid: 1, startTicks: 2, bootId: 'b' },
  };
}

async function create(name: string, config: Record<string, string> = {}): Promise<Instance> {
  return registry.transact((transaction) => {
    const made = instance(transaction.newId(), name, config);
    transaction.create(made);
    return made;
  });
}

test('what a transaction gave is there again when the store is opened anew', async () => {
  const made = await create('kept', { 'user.a': 'ä\n€', 'user.zero': 'a\0b' });
  const elsewhere = mkdtempSync(join(tmpdir(), 'devlxd-registry-'));
  const second = new Store(elsewhere);
  await second.open();
  await second.commit([{ kind: 'instance', before: undefined, after: made, events: [] }]);
  await second.close();
  const third = new Store(elsewhere);
  await third.open();
  const { instances } = await third.load();
  await third.close(); // first: an open store keeps a process of tests that has failed
  rmSync(elsewhere, { recursive: true });
  assert.deepEqual(instances, [made]);
});

test('a transaction that throws changes nothing and disturbs none that is written with it', async () => {
  const failing = registry.transact((transaction) => {
    transaction.create(instance(transaction.newId(), 'half'));
    throw new Error('on purpose');
  });
  const fine = create('whole');
  await assert.rejects(failing, /on purpose/);
  await fine;
  assert.equal(registry.get('default', 'half'), undefined);
  assert.equal(registry.get('default', 'whole')?.name, 'whole');
});

test('of a transaction that throws when much of it has gone to the store nothing is kept, and the next one is whole', async () => {
  const many = (transaction: Transaction, prefix: string): void => {
    for (let n = 0; n < 100; n++)
      transaction.create(instance(transaction.newId(), `${prefix}${n}`, { 'user.long': 'x'.repeat(4000) }));
  };
  const names = () => registry.list().map(({ name }) => name);
  const before = names();
  const failing = registry.transact(async (transaction) => {
    many(transaction, 'given-up-');
    await setImmediate();
    throw new Error('on purpose');
  });
  await assert.rejects(failing, /on purpose/);
  await registry.rehearse((transaction) => many(transaction, 'rehearsed-'));
  assert.deepEqual(names(), before);
  await registry.transact((transaction) => {
    many(transaction, 'whole-');
    for (let n = 0; n < 100; n++) {
      const made = transaction.need('default', `whole-${n}`);
      transaction.replace(made, { ...made, config: new Map([['user.n', String(n)]]) });
      if (n % 2 === 1) transaction.remove(transaction.need('default', `whole-${n}`));
    }
  });
  const copy = join(directory, 'copy', 'devlxd.db');
  mkdirSync(join(directory, 'copy'));
  await store.copyTo(copy);
  const copied = new Store(join(directory, 'copy'));
  await copied.open();
  const { instances } = await copied.load();
  await copied.close();
  const byName = (a: Instance, b: Instance) => (a.name < b.name ? -1 : 1);
  assert.deepEqual(instances.sort(byName), registry.list());
  assert.equal(instances.filter(({ name }) => name.startsWith('whole-')).length, 50);
});

test('transactions in one commit see each other, in order', async () => {
  await create('counter', { 'user.n': '0' });
  const increments = Array.from({ length: 50 }, () =>
    registry.transact((transaction) => {
      const now = transaction.need('default', 'counter');
      const n = Number(now.config.get('user.n')) + 1;
      transaction.replace(now, { ...now, config: new Map([['user.n', String(n)]]) });
      return n;
    }),
  );
  assert.deepEqual(
    await Promise.all(increments),
    Array.from({ length: 50 }, (_, i) => i + 1),
  );
  assert.equal(registry.need('default', 'counter').config.get('user.n'), '50');
});

test('changes are told after they are durable, in their order, before they are answered', async () => {
  const told: string[] = [];
  const listen = (changes: readonly Change[]): void => {
    told.push(...changes.map(({ after }) => after?.name ?? '-'));
  };
  registry.on('changes', listen);
  const answers = ['e1', 'e2', 'e3'].map((name) => create(name).then(() => told.includes(name)));
  assert.deepEqual(told, []);
  assert.deepEqual(await Promise.all(answers), [true, true, true]);
  registry.off('changes', listen);
  assert.deepEqual(told, ['e1', 'e2', 'e3']);
});

test('what is missed is told of a commit only when all of it has been told, in pieces', async () => {
  const stored = {
    load: async () => ({ instances: [], profiles: [], projects: [], lastEvent: undefined }),
    commit: async () => undefined,
    eventsAfter: async () => [],
  };
  const many = new Registry(stored as unknown as Store);
  const told: string[] = [];
  const asked: Promise<number>[] = [];
  many.on('changes', (changes) => {
    const began = performance.now();
    asked.push(many.eventsAfter(1, '', 0).then(() => told.length));
    told.push(...changes.map(({ after }) => after?.name ?? ''));
    while (performance.now() - began < 10); // longer than a turn: the next piece comes in another
  });
  const names = Array.from({ length: 200 }, (_, index) => `many-${index}`);
  await many.transact((transaction) => {
    for (const name of names) transaction.create(instance(transaction.newId(), name));
  });
  assert.deepEqual(told, names);
  assert.ok(asked.length > 1, 'it was told in one piece');
  assert.deepEqual(new Set(await Promise.all(asked)), new Set([names.length]));
});

test('a name is given once; a rename frees the old one', async () => {
  const first = await create('first');
  await assert.rejects(create('first'), (error) => error instanceof Fault && error.code === 'already-exists');
  await registry.transact((transaction) => transaction.replace(first, { ...first, name: 'renamed' }));
  assert.equal(registry.get('default', 'first'), undefined);
  assert.equal(registry.get('default', 'renamed')?.id, first.id);
  await create('first');
});

test('a commit that fails is an error for everyone in it, and nothing of it is seen', async () => {
  const broken = new Registry({
    load: async () => ({ instances: [], profiles: [], projects: [], lastEvent: undefined }),
    commit: () => Promise.reject(new Fault('store-full', 'The disk is full')),
  } as unknown as Store);
  const told: Change[] = [];
  broken.on('changes', (changes) => told.push(...changes));
  const attempts = ['x', 'y'].map((name) =>
    broken.transact((transaction) => transaction.create(instance(transaction.newId(), name))),
  );
  for (const attempt of attempts) await assert.rejects(attempt, /full/);
  assert.deepEqual(broken.list(), []);
  assert.deepEqual(told, []);
});

test('a second daemon on the same store is told so', async () => {
  const second = new Store(directory);
  const made = once(process, 'worker');
  await assert.rejects(second.open(), (error) => error instanceof Fault && error.code === 'store-locked');
  const [worker] = await made;
  while (worker.threadId !== -1) await setImmediate(); // it ends by itself, also before it is asked to
  await second.close();
});
