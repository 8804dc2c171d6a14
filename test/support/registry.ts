import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { Registry } from '../../src/instances/registry.js';
import { Store } from '../../src/store/store.js';

/** A registry on a store of its own, for all tests of a file; open once they run. */
export function storedRegistry(): {
  readonly registry: Registry;
  readonly store: Store;
  readonly directory: string;
} {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-registry-'));
  const store = new Store(directory);
  const registry = new Registry(store);
  before(async () => {
    await store.open();
    await registry.load();
  });
  after(async () => {
    await registry.stop();
    await store.close();
    rmSync(directory, { recursive: true });
  });
  return { registry, store, directory };
}
