import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { knownUnmergedKeys } from '../../src/instances/cloud-init/guest-value.js';
import { edited, newInstance } from '../../src/instances/edit.js';
import { createProfile, editProfile } from '../../src/instances/profile-table.js';
import { Registry } from '../../src/instances/registry.js';
import { type Limits, limitDeclarations } from '../../src/limits/limits.js';
import { expandedConfig, expandedDevices, type Instance } from '../../src/model/instance.js';
import { shownWith } from '../../src/model/seed.js';
import { Store } from '../../src/store/store.js';

const directory = mkdtempSync(join(tmpdir(), 'devlxd-versions-'));
let store: Store;
let registry: Registry;
const defaults = Object.entries(limitDeclarations).map(([name, limit]) => [name, limit.default]);
const limits = Object.fromEntries(defaults) as Limits;
const profileNames = ['base', 'web'] as const;
const instanceNames = ['a', 'b', 'c', 'd'] as const;
const nic = new Map([['type', 'nic']]);

const config = fc.dictionary(fc.constantFrom('user.x', 'user.y', 'cloud-init.user-data'), fc.constantFrom('1', '2'));
const step = fc.oneof(
  fc.record({
    kind: fc.constant('profile' as const),
    name: fc.constantFrom(...profileNames),
    config,
    nic: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('instance' as const), name: fc.constantFrom(...instanceNames), config }),
  fc.record({ kind: fc.constant('run' as const), name: fc.constantFrom(...instanceNames) }),
  fc.record({ kind: fc.constant('restart' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const project = 'default';
const idKey = 'volatile.cloud-init.instance-id';

async function open(): Promise<void> {
  store = new Store(directory);
  await store.open();
  registry = new Registry(store);
  await registry.load();
}

async function close(): Promise<void> {
  await registry.stop();
  await store.close();
}

before(open);

after(async () => {
  await close();
  rmSync(directory, { recursive: true });
});

async function begin(): Promise<void> {
  await registry.transact((transaction) => {
    for (const instance of [...transaction.values()]) transaction.remove(instance);
    for (const name of profileNames) {
      const profile = transaction.profiles.get(project, name);
      if (profile !== undefined) transaction.profiles.remove(profile);
      createProfile(transaction, project, name, { description: '', config: new Map(), devices: new Map() }, limits);
    }
    const profiles = profileNames.map((name) => transaction.profiles.need(project, name));
    for (const [index, name] of instanceNames.entries()) {
      const wanted = { config: new Map(), devices: new Map(), profiles: profiles.slice(index % 3) };
      transaction.create(newInstance(transaction.newId(), project, name, wanted, limits));
    }
  });
}

async function take(one: Step): Promise<void> {
  if (one.kind === 'restart') {
    const known = registry.list().map(shownOf);
    await close();
    await open();
    assert.deepEqual(registry.list().map(shownOf), known);
    return;
  }
  await registry.transact(async (transaction) => {
    if (one.kind === 'profile') {
      const wanted = {
        description: '',
        config: new Map(Object.entries(one.config)),
        devices: new Map(one.nic ? [['eth0', nic]] : []),
      };
      await editProfile(transaction, transaction.profiles.need(project, one.name), wanted, limits);
      return;
    }
    const before = transaction.need(project, one.name);
    if (one.kind === 'run') {
      const run = before.run === undefined ? { pid: 1, startTicks: 1, bootId: 'b' } : undefined;
      transaction.replace(before, { ...before, run });
    } else {
      const wanted = { config: new Map(Object.entries(one.config)), devices: before.devices };
      transaction.replace(before, edited(before, wanted, limits));
    }
  });
}

/** What a guest is told, worked out from the profiles and the instance as they are now. */
function told(instance: Instance): object {
  const own = instance.profiles.map(({ name }) => registry.needProfile(project, name));
  const keys = new Map([...own.flatMap((profile) => [...profile.config]), ...instance.config]);
  return {
    name: instance.name,
    keys,
    devices: new Map(own.flatMap((profile) => [...profile.devices])),
    own: ownKeys(registry.need(project, instance.name)),
  };
}

function shownOf(instance: Instance): object {
  const [keys, devices] = [expandedConfig(instance), expandedDevices(instance)];
  return { name: instance.name, keys, devices, own: ownKeys(instance) };
}

function ownKeys({ config }: Instance): Map<string, string> {
  return new Map([...config].filter(([key]) => key.startsWith('volatile.')));
}

function idOf(instance: Instance): string | undefined {
  return instance.config.get(idKey);
}

/** What makes cloud-init run again when it changes. */
function seed(instance: Instance): string {
  const devices = [...expandedDevices(instance).keys()];
  return JSON.stringify([instance.name, expandedConfig(instance).get('cloud-init.user-data'), devices]);
}

test('an instance has the version of its profiles that holds, and so has every snapshot, and the store', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), fc.boolean(), async (steps, looks) => {
      await begin();
      const snapshots: { readonly seen: object[]; readonly now: () => object[] }[] = [];
      for (const one of steps) {
        const before = looks ? registry.list() : [];
        await take(one);
        for (const old of before) {
          const now = registry.byId(old.id) as Instance;
          assert.equal(idOf(now) === idOf(old), seed(now) === seed(old), 'a new id with new data, and only then');
        }
        const { kept, shown } = registry.snapshot();
        const now = (): object[] => kept.map((instance) => shownOf(shown(instance)));
        snapshots.push({ seen: structuredClone(now()), now });
      }
      for (const { seen, now } of snapshots) assert.deepEqual(now(), seen);
      assert.deepEqual(registry.list().map(shownOf), registry.list().map(told));
    }),
    { numRuns: 25 },
  );
  const known = registry.list().map(shownOf);
  await close();
  await open();
  assert.deepEqual(registry.list().map(shownOf), known);
});

test('a scrape works out nothing of an instance that does not run and whose profiles have changed', async () => {
  await begin();
  const stored = registry.need(project, 'a');
  const shown = shownWith(stored, stored.profiles, () => assert.fail('its configuration is worked out'));
  assert.equal(knownUnmergedKeys(shown).size, 0);
  assert.throws(() => shown.config, /worked out/);
});

test('a transaction works out once what an instance has of a later version of its profile', async () => {
  await begin();
  await take({ kind: 'profile', name: 'web', config: { 'cloud-init.user-data': '1' }, nic: true });
  await registry.transact(async (transaction) => {
    const [first, second] = [transaction.need(project, 'a'), transaction.need(project, 'a')];
    assert.equal(first.config, second.config);
    assert.deepEqual(first.config, registry.need(project, 'a').config);
    const wanted = { description: '', config: new Map([['cloud-init.user-data', '2']]), devices: new Map() };
    await editProfile(transaction, transaction.profiles.need(project, 'web'), wanted, limits);
    assert.notEqual(idOf(transaction.need(project, 'a')), idOf(first));
  });
});

test('what is read has one list of profiles for all that were written with the same', async () => {
  await begin();
  await take({ kind: 'profile', name: 'web', config: { 'user.x': '1' }, nic: false });
  await take({ kind: 'instance', name: 'd', config: { 'cloud-init.user-data': '1' } });
  await close();
  await open();
  const listOf = new Map(registry.snapshot().kept.map(({ name, profiles }) => [name, profiles]));
  assert.equal(new Set(listOf.values()).size, 4); // both; web alone; none; both, with data of its own
  assert.equal(listOf.get('a') === listOf.get('d'), false);
  for (const { profiles } of registry.list())
    for (const profile of profiles) assert.equal(profile, registry.needProfile(project, profile.name));
});

test("a change of cloud-init's data in a profile writes the profile and what runs, and each instance has its keys", async () => {
  await begin();
  await take({ kind: 'run', name: 'b' });
  const known = new Map(registry.list().map((instance) => [instance.name, idOf(instance)]));
  const { changes } = registry.commits;
  await take({ kind: 'profile', name: 'web', config: { 'cloud-init.user-data': '1' }, nic: true });
  assert.equal(registry.commits.changes - changes, 2);
  for (const instance of registry.list()) {
    const uses = instance.profiles.some(({ name }) => name === 'web');
    assert.equal(idOf(instance) !== known.get(instance.name), uses);
    assert.equal(/^00:16:3e(:[0-9a-f]{2}){3}$/.test(instance.config.get('volatile.eth0.hwaddr') ?? ''), uses);
  }
});

test('a change of a profile writes the profile and what runs, and who was stopped learns that events are missing', async () => {
  await begin();
  const [stopped, running] = [registry.need(project, 'a'), registry.need(project, 'b')];
  const created = `${running.createdAt.slice(0, -1)}000000Z`;
  await take({ kind: 'run', name: 'b' });
  const { changes } = registry.commits;
  await take({ kind: 'profile', name: 'web', config: { 'user.x': '1' }, nic: false });
  assert.equal(registry.commits.changes - changes, 2);
  await take({ kind: 'run', name: 'a' });
  assert.equal(await registry.eventsAfter(stopped.id, created, 0), undefined);
  const heard = await registry.eventsAfter(running.id, created, 0);
  assert.equal(heard?.length, 1);
  const now = heard?.[0]?.timestamp ?? '';
  assert.deepEqual(await registry.eventsAfter(stopped.id, now, 0), []);
  await close();
  await open();
  assert.equal(await registry.eventsAfter(stopped.id, created, 0), undefined);
  const seen = [now];
  await take({ kind: 'profile', name: 'web', config: { 'user.x': '2' }, nic: false });
  for (const { id } of [stopped, running]) {
    const events = (await registry.eventsAfter(id, now, 0)) ?? [];
    assert.equal(events.length, 1);
    assert.ok((events[0]?.timestamp ?? '') > (seen.at(-1) ?? ''));
    seen.push(events[0]?.timestamp ?? '');
  }
});
