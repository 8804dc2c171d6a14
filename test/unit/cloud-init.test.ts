import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { guestValue, isTooLongToMerge, mergedKeys } from '../../src/instances/cloud-init.js';
import { expandedConfig, expandedDevices, type Instance } from '../../src/model/instance.js';

const vendor = 'cloud-init.vendor-data';
const user = 'cloud-init.user-data';
const key = { 'cloud-init.ssh-keys.a': 'root:ssh-ed25519 AAAA me' };

function instance(config: Record<string, string>): Instance {
  return {
    id: 1,
    project: 'default',
    name: 'c1',
    createdAt: '',
    config: new Map(Object.entries(config)),
    devices: new Map(),
    description: '',
    profiles: [],
    guestState: 'Started',
    run: undefined,
  };
}

/** The lines of one user with one key, as both old and new cloud-init want them. */
const rootWithKey = `- name: root
  ssh-authorized-keys:
  - ssh-ed25519 AAAA me #lxd:cloud-init.ssh-keys
  ssh_authorized_keys:
  - ssh-ed25519 AAAA me #lxd:cloud-init.ssh-keys
`;

test('the golden vector: a public key and an import id, merged into nothing', () => {
  const one = instance({ ...key, 'cloud-init.ssh-keys.b': 'root:gh:user1' });
  const expected = `#cloud-config
users:
- name: root
  ssh-authorized-keys:
  - ssh-ed25519 AAAA me #lxd:cloud-init.ssh-keys
  ssh-import-id:
  - gh:user1 #lxd:cloud-init.ssh-keys
  ssh_authorized_keys:
  - ssh-ed25519 AAAA me #lxd:cloud-init.ssh-keys
  ssh_import_id:
  - gh:user1 #lxd:cloud-init.ssh-keys
`;
  assert.equal(guestValue(one, vendor), expected);
  assert.equal(guestValue(one, 'user.vendor-data'), expected);
});

test('without ssh keys, and with broken ones only, every value stays byte for byte', () => {
  for (const keys of [{}, { 'cloud-init.ssh-keys.a': 'no colon' }]) {
    const one = instance({ ...keys, [vendor]: '#cloud-config\n{ a:   1}', [user]: '#!/bin/sh\n' });
    assert.equal(guestValue(one, vendor), '#cloud-config\n{ a:   1}');
    assert.equal(guestValue(one, user), '#!/bin/sh\n');
    assert.deepEqual([...mergedKeys(one)], []);
  }
});

const merges: [what: string, before: string, after: string][] = [
  [
    'a document without users',
    '#cloud-config\npackages: [vim]\n',
    `#cloud-config\npackages: [ vim ]\nusers:\n${rootWithKey}`,
  ],
  [
    'the header on the second line',
    '## template: jinja\n#cloud-config\n',
    `## template: jinja\n#cloud-config\nusers:\n${rootWithKey}`,
  ],
  ['comments', '#cloud-config\n# mine\na: 1 # one\n', `#cloud-config\n# mine\na: 1 # one\nusers:\n${rootWithKey}`],
  ['a plain user', '#cloud-config\nusers:\n- default\n- root\n', `#cloud-config\nusers:\n- default\n${rootWithKey}`],
  ['one user as a string', '#cloud-config\nusers: root\n', `#cloud-config\nusers:\n${rootWithKey}`],
  [
    'a user with keys of its own',
    '#cloud-config\nusers:\n- name: root\n  shell: /bin/sh\n  ssh-authorized-keys: ssh-rsa X\n',
    '#cloud-config\nusers:\n- name: root\n  shell: /bin/sh\n  ssh-authorized-keys:\n  - ssh-rsa X\n  - ssh-ed25519 AAAA me #lxd:cloud-init.ssh-keys\n  ssh_authorized_keys:\n  - ssh-ed25519 AAAA me #lxd:cloud-init.ssh-keys\n',
  ],
];

for (const [what, before, after] of merges) {
  test(`merged: ${what}`, () => assert.equal(guestValue(instance({ ...key, [vendor]: before }), vendor), after));
}

for (const [what, text] of Object.entries({
  'a script': '#!/bin/sh\necho users\n',
  'an include': '#include\nhttp://lxd/\n',
  MIME: 'Content-Type: multipart/mixed\n\n',
  'YAML without the header': 'users: []\n',
  'broken YAML': '#cloud-config\n{ a: [\n',
  'a list': '#cloud-config\n- a\n',
  'users as a map': '#cloud-config\nusers:\n  root: {}\n',
  'a user that is a number': '#cloud-config\nusers:\n- 1\n',
  'two documents': '#cloud-config\na: 1\n---\nb: 2\n',
  'an anchor that is missing': '#cloud-config\na: *nowhere\n',
})) {
  test(`${what} stays as it is, and the keys go into user-data`, () => {
    const one = instance({ ...key, [vendor]: text, [user]: '#cloud-config\n' });
    assert.equal(guestValue(one, vendor), text);
    assert.equal(guestValue(one, user), `#cloud-config\nusers:\n${rootWithKey}`);
  });
}

test('user-data gets the keys when it has users, or when there is no vendor-data; else it stays', () => {
  const withUsers = '#cloud-config\nusers:\n- root\n';
  const without = '#cloud-config\na: 1\n';
  assert.equal(guestValue(instance({ ...key, [vendor]: without, [user]: without }), user), without);
  assert.equal(
    guestValue(instance({ ...key, [vendor]: without, [user]: withUsers }), user),
    `#cloud-config\nusers:\n${rootWithKey}`,
  );
  assert.equal(guestValue(instance({ ...key, [user]: without }), user), `${without}users:\n${rootWithKey}`);
  assert.equal(guestValue(instance({ ...key, [vendor]: without }), user), undefined);
});

test('a name that is not set is listed only when neither of the two is', () => {
  const names = (config: Record<string, string>) => [...mergedKeys(instance({ ...key, ...config }))].sort();
  assert.deepEqual(names({}), [user, vendor, 'user.user-data', 'user.vendor-data']);
  assert.deepEqual(names({ 'user.vendor-data': '#cloud-config\n' }), ['user.vendor-data']);
});

test('any text: the merge does not throw, and a mapping keeps what it had', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.string({ unit: fc.constantFrom(...'usersname:-[]{}&*!|>\'"#%@ \n\t0a'), maxLength: 60 }),
    fc.json({ maxDepth: 3 }),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const before = `#cloud-config\n${text}`;
      const after = guestValue(instance({ ...key, [vendor]: before }), vendor) ?? '';
      if (after === before) return;
      const { users: _, ...kept } = (parse(after, { logLevel: 'error' }) ?? {}) as Record<string, unknown>;
      const { users: __, ...had } = (parse(before, { logLevel: 'error' }) ?? {}) as Record<string, unknown>;
      assert.deepEqual(kept, had);
    }),
    { numRuns: 2000 },
  );
});

test('a key that comes twice in a map, anywhere in it, makes it a document that nothing is merged into', () => {
  for (const twice of [
    'a: 1\nb: 2\na: 3\n',
    'users: []\nlist:\n- { x: 1, y: 2, "x": 3 }\n',
    'users: []\nusers: []\n',
  ]) {
    const text = `#cloud-config\n${twice}`;
    assert.equal(guestValue(instance({ ...key, [user]: text }), user), text);
  }
});

test('a document that is too long to be merged into stays as it is, and the keys go into the other', () => {
  const long = `#cloud-config\nusers: []\n${'# long\n'.repeat(10_000)}`;
  const one = instance({ ...key, [user]: long });
  assert.equal(guestValue(one, user), long);
  assert.equal(guestValue(one, vendor), `#cloud-config\nusers:\n${rootWithKey}`);
  assert.deepEqual(
    [user, vendor].map((name) => isTooLongToMerge(one, name)),
    [true, false],
  );
  const script = instance({ ...key, [user]: `#!/bin/sh\n\n${long}` });
  assert.equal(isTooLongToMerge(script, user), false);
});

test('many users with many keys, each with its own', () => {
  const users = Array.from({ length: 200 }, (_, n) => `u${n}`);
  const keys = Object.fromEntries(users.map((name) => [`cloud-init.ssh-keys.${name}`, `${name}:gh:${name}`]));
  const one = instance({ ...keys, [user]: `#cloud-config\nusers:\n- u7\n- { name: u8, uid: 8 }\n- u7\n` });
  const merged = parse(guestValue(one, user) ?? '') as {
    users: ({ name: string; ssh_import_id: string[] } | string)[];
  };
  const named = merged.users.filter((each) => typeof each !== 'string');
  assert.deepEqual(named.map(({ name }) => name).sort(), [...users].sort());
  for (const { name, ssh_import_id } of named) assert.deepEqual(ssh_import_id, [`gh:${name}`]);
  assert.deepEqual(merged.users[2], 'u7');
});

test('what an instance expands to is made once, however often its guest says how far it is', () => {
  const profile = { id: 1, project: 'default', name: 'p', description: '', config: new Map([['user.a', '1']]) };
  const devices = new Map([['root', new Map([['type', 'disk']])]]);
  const started = { ...instance({ ...key, [user]: '#cloud-config\n' }), profiles: [{ ...profile, devices }] };
  const ready: Instance = { ...started, guestState: 'Ready' };
  assert.equal(expandedConfig(ready), expandedConfig(started));
  assert.equal(expandedDevices(ready), expandedDevices(started));
  const edited: Instance = { ...ready, profiles: [{ ...profile, devices: new Map(), config: new Map() }] };
  assert.equal(expandedConfig(edited).get('user.a'), undefined);
  assert.equal(expandedConfig(started).get('user.a'), '1');
});
