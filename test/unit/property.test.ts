import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { readSettings } from '../../src/config/options.js';
import { edited, newInstance, withoutEmpty } from '../../src/instances/edit.js';
import { Store } from '../../src/store/store.js';

const { limits } = readSettings({}, {});
const keys = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).map((name) => `user.${name}`);
const configs = fc.dictionary(keys, fc.string({ unit: 'binary', maxLength: 200 }), { maxKeys: 8 });

test('any configuration, changed into any other, comes back from the store character for character', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-property-'));
  let id = 0;
  const check = fc.asyncProperty(configs, configs, async (first, second) => {
    const store = new Store(join(directory, String(++id)));
    await store.open();
    const before = newInstance(
      1,
      'default',
      'c1',
      { config: new Map(Object.entries(first)), devices: new Map() },
      limits,
    );
    const wanted = new Map(Object.entries(second));
    const after = edited(before, { config: wanted, devices: new Map() }, limits);
    await store.commit([{ kind: 'instance', before: undefined, after: before, events: [] }]);
    await store.commit([{ kind: 'instance', before, after, events: [] }]);
    const [stored] = (await store.load()).instances;
    await store.close();
    assert.deepEqual(stored, after);
    const own = [...(stored?.config ?? [])].filter(([key]) => !key.startsWith('volatile.'));
    assert.deepEqual(new Map(own), withoutEmpty(wanted));
  });
  await fc.assert(check, { numRuns: 30 }).finally(() => rmSync(directory, { recursive: true }));
});
