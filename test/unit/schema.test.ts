import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { editProfile } from '../../src/instances/profile-table.js';
import { Registry } from '../../src/instances/registry.js';
import { type Limits, limitDeclarations } from '../../src/limits/limits.js';
import { migrations } from '../../src/store/schema.js';
import { Database } from '../../src/store/sqlite.js';
import { Store } from '../../src/store/store.js';

const idKey = 'volatile.cloud-init.instance-id';
const defaults = Object.entries(limitDeclarations).map(([name, limit]) => [name, limit.default]);
const limits = Object.fromEntries(defaults) as Limits;

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

test('an instance from before there were seeds is written by the first change of its profile that touches its keys', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-schema-'));
  const old = new Database(join(directory, 'devlxd.db'));
  const before = migrations.findIndex((step) => step.includes('COLUMN seed'));
  for (const step of migrations.slice(0, before)) old.exec(step);
  old.exec(`PRAGMA user_version = ${before}`);
  old.exec(`INSERT INTO instances (id, project, name, created_at, guest_state, profiles)
    VALUES (7, 'default', 'one', '2026-11-23T12:00:00Z', 'Started', json_array((SELECT max(id) FROM profiles)))`);
  old.exec(`INSERT INTO config (instance_id, key, value) VALUES (7, '${idKey}', 'old')`);
  old.close();
  const store = new Store(directory);
  await store.open();
  const registry = new Registry(store);
  await registry.load();
  const ids: string[] = [];
  const written: number[] = [];
  for (const data of ['1', '2', '1']) {
    const { changes } = registry.commits;
    await registry.transact((transaction) => {
      const wanted = { description: '', config: new Map([['cloud-init.user-data', data]]), devices: new Map() };
      return editProfile(transaction, transaction.profiles.need('default', 'default'), wanted, limits);
    });
    ids.push(registry.need('default', 'one').config.get(idKey) ?? '');
    written.push(registry.commits.changes - changes);
  }
  assert.deepEqual(written, [2, 1, 1]);
  assert.deepEqual([ids[0] === ids[2], new Set(['old', ...ids]).size], [true, 3]);
  await registry.stop();
  await store.close();
  rmSync(directory, { recursive: true });
});
