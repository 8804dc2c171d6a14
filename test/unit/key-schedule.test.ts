import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdentityKeys, type KeyStore } from '../../src/identity/identity-keys.js';
import type { IdentityKey } from '../../src/model/identity-key.js';

const hour = 3600;
const day = 24 * hour;

class MemoryStore implements KeyStore {
  readonly keys = new Map<string, IdentityKey>();
  failing = false;

  async loadIdentityKeys(): Promise<IdentityKey[]> {
    return [...this.keys.values()];
  }

  async writeIdentityKeys(put: readonly IdentityKey[], removed: readonly string[]): Promise<void> {
    if (this.failing) throw new Error('full');
    for (const key of put) this.keys.set(key.kid, key);
    for (const kid of removed) this.keys.delete(kid);
  }
}

async function keysAt(store: KeyStore, clock: { now: number }): Promise<IdentityKeys> {
  const keys = new IdentityKeys(store, () => clock.now * 1000);
  await keys.load();
  return keys;
}

const kids = (keys: IdentityKeys) => keys.published().keys.map(({ kid }) => kid);

test('the first start makes two keys: one signs, the other is published before its turn', async () => {
  const store = new MemoryStore();
  const keys = await keysAt(store, { now: 1000 });
  const [first] = kids(keys);
  assert.equal(kids(keys).length, 2);
  assert.equal((await keys.signer()).kid, first);
  assert.deepEqual(kids(await keysAt(store, { now: 2000 })), kids(keys), 'a second start makes none');
});

test('a rotation waits until the next key has been published for one life, and is not doubled', async () => {
  const clock = { now: 1000 };
  const keys = await keysAt(new MemoryStore(), clock);
  const [first, second] = kids(keys);
  clock.now += 100;
  const rotations = await Promise.all([keys.rotate(300), keys.rotate(300)]);
  for (const { kid, signsFrom } of rotations) assert.deepEqual([kid, signsFrom], [second, 1300 * 1000]);
  clock.now = 1299;
  assert.equal((await keys.signer()).kid, first);
  clock.now = 1300;
  assert.equal((await keys.signer()).kid, second);
});

test('a key that has signed is published until the longest document is over, then forgotten', async () => {
  const clock = { now: 0 };
  const store = new MemoryStore();
  const keys = await keysAt(store, clock);
  const [first, second] = kids(keys);
  clock.now = hour;
  assert.equal((await keys.rotate(300)).signsFrom, hour * 1000, 'at once: it has been published for long enough');
  clock.now = hour + day;
  assert.ok(kids(keys).includes(first ?? ''));
  clock.now += 1;
  assert.ok(!kids(keys).includes(first ?? ''));
  assert.equal((await keys.signer()).kid, second);
  await keys.rotate(300);
  assert.ok(!store.keys.has(first ?? ''), 'removed from the store as well');
  assert.equal(store.keys.size, 3);
});

test('a rotation that cannot be stored changes nothing', async () => {
  const clock = { now: 0 };
  const store = new MemoryStore();
  const keys = await keysAt(store, clock);
  const before = kids(keys);
  clock.now = hour;
  store.failing = true;
  await assert.rejects(keys.rotate(300), /full/);
  assert.deepEqual(kids(keys), before);
  assert.equal((await keys.signer()).kid, before[0]);
  store.failing = false;
  assert.equal((await keys.rotate(300)).kid, before[1]);
});
