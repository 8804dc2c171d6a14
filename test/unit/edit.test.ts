import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings } from '../../src/config/options.js';
import { Fault } from '../../src/errors.js';
import { edited, newInstance, type Wanted } from '../../src/instances/edit.js';
import type { Instance } from '../../src/model/instance.js';

const { limits } = readSettings({}, {});
const idKey = 'volatile.cloud-init.instance-id';

function wanted(config: Record<string, string> = {}, devices: Record<string, Record<string, string>> = {}): Wanted {
  return {
    config: new Map(Object.entries(config)),
    devices: new Map(Object.entries(devices).map(([name, device]) => [name, new Map(Object.entries(device))])),
  };
}

function create(given = wanted(), name = 'c1'): Instance {
  return newInstance(1, 'default', name, given, limits);
}

function refuses(field: string, work: () => unknown): void {
  assert.throws(
    work,
    (error) => error instanceof Fault && error.code === 'invalid-value' && error.message.startsWith(`${field}:`),
  );
}

test('names follow the rule of LXD', () => {
  for (const good of ['a', 'c1', 'web-1', 'A'.repeat(63)]) assert.equal(create(wanted(), good).name, good);
  for (const bad of ['', '1a', '-a', 'a-', 'a_b', 'a.b', 'a/b', 'ä', 'a'.repeat(64), '__proto__']) {
    refuses('name', () => create(wanted(), bad));
  }
});

test('bad configuration is refused with the key named', () => {
  refuses('config.foo', () => create(wanted({ foo: '1' })));
  refuses('config.user.', () => create(wanted({ 'user.': '1' })));
  refuses('config.security.devlxd', () => create(wanted({ 'security.devlxd': 'maybe' })));
  refuses('config.volatile.cloud-init.instance-id', () => create(wanted({ [idKey]: 'x' })));
  refuses('config.user.half', () => create(wanted({ 'user.half': '\ud800' })));
  refuses('config.user.long', () => create(wanted({ 'user.long': 'x'.repeat(limits['config-value'] + 1) })));
  const many = Object.fromEntries(Array.from({ length: limits['config-keys'] + 1 }, (_, i) => [`user.${i}`, 'x']));
  refuses('config', () => create(wanted(many)));
  assert.throws(() => create(wanted({ 'user-data': '' })), /do you mean cloud-init.user-data\?/);
});

test('a wrong key names the right one', () => {
  const table: [string, string | undefined][] = [
    ['security.devlxd.image', 'security.devlxd.images'],
    ['security.devlx', 'security.devlxd'],
    ['secuirty.devlxd', 'security.devlxd'],
    ['security.devlxd.nonrot', 'security.devlxd.nonroot'],
    ['cloud-init.userdata', 'cloud-init.user-data'],
    ['cloudinit.user-data', 'cloud-init.user-data'],
    ['vendor-data', 'cloud-init.vendor-data'],
    ['usr.role', 'user.role'],
    ['limit.cpu', 'limits.cpu'],
    ['role', 'user.role'],
    ['ubuntu_pro.guest_atach', 'ubuntu_pro.guest_attach'],
    ['nothing.like.it', undefined],
  ];
  for (const [given, right] of table) {
    assert.throws(
      () => create(wanted({ [given]: 'true' })),
      (error) => {
        assert.ok(error instanceof Fault);
        const meant = /; do you mean (.*)\?$/.exec(error.message)?.[1];
        assert.equal(meant, right, given);
        return error.message.startsWith(`config.${given}: Unknown configuration key`);
      },
    );
  }
});

test("LXD's own keys are kept, near or far", () => {
  for (const key of [
    'security.nesting',
    'security.privileged',
    'security.idmap.base',
    'security.guestapi',
    'limits.cpu',
  ])
    assert.equal(create(wanted({ [key]: '1' })).config.get(key), '1');
  const other = 'security.devlxd.management.volumes';
  assert.equal(create(wanted({ [other]: 'true' })).config.get(other), 'true');
});

test('bad devices are refused with the device named', () => {
  refuses('devices.d.type', () => create(wanted({}, { d: { path: '/x' } })));
  refuses('devices.a b', () => create(wanted({}, { 'a b': { type: 'disk' } })));
  refuses('devices.__proto__', () =>
    create({ config: new Map(), devices: new Map([['__proto__', new Map([['type', 'x']])]]) }),
  );
});

test('the instance id is new when what cloud-init reads changes, and only then', () => {
  const before = create(wanted({ 'user.a': '1' }, { eth0: { type: 'nic' } }));
  const id = before.config.get(idKey);
  assert.match(id ?? '', /^[0-9a-f-]{36}$/);
  const idAfter = (given: Wanted) => edited(before, given, limits).config.get(idKey);
  assert.equal(idAfter(wanted({ 'user.a': '2', 'user.meta-data': 'x' }, { eth0: { type: 'nic', mtu: '9' } })), id);
  assert.notEqual(idAfter(wanted({ 'user.a': '1', 'user.user-data': 'x' }, { eth0: { type: 'nic' } })), id);
  assert.notEqual(
    idAfter(wanted({ 'user.a': '1', 'cloud-init.ssh-keys.me': 'root:x' }, { eth0: { type: 'nic' } })),
    id,
  );
  assert.notEqual(idAfter(wanted({ 'user.a': '1' }, { eth0: { type: 'nic' }, eth1: { type: 'nic' } })), id);
});

test('a new instance may bring the id that cloud-init knew it by, and nothing else of the daemon', () => {
  const id = '0f8fad5b-d9cb-469f-a165-70867728950e';
  assert.equal(create(wanted({ [idKey]: id, 'user.a': '1' })).config.get(idKey), id);
  assert.match(create(wanted({ [idKey]: '' })).config.get(idKey) ?? '', /^[0-9a-f-]{36}$/);
  for (const bad of ['mine', `${id}\nlocal-hostname: x`, '1e3'])
    refuses(`config.${idKey}`, () => create(wanted({ [idKey]: bad })));
  refuses('config.volatile.uuid', () => create(wanted({ 'volatile.uuid': id })));
});

test('volatile keys stay when they are not sent, may be sent unchanged, and go with their device', () => {
  const before = create(wanted({}, { eth0: { type: 'nic' } }));
  const hwaddr = before.config.get('volatile.eth0.hwaddr');
  assert.match(hwaddr ?? '', /^00:16:3e(:[0-9a-f]{2}){3}$/);
  assert.equal(
    edited(before, wanted({}, { eth0: { type: 'nic' } }), limits).config.get('volatile.eth0.hwaddr'),
    hwaddr,
  );
  const sameKeys = { config: before.config, devices: before.devices };
  assert.deepEqual(edited(before, sameKeys, limits).config, before.config);
  assert.equal(edited(before, wanted(), limits).config.get('volatile.eth0.hwaddr'), undefined);
});

test('an empty value unsets its key', () => {
  const before = create(wanted({ 'user.a': '1' }));
  assert.equal(edited(before, wanted({ 'user.a': '' }), limits).config.has('user.a'), false);
});
