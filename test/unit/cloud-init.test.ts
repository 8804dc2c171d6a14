import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { guestValue, mergedKeys, unmergedKeys } from '../../src/instances/cloud-init/guest-value.js';
import { expandedConfig, expandedDevices, type Instance } from '../../src/model/instance.js';
import { instance, key, keyLines, rootWithKey, user, vendor } from '../support/ssh-key-instance.js';

test('the golden vector: a public key and an import id, merged into nothing', () => {
  const one = instance({ ...key, 'cloud-init.ssh-keys.b': 'root:gh:user1' });
  const expected = `#cloud-config
users:
- name: "root"
  ssh_authorized_keys:
  - "ssh-ed25519 AAAA me" #lxd:cloud-init.ssh-keys
  ssh_import_id:
  - "gh:user1" #lxd:cloud-init.ssh-keys
`;
  assert.equal(guestValue(one, vendor), expected);
  assert.equal(guestValue(one, user), expected);
  assert.equal(guestValue(one, 'user.vendor-data'), undefined);
});

const merges: [what: string, before: string, after: string][] = [
  ['a document without users', 'packages: [vim]\n', `users:\n${rootWithKey}packages: [vim]\n`],
  ['text that YAML 1.1 reads otherwise', 'a: 0644\nb: yes\n', `users:\n${rootWithKey}a: 0644\nb: yes\n`],
  ['comments', '# mine\na:   1 # one\n', `users:\n${rootWithKey}# mine\na:   1 # one\n`],
  ['a document of comments only', '# mine\n', `users:\n${rootWithKey}# mine\n`],
  ['a start of the document', '---\na: 1\n...\n', `---\nusers:\n${rootWithKey}a: 1\n...\n`],
  ['no line end', 'a: |\n  x', `users:\n${rootWithKey}a: |\n  x`],
  ['users that are nothing', 'users: # none\na: 1\n', `users: # none\n${rootWithKey}a: 1\n`],
  ['a plain user', 'users:\n- default\n- root # me\n- x\n', `users:\n- default\n- name: root # me\n${keyLines}- x\n`],
  [
    'one user as a string',
    'users: root\n',
    'users: [{"name": root, "ssh_authorized_keys": ["ssh-ed25519 AAAA me"]}]\n',
  ],
  ['no users', 'users: []\n', 'users: [{"name": "root", "ssh_authorized_keys": ["ssh-ed25519 AAAA me"]}]\n'],
  [
    'a user in flow style',
    'users: [default, {name: root}] # two\n',
    'users: [default, {name: root, "ssh_authorized_keys": ["ssh-ed25519 AAAA me"]}] # two\n',
  ],
  [
    'a user with keys of its own under the old name, and no others: both names mean the same, and the last one holds',
    'users:\n- name: root\n  ssh-authorized-keys: ssh-rsa X\n',
    'users:\n- name: root\n  ssh-authorized-keys: [ssh-rsa X, "ssh-ed25519 AAAA me"]\n',
  ],
  [
    'a list of keys',
    'users:\n- name: root\n  ssh_authorized_keys:\n    - ssh-rsa X # x\n  shell: /bin/sh\n',
    'users:\n- name: root\n  ssh_authorized_keys:\n    - ssh-rsa X # x\n    - "ssh-ed25519 AAAA me" #lxd:cloud-init.ssh-keys\n  shell: /bin/sh\n',
  ],
  [
    'a key as a block of text',
    'users:\n- name: root\n  ssh_authorized_keys: |\n    ssh-rsa X\n',
    'users:\n- name: root\n  ssh_authorized_keys: \n  - |\n    ssh-rsa X\n  - "ssh-ed25519 AAAA me" #lxd:cloud-init.ssh-keys\n',
  ],
  [
    'a list that another user shares',
    'users:\n- name: root\n  ssh_authorized_keys: &ops\n  - ssh-rsa X\n- name: ftp\n  ssh_authorized_keys: *ops # too\n',
    'users:\n- name: root\n  ssh_authorized_keys: #&ops\n  - ssh-rsa X\n  - "ssh-ed25519 AAAA me" #lxd:cloud-init.ssh-keys\n- name: ftp\n  ssh_authorized_keys: &ops ["ssh-rsa X"] #*ops # too\n',
  ],
  [
    'a list that is of another user',
    'users:\n- name: ftp\n  ssh_authorized_keys: &ops [ssh-rsa X]\n- name: root\n  ssh_authorized_keys: *ops\n',
    'users:\n- name: ftp\n  ssh_authorized_keys: &ops [ssh-rsa X]\n- name: root\n  ssh_authorized_keys: ["ssh-rsa X", "ssh-ed25519 AAAA me"] #*ops\n',
  ],
  [
    'a user that is merged into another one',
    'users:\n- &base\n  name: root\n- <<: *base\n  name: intern\n',
    `users:\n- #&base\n  name: root\n${keyLines}- <<: &base {"name": "root"} #*base\n  name: intern\n`,
  ],
  [
    'keys by a merge key',
    'd: &d {ssh_authorized_keys: [ssh-rsa X]}\nusers:\n- name: root\n  <<: *d\n',
    'd: &d {ssh_authorized_keys: [ssh-rsa X]}\nusers:\n- name: root\n  ssh_authorized_keys:\n  - "ssh-rsa X"\n  - "ssh-ed25519 AAAA me" #lxd:cloud-init.ssh-keys\n  <<: *d\n',
  ],
  [
    'what only looks like a day that is not',
    'a: 2025-2-31\nb: "2025-02-31"\nc: 2024-02-29T23:59:59.5 +23:59\nd: !!str 2025-02-31\n',
    `users:\n${rootWithKey}a: 2025-2-31\nb: "2025-02-31"\nc: 2024-02-29T23:59:59.5 +23:59\nd: !!str 2025-02-31\n`,
  ],
  [
    'no keys, in a user in flow style',
    '{"users":[{"name":"root","ssh_authorized_keys":null,"uid":0}]}\n',
    '{"users":[{"name":"root","ssh_authorized_keys":["ssh-ed25519 AAAA me"] #null\n ,"uid":0}]}\n',
  ],
  [
    'a list that others share, in flow style',
    'users: [{name: root, ssh_authorized_keys: &k [a b], uid: 0}, {name: x, ssh_authorized_keys: *k}]\n',
    'users: [{name: root, ssh_authorized_keys: ["a b", "ssh-ed25519 AAAA me"] #&k [a b]\n , uid: 0}, {name: x, ssh_authorized_keys: &k ["a b"] #*k\n }]\n',
  ],
  ['a name that is tagged as a string', 'users:\n- name: !!str root\n', `users:\n- name: !!str root\n${keyLines}`],
  ['a key that comes twice elsewhere', 'a: 1\na: 2\n', `users:\n${rootWithKey}a: 1\na: 2\n`],
];

for (const [what, before, after] of merges) {
  test(`merged: ${what}`, () => {
    const merged = guestValue(instance({ ...key, [vendor]: `#cloud-config\n${before}` }), vendor);
    assert.equal(merged, `#cloud-config\n${after}`);
  });
}

test('merged: headers as cloud-init takes them, and the line ends that the document has', () => {
  for (const head of ['## template: jinja\n#cloud-config\n', '\n\n#Cloud-Config  \n', '#cloud-config # of mine\n']) {
    const merged = guestValue(instance({ ...key, [vendor]: `${head}a: 1\n` }), vendor);
    assert.equal(merged, `${head}users:\n${rootWithKey}a: 1\n`);
  }
  const windows = '#cloud-config\r\nusers:\r\n- root\r\n- x\r\n';
  const merged = guestValue(instance({ ...key, [vendor]: windows }), vendor);
  assert.equal(merged, `#cloud-config\nusers:\n- name: root\n${keyLines}- x\n`.replaceAll('\n', '\r\n'));
  assert.equal(
    guestValue(instance({ ...key, [vendor]: '#cloud-config' }), vendor),
    `#cloud-config\nusers:\n${rootWithKey}`,
  );
});

test('a script as user-data loses no key as long as vendor-data has it', () => {
  const script = '#!/bin/sh\n';
  assert.deepEqual([...unmergedKeys(instance({ ...key, [user]: script }))], []);
  const both = instance({ ...key, [user]: script, [vendor]: script });
  assert.deepEqual([...unmergedKeys(both).keys()], [vendor, user]);
  const include = instance({ ...key, [user]: '#include\nhttp://x/\n' });
  assert.deepEqual([...unmergedKeys(include).keys()], [user]);
});

test('what is inserted is the same to every reader', () => {
  const odd = 'ssh-rsa A "q" \\ \u0085\u2028\ufeff\u{1f427} é: #yes';
  const value = guestValue(instance({ 'cloud-init.ssh-keys.a': `yes:${odd}` }), vendor) ?? '';
  assert.match(value, /^#cloud-config\nusers:\n- name: "yes"\n[\x20-\x7e\né]*$/);
  assert.deepEqual(parse(value), { users: [{ name: 'yes', ssh_authorized_keys: [odd] }] });
});

test('user-data gets the keys when it has users, or when there is no vendor-data; else it stays', () => {
  const withUsers = '#cloud-config\nusers:\n- root\n';
  const without = '#cloud-config\na: 1\n';
  assert.equal(guestValue(instance({ ...key, [vendor]: without, [user]: without }), user), without);
  assert.equal(
    guestValue(instance({ ...key, [vendor]: without, [user]: withUsers }), user),
    `#cloud-config\nusers:\n- name: root\n${keyLines}`,
  );
  assert.equal(guestValue(instance({ ...key, [user]: without }), user), `#cloud-config\nusers:\n${rootWithKey}a: 1\n`);
  assert.equal(guestValue(instance({ ...key, [vendor]: without }), user), undefined);
});

test('a name that is not set is listed only when neither of the two is', () => {
  const names = (config: Record<string, string>) => [...mergedKeys(instance({ ...key, ...config }))].sort();
  assert.deepEqual(names({}), [user, vendor]);
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
      const { users: _, ...kept } = (parse(after, lenient) ?? {}) as Record<string, unknown>;
      const { users: __, ...had } = (parse(before, lenient) ?? {}) as Record<string, unknown>;
      assert.deepEqual(kept, had);
    }),
    { numRuns: 500 },
  );
});

test('any cloud-config with users: every byte stays, and only the one user has the key', () => {
  const name = fc.constantFrom('root', 'ops', 'yes', 'default');
  const keys = fc.constantFrom(
    '',
    '&k [a b]',
    '*k',
    '\n    - a b # c',
    'a b',
    '|\n    a b',
    '[]',
    '~',
    '&k\n    - a b',
  );
  const described = fc
    .tuple(name, keys, fc.constantFrom('', '&u\n  ', '# c\n  '), fc.constantFrom('', '<<: *u\n  '))
    .map(([who, list, before, merge]) => `${before}${merge}name: ${who}\n  ssh_authorized_keys: ${list}`);
  const users = fc.array(fc.oneof(name, described, fc.constant('*u')), { maxLength: 4 });
  fc.assert(
    fc.property(users, fc.constantFrom('', 'a: 0644\n', 'b: |+\n  x\n\n'), (list, rest) => {
      const text = `#cloud-config\n${rest}users:\n${list.map((each) => `- ${each}\n`).join('')}c: 1e3`;
      const merged = guestValue(instance({ ...key, [user]: text }), user) ?? '';
      assert.ok(isWithin(text, merged), merged);
      if (merged === text) return;
      const [before, after] = [text, merged].map((each) => parse(each, lenient) as Read) as [Read, Read];
      const holders = after.users.filter((one) => JSON.stringify(one).includes('AAAA'));
      assert.deepEqual(holders.map(nameOf), ['root'], merged);
      const others = (read: Read) => ({ ...read, users: (read.users ?? []).filter((one) => nameOf(one) !== 'root') });
      assert.deepEqual(others(after), others(before), merged);
    }),
    { numRuns: 500 },
  );
});

type Named = string | { readonly name?: unknown };
interface Read {
  readonly users: readonly Named[];
}
const lenient = { logLevel: 'error', version: '1.1', uniqueKeys: false } as const;

function nameOf(one: Named): unknown {
  return typeof one === 'string' ? one : one?.name;
}

/** Is whole made from part by insertions only? */
function isWithin(part: string, whole: string): boolean {
  let at = 0;
  for (const character of whole) if (character === part[at]) at++;
  return at === part.length;
}

test('keys for thousands of users, merged into nothing', () => {
  const keys = Object.fromEntries(
    Array.from({ length: 4000 }, (_, n) => [`cloud-init.ssh-keys.${n}`, `u${n}:ssh-rsa A b`]),
  );
  const { users } = parse(guestValue(instance(keys), vendor) ?? '') as Read;
  assert.equal(users.length, 4000);
});

test('many users with many keys, each with its own', () => {
  const users = Array.from({ length: 200 }, (_, n) => `u${n}`);
  const keys = Object.fromEntries(users.map((name) => [`cloud-init.ssh-keys.${name}`, `${name}:gh:${name}`]));
  const one = instance({ ...keys, [user]: `#cloud-config\nusers:\n- u7\n- { name: u8, uid: 8 }\n- other\n` });
  const merged = parse(guestValue(one, user) ?? '') as {
    users: ({ name: string; ssh_import_id: string[] } | string)[];
  };
  const named = merged.users.filter((each) => typeof each !== 'string');
  assert.deepEqual(named.map(({ name }) => name).sort(), [...users].sort());
  for (const { name, ssh_import_id } of named) assert.deepEqual(ssh_import_id, [`gh:${name}`]);
  assert.equal(merged.users[2], 'other');
});

test('what an instance expands to is made once, however often its guest says how far it is', () => {
  const named = { id: 1, project: 'default', name: 'p', description: '', changedAt: '' };
  const profile = { ...named, config: new Map([['user.a', '1']]) };
  const devices = new Map([['root', new Map([['type', 'disk']])]]);
  const run = { pid: 1, startTicks: 1, bootId: 'b' };
  const started = { ...instance({ ...key, [user]: '#cloud-config\n' }), run, profiles: [{ ...profile, devices }] };
  const ready: Instance = { ...started, guestState: 'Ready' };
  assert.equal(expandedConfig(ready), expandedConfig(started));
  assert.equal(expandedDevices(ready), expandedDevices(started));
  const edited: Instance = { ...ready, profiles: [{ ...profile, devices: new Map(), config: new Map() }] };
  assert.equal(expandedConfig(edited).get('user.a'), undefined);
  assert.equal(expandedConfig(started).get('user.a'), '1');
});
