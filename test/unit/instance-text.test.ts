import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type * as Shown from '../../src/api/types.js';
import { instanceEtag, instanceText } from '../../src/control/instance-text.js';
import { architecture } from '../../src/control/render.js';
import type { Instance, Profile } from '../../src/model/instance.js';

const text = fc.string({ unit: 'binary', maxLength: 20 });
const entries = fc.array(fc.tuple(text, text), { maxLength: 5 });
const maps = entries.map((all) => new Map(all));
const deviceMaps = fc.array(fc.tuple(text, maps), { maxLength: 3 }).map((all) => new Map(all));

const profiles = fc
  .record({ config: maps, devices: deviceMaps, description: text, name: text })
  .map((given): Profile => ({ id: 1, project: 'default', changedAt: '', ...given }));

const instances = fc
  .record({
    name: text,
    project: text,
    description: text,
    type: fc.constantFrom('container', 'virtual-machine'),
    createdAt: fc.constant('2026-11-28T10:00:00.000Z'),
    profiles: fc.array(profiles, { maxLength: 3 }),
    config: maps,
    devices: deviceMaps,
    guestState: fc.constantFrom('Started', 'Ready'),
    run: fc.option(fc.constant({ pid: 4711, startTicks: 1, bootId: 'boot', cid: 42 }), { nil: undefined }),
  })
  .map((given): Instance => ({ id: 1, ...given }));

function shownDevices(devices: Instance['devices']): Shown.Devices {
  return Object.fromEntries([...devices].map(([name, device]) => [name, Object.fromEntries(device)]));
}

/** What the client's types say of it. */
function shown(instance: Instance): Shown.InstanceWithState {
  const { name, project, description, type, createdAt, config, devices, guestState, run } = instance;
  const ready = guestState === 'Ready';
  const status = run === undefined ? 'Stopped' : ready ? 'Ready' : 'Running';
  const status_code = run === undefined ? 102 : ready ? 113 : 103;
  const ofRun = { 'volatile.last_state.power': 'RUNNING', 'volatile.last_state.ready': String(ready) };
  const running = run === undefined ? {} : { ...ofRun, 'volatile.vsock_id': '42' };
  const merged = (own: ReadonlyMap<string, unknown>, of: (profile: Profile) => ReadonlyMap<string, unknown>) =>
    new Map([...instance.profiles.flatMap((profile) => [...of(profile)]), ...own]);
  const all = merged(config, (profile) => profile.config) as Instance['config'];
  const allDevices = merged(devices, (profile) => profile.devices) as Instance['devices'];
  return {
    architecture,
    config: { ...Object.fromEntries(config), ...running },
    description,
    devices: shownDevices(devices),
    ephemeral: false,
    profiles: instance.profiles.map((profile) => profile.name),
    stateful: false,
    created_at: createdAt,
    expanded_config: { ...Object.fromEntries(all), ...running },
    expanded_devices: shownDevices(allDevices),
    name,
    status,
    status_code,
    last_used_at: '1970-01-01T00:00:00Z',
    location: 'none',
    type,
    project,
    backups: null,
    state: {
      status,
      status_code,
      disk: null,
      memory: { usage: 0, usage_peak: 0, swap_usage: 0, swap_usage_peak: 0 },
      network: null,
      pid: run?.pid ?? 0,
      processes: -1,
      cpu: { usage: 0 },
    },
    snapshots: null,
  };
}

/** As it comes out of JSON, in which half of a pair of UTF-16 is no character either. */
function parsed(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

test('the text of an instance is the JSON of what the API says that it has', () => {
  fc.assert(
    fc.property(instances, (instance) => {
      const { backups, state, snapshots, ...plain } = shown(instance);
      assert.deepEqual(JSON.parse(instanceText(instance)), parsed(plain));
      assert.deepEqual(JSON.parse(instanceText(instance, true)), parsed({ ...plain, backups, state, snapshots }));
      assert.deepEqual(JSON.parse(instanceText(instance, false, 'tag')), parsed({ ...plain, etag: 'tag' }));
    }),
  );
});

test('its entity tag is a hash of what a PUT may change, with the keys of maps in order', () => {
  const config = new Map([
    ['user.b', '2'],
    ['user.a', '1'],
  ]);
  const [given] = fc.sample(instances, 1) as [Instance];
  const instance: Instance = { ...given, config, devices: new Map(), profiles: [], description: 'one "two"' };
  const hashed = {
    architecture,
    config: { 'user.a': '1', 'user.b': '2' },
    description: 'one "two"',
    devices: {},
    ephemeral: false,
    profiles: [],
  };
  assert.equal(instanceEtag(instance), createHash('sha256').update(JSON.stringify(hashed)).digest('hex'));
});
