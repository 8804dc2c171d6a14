import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConnectionStore, HeldConnections } from '../../src/handover/held-connections.js';
import { LimitHits } from '../../src/limits/limit-hits.js';
import { eventually } from '../support/eventually.js';

/** A service manager that may be behind. */
class Store implements ConnectionStore {
  readonly names = new Set<string>();
  behind = false;

  tryStoreConnection(name: string): boolean {
    if (!this.behind) this.names.add(name);
    return !this.behind;
  }

  tryDropConnection(name: string): boolean {
    if (!this.behind) this.names.delete(name);
    return !this.behind;
  }

  dropConnection(name: string): void {
    this.names.delete(name);
  }
}

const caller = (ticket: number) => ({ ticket, fd: 100 + ticket, startTicks: 7 });
const callers = (first: number, count: number) => Array.from({ length: count }, (_, i) => caller(first + i));

function made(): { store: Store; limitHits: LimitHits; held: HeldConnections } {
  const [store, limitHits] = [new Store(), new LimitHits()];
  return { store, limitHits, held: new HeldConnections(store, limitHits) };
}

test('what is held lies in the store, and what is let go does not', () => {
  const { store, held } = made();
  held.hold(callers(1, 3));
  assert.deepEqual([...store.names], ['held.1.7', 'held.2.7', 'held.3.7']);
  held.letGo([2]);
  assert.deepEqual([...store.names], ['held.1.7', 'held.3.7']);
  assert.deepEqual([held.stored(1), held.stored(2)], [1, undefined]);
  held.stop();
  assert.equal(store.names.size, 2);
});

test('what another process has stored stays while it is held; what was idle leaves', () => {
  const { store, held } = made();
  for (const name of ['connection', 'held.9.0']) store.names.add(name);
  const guest = { socket: 'guest', caller: undefined } as const;
  held.received([
    { ...guest, fd: 3 },
    { ...guest, fd: 4, ticket: 9 },
  ]);
  assert.deepEqual([...store.names], ['held.9.0']);
  assert.equal(held.stored(9), 9);
  held.letGo([9]);
  assert.equal(store.names.size, 0);
});

test('thousands at once are no storm: they wait, or are held without the store, and count', () => {
  const { store, limitHits, held } = made();
  held.hold(callers(1, 5000));
  assert.ok(store.names.size >= 256 && store.names.size < 400, `${store.names.size}`);
  assert.equal(limitHits.total('held-connections'), 5000 - store.names.size);
  held.letGo(callers(1, 5000).map(({ ticket }) => ticket));
  assert.equal(store.names.size, 0);
  held.stop();
});

test('a service manager that is behind is told later, in order', async () => {
  const { store, held } = made();
  held.hold(callers(1, 2));
  store.behind = true;
  held.letGo([1]);
  held.hold([caller(3)]);
  held.letGo([2]);
  assert.deepEqual([...store.names], ['held.1.7', 'held.2.7']);
  store.behind = false;
  await eventually('it is told', () => store.names.size === 1 && store.names.has('held.3.7'));
  store.behind = true;
  held.letGo([3]);
  held.stop();
  assert.equal(store.names.size, 0, 'the next process gets nothing that is in use');
});
