import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Written } from '../../src/model/changes.js';
import { Store } from '../../src/store/store.js';

const directory = mkdtempSync(join(tmpdir(), 'devlxd-store-'));
const event = '2026-11-23T12:00:00.000000001Z';

after(() => rmSync(directory, { recursive: true }));

/** An instance with an event, which come to several messages for the store's thread. */
function creation(id: number): Written {
  const made = {
    id,
    project: 'default',
    name: `c${id}`,
    type: 'container',
    description: '',
    createdAt: '2026-11-23T12:00:00.000Z',
    profiles: [],
    config: new Map([['user.long', String(id).repeat(20_000)]]),
    devices: new Map(),
    guestState: 'Started',
    run: undefined,
  } as const;
  return {
    kind: 'instance',
    before: undefined,
    after: made,
    events: [{ timestamp: event, type: 'config', text: '{}' }],
  };
}

async function withStore(work: (store: Store) => Promise<void>): Promise<void> {
  const store = new Store(directory);
  await store.open();
  try {
    await work(store);
  } finally {
    await store.close(); // an open store keeps a process of tests that has failed
  }
}

const idsIn = async (store: Store) => (await store.load()).instances.map(({ id }) => id);
const eventsOf = (store: Store, id: number) => store.eventsAfter(id, '', 0);

test('of a commit in parts that fails at its end nothing holds, and the next one is written', () =>
  withStore(async (store) => {
    const [one, two] = [
      [1, 2, 3, 4, 5, 6, 1],
      [7, 8, 9, 10],
    ];
    await assert.rejects(store.commit(one.map(creation)), /^Fault: .* cannot be written: UNIQUE constraint failed/);
    assert.deepEqual(await idsIn(store), []);
    await store.commit(two.map(creation));
    assert.deepEqual(await idsIn(store), two);
  }));

test('of a commit in parts whose sender gives up nothing holds, and what was asked meanwhile is answered', () =>
  withStore(async (store) => {
    const failing = [...[11, 12, 13, 14].map(creation), undefined as unknown as Written];
    const commit = assert.rejects(store.commit(failing), TypeError);
    assert.deepEqual(await eventsOf(store, 11), []);
    await commit;
    assert.deepEqual(await eventsOf(store, 11), []);
  }));

test('what is asked while a commit in parts is sent is answered after it, each with its own', () =>
  withStore(async (store) => {
    const before = eventsOf(store, 21);
    const commit = store.commit([21, 22, 23, 24, 25, 26].map(creation));
    const meanwhile = [eventsOf(store, 21), eventsOf(store, 7), store.loadSourceState('none')] as const;
    const image = store.putSourceState('lxd', 'kept');
    await commit;
    assert.deepEqual(await before, []);
    assert.deepEqual(
      (await Promise.all(meanwhile.slice(0, 2))).map((events) => (events as readonly unknown[]).length),
      [1, 1],
    );
    assert.equal(await meanwhile[2], undefined);
    await image;
    assert.equal(await store.loadSourceState('lxd'), 'kept');
  }));

test('a store that is closed in the middle of a commit in parts has nothing of it, and says so', async () => {
  await withStore(async (store) => {
    const many = Array.from({ length: 400 }, (_, index) => creation(31 + index));
    const commit = assert.rejects(store.commit(many), /The daemon is stopping/);
    await new Promise(setImmediate);
    await store.close();
    await commit;
  });
  await withStore(async (store) => assert.ok(!(await idsIn(store)).includes(31)));
});
