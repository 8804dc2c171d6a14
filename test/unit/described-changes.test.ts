import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf, type Described } from '../../src/control/described-changes.js';

function described(config: Record<string, string>, devices: Record<string, Record<string, string>> = {}): Described {
  return {
    name: 'c1',
    description: '',
    config: new Map(Object.entries(config)),
    devices: new Map(Object.entries(devices).map(([name, device]) => [name, new Map(Object.entries(device))])),
    profiles: [{ name: 'default' }],
  };
}

test('an update names each field that changed, from what to what', () => {
  const before = described(
    { 'user.role': 'db', 'user.gone': '1', 'volatile.x': '1' },
    { a: { type: 'disk' }, b: { type: 'nic' } },
  );
  const after = {
    ...described(
      { 'user.role': 'web', 'user.new': '2', 'volatile.x': '2' },
      { b: { type: 'nic', mtu: '9' }, c: { type: 'disk' } },
    ),
    description: 'x',
    profiles: [{ name: 'default' }, { name: 'web' }],
  };
  assert.deepEqual(changesOf(before, after), {
    description: '(unset) -> x',
    profiles: 'default -> default,web',
    'config.user.gone': '1 -> (unset)',
    'config.user.new': '(unset) -> 2',
    'config.user.role': 'db -> web',
    'devices.a': 'removed',
    'devices.b.mtu': '(unset) -> 9',
    'devices.c': 'added',
  });
});

test('long values are cut, and many changes are counted', () => {
  const config = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`user.${n}`, 'x'.repeat(100_000)]));
  const changes = changesOf(described({}), described(config));
  assert.equal(Object.keys(changes).length, 21);
  assert.equal(changes['more'], '80 other changes');
  assert.equal(changes['config.user.0'], `(unset) -> ${'x'.repeat(60)}... (100000 characters)`);
});
