import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventClock, eventsOf } from '../../src/model/guest-events.js';
import type { Device, Instance } from '../../src/model/instance.js';

const base: Instance = {
  id: 1,
  project: 'default',
  name: 'c1',
  createdAt: '2026-11-23T12:00:00Z',
  config: new Map(),
  devices: new Map(),
  description: '',
  profiles: [],
  type: 'container',
  guestState: 'Started',
  run: undefined,
};

function withConfig(config: Record<string, string>): Instance {
  return { ...base, config: new Map(Object.entries(config)) };
}

function withDevices(devices: Record<string, Record<string, string>>): Instance {
  return {
    ...base,
    devices: new Map(
      Object.entries(devices).map(([name, device]): [string, Device] => [name, new Map(Object.entries(device))]),
    ),
  };
}

function metadataOf(before: Instance, after: Instance): unknown[] {
  const clock = new EventClock(() => 1n);
  return eventsOf({ before, after }, clock).map(({ text }) => JSON.parse(text).metadata);
}

test('config events: one for each changed user key, by name, and none for other name spaces', () => {
  const before = withConfig({ 'user.b': '1', 'user.gone': 'x', 'user.same': '=', 'cloud-init.user-data': 'a' });
  const after = withConfig({
    'user.b': '2',
    'user.a': 'new',
    'user.same': '=',
    'cloud-init.user-data': 'b',
    'limits.x': '1',
  });
  assert.deepEqual(metadataOf(before, after), [
    { key: 'user.a', old_value: '', value: 'new' },
    { key: 'user.b', old_value: '1', value: '2' },
    { key: 'user.gone', old_value: 'x', value: '' },
  ]);
});

test('device events: removed, then updated, then added, each by name, with sorted options', () => {
  const before = withDevices({
    b: { type: 'disk' },
    a: { type: 'disk' },
    u: { type: 'nic', mtu: '1' },
    root: { type: 'disk', path: '/', size: '1GiB', 'limits.read': '1' },
    state: { type: 'disk', path: '/s' },
    both: { type: 'disk', path: '/b', size: '1GiB' },
    same: { type: 'x' },
  });
  const after = withDevices({
    u: { type: 'nic', mtu: '2', a: '1' },
    root: { type: 'disk', path: '/', size: '2GiB' },
    state: { type: 'disk', path: '/s', 'size.state': '1GiB' },
    both: { type: 'disk', path: '/c', size: '2GiB' },
    n2: { type: 'disk' },
    n1: { type: 'disk' },
    same: { type: 'x' },
  });
  assert.deepEqual(
    metadataOf(before, after).map((metadata) => {
      const { action, name } = metadata as { action: string; name: string };
      return `${action} ${name}`;
    }),
    [
      ...['removed a', 'removed b', 'removed both', 'removed u'],
      ...['updated root', 'updated state'],
      ...['added both', 'added n1', 'added n2', 'added u'],
    ],
  );
  const clock = new EventClock(() => 1n);
  const told = eventsOf({ before, after }, clock).map(({ text }) => text);
  const of = (action: string, name: string) =>
    told.find((text) => text.includes(`"${action}"`) && text.includes(`"name":"${name}"`)) ?? '';
  assert.match(of('removed', 'u'), /"metadata":\{"action":"removed","config":\{"mtu":"1","type":"nic"\},"name":"u"\}/);
  assert.match(
    of('added', 'u'),
    /"metadata":\{"action":"added","config":\{"a":"1","mtu":"2","type":"nic"\},"name":"u"\}/,
  );
  assert.match(of('updated', 'root'), /"config":\{"path":"\/","size":"2GiB","type":"disk"\},"name":"root"\}/);
});

test('the bytes of an event: key order and timestamp format are the protocol', () => {
  const clock = new EventClock(() => 1_795_435_200_123_456_789n);
  const [event] = eventsOf({ before: withConfig({}), after: withConfig({ 'user.foo': 'bar' }) }, clock);
  assert.equal(
    event?.text,
    '{"type":"config","timestamp":"2026-11-23T12:00:00.123456789Z","metadata":{"key":"user.foo","old_value":"","value":"bar"}}',
  );
});

test('creating and deleting an instance are not events of its guest', () => {
  const clock = new EventClock();
  assert.deepEqual(eventsOf({ before: undefined, after: withConfig({ 'user.a': '1' }) }, clock), []);
  assert.deepEqual(eventsOf({ before: withConfig({ 'user.a': '1' }), after: undefined }, clock), []);
});

test('timestamps increase strictly when the clock stands still or goes back', () => {
  const times = [5n, 5n, 3n, 9n, 1n];
  const clock = new EventClock(() => times.shift() ?? 0n);
  const stamps = Array.from({ length: 5 }, () => clock.next());
  assert.deepEqual([...stamps].sort(), stamps);
  assert.equal(new Set(stamps).size, stamps.length);
});
