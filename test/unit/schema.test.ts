import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Registry } from '../../src/instances/registry.js';
import { migrations } from '../../src/store/schema.js';
import { Database } from '../../src/store/sqlite.js';
import { Store } from '../../src/store/store.js';

test('instances from before there were profiles and projects keep what they had', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-schema-'));
  const old = new Database(join(directory, 'devlxd.db'));
  const before = migrations.findIndex((step) => step.includes('CREATE TABLE projects'));
  for (const step of migrations.slice(0, before)) old.exec(step);
  old.exec(`PRAGMA user_version = ${before}`);
  const put = old.prepare(
    "INSERT INTO instances (id, project, name, created_at, guest_state) VALUES (?, ?, ?, '2026-11-23T12:00:00Z', 'Started')",
  );
  put.run(1, 'default', 'one');
  put.run(2, 'blue', 'two');
  old.prepare('INSERT INTO config (instance_id, key, value) VALUES (2, ?, ?)').run('user.a', '1');
  old.close();
  const store = new Store(directory);
  await store.open();
  const registry = new Registry(store);
  await registry.load();
  assert.deepEqual(
    registry.projects().map(({ name }) => name),
    ['blue', 'default'],
  );
  assert.deepEqual(
    registry.profiles().map(({ project, name }) => `${project}/${name}`),
    ['blue/default', 'default/default'],
  );
  const two = registry.need('blue', 'two');
  assert.deepEqual([two.config.get('user.a'), two.profiles, two.description], ['1', [], '']);
  await registry.stop();
  await store.close();
  rmSync(directory, { recursive: true });
});
