import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestValue, mergedKeys, unmergedKeys } from '../../src/instances/cloud-init/guest-value.js';
import { instance, key, rootWithKey, user, vendor } from '../support/ssh-key-instance.js';

test('without ssh keys, and with broken ones only, every value stays byte for byte', () => {
  for (const keys of [{}, { 'cloud-init.ssh-keys.a': 'no colon' }]) {
    const one = instance({ ...keys, [vendor]: '#cloud-config\n{ a:   1}', [user]: '#!/bin/sh\n' });
    assert.equal(guestValue(one, vendor), '#cloud-config\n{ a:   1}');
    assert.equal(guestValue(one, user), '#!/bin/sh\n');
    assert.deepEqual([...mergedKeys(one)], []);
  }
});

for (const [what, text] of Object.entries({
  'a script': '#!/bin/sh\necho users\n',
  'a boothook': '#cloud-boothook\nusers\n',
  'an include': '#include\nhttp://lxd/\n',
  MIME: 'Content-Type: multipart/mixed\n\n',
  'an archive': '#cloud-config-archive\n- users\n',
  'YAML without the header': 'users: []\n',
  'a byte order mark': '\ufeff#cloud-config\nusers: []\n',
  'broken YAML': '#cloud-config\n{ a: [\n',
  'a list': '#cloud-config\n- a\n',
  'two documents': '#cloud-config\na: 1\n---\nb: 2\n',
  'an anchor that is missing': '#cloud-config\na: *nowhere\n',
  'an anchor that comes twice': '#cloud-config\na: &x 1\nb: &x 2\nusers: []\n',
  'a merge key as a value': '#cloud-config\nusers: []\na: <<\n',
  'a merge key in a list': '#cloud-config\nusers: []\na: [<<]\n',
  'a day that is not': '#cloud-config\nusers:\n- name: ops\n  expiredate: 2025-02-29\n',
  'an hour that is not': '#cloud-config\nusers: []\na: 2025-02-28 24:00:00\n',
  'a number without digits': '#cloud-config\nusers: []\na: 0x_\n',
  'a tag that the text does not have the form of': '#cloud-config\nusers: []\na: !!int "x"\n',
  'base64 that is cut off': '#cloud-config\nusers: []\na: !!binary aGk\n',
  'a key that is too long for PyYAML': `#cloud-config\n{users: [], ${'k'.repeat(1030)}: 1}\n`,
  'a scalar tagged as a list': '#cloud-config\nusers: []\na: !!seq x\n',
  'a tab in a plain scalar': '#cloud-config\nusers: []\nruncmd:\n- echo a\tb\n',
  'a question mark in flow style': '#cloud-config\nusers: []\nruncmd: [curl, http://lxd/?a]\n',
  'a colon that begins a scalar in flow style': '#cloud-config\nusers: []\na: [:b]\n',
  'a key in flow style that goes over two lines': '#cloud-config\n{users: [], a\n b: 1}\n',
  'a colon in flow style on the next line': '#cloud-config\n{users: [], "a"\n : 1}\n',
  'a key behind a question mark': '#cloud-config\nusers:\n- ? name\n  : root\n',
  'an empty key': '#cloud-config\na: 1\n: 1\nusers: []\n',
  'an anchor of other characters': '#cloud-config\nusers: []\na: &b.c 1\n',
  'a quotation mark that is doubled at the end': "#cloud-config\nusers: []\na: 'b''",
  'a list tagged as a string': '#cloud-config\nusers: !!str [root]\n',
  'nothing tagged as a string': '#cloud-config\n!!str # users\n',
  'a tag that nothing is made of': '#cloud-config\nusers: []\na: !vault x\n',
})) {
  test(`${what} stays as it is, has no users for cloud-init, and the keys go into user-data`, () => {
    const one = instance({ ...key, [vendor]: text, [user]: '#cloud-config\n' });
    assert.equal(guestValue(one, vendor), text);
    assert.equal(guestValue(one, user), `#cloud-config\nusers:\n${rootWithKey}`);
    assert.deepEqual([...unmergedKeys(one)], []);
  });
}

for (const [what, body, reason] of [
  ['users as a map', 'users:\n  root: {}\n', 'users is no list'],
  ['a user that is a number', 'users:\n- 1\n', 'users is no list'],
  ['names in one string', 'users:\n- a,root\n', 'users is no list'],
  ['users in another place', 'x: &u [root]\nusers: *u\n', 'not certain'],
  ['users for another place', 'users: &u [root]\nx: *u\n', 'not certain'],
  ['users twice', 'users: []\nusers: []\n', 'not certain'],
  ['users by a merge key', 'x: &x {users: [a]}\n<<: *x\n', 'not certain'],
  ['a user twice', 'users:\n- name: root\n- {name: root}\n', 'the user is there more than once'],
  [
    'keys under both names',
    'users: [{name: root, ssh-authorized-keys: [a], ssh_authorized_keys: [b]}]\n',
    'not certain',
  ],
  ['keys as a map', 'users: [{name: root, ssh_authorized_keys: {a: b}}]\n', 'the keys are no list'],
  ['keys with nothing behind them in flow style', 'users: [{name: root, ssh_authorized_keys: }]\n', 'not certain'],
  ['a tab that separates', 'users:\n- name:\troot\n', 'not plain YAML'],
  ['a line end of YAML 1.1', 'users: ["a\u2028b"]\n', 'not plain YAML'],
  ['a directive', '%YAML 1.1\n---\nusers: []\n', 'not plain YAML'],
] as const) {
  test(`${what}: the document stays, nothing takes its place, and that is told`, () => {
    for (const name of [vendor, user]) {
      const one = instance({ ...key, [name]: `#cloud-config\n${body}` });
      assert.equal(guestValue(one, name), `#cloud-config\n${body}`);
      assert.deepEqual([...unmergedKeys(one)], [[name, reason]]);
    }
    assert.equal(guestValue(instance({ ...key, [vendor]: `#cloud-config\n${body}` }), user), undefined);
  });
}

for (const head of ['#cloud-config\r', '#cloud-config mine\u2028', '#cloud-config \x85', '\r#cloud-config\n']) {
  test(`${JSON.stringify(head)}: PyYAML ends a line there, so users may stand in it; the document stays`, () => {
    const one = instance({ ...key, [vendor]: `${head}users: [ops]\n` });
    assert.equal(guestValue(one, vendor), `${head}users: [ops]\n`);
    assert.deepEqual([...unmergedKeys(one)], [[vendor, 'not plain YAML']]);
  });
}

test('a template that is rendered stays as it is, and that is told', () => {
  for (const body of ['hostname: {{ v1.local_hostname }}\n', '{% if a %}\nusers: []\n{% endif %}\n', '{# a #}\n']) {
    const text = `## template: jinja\n#cloud-config\n${body}`;
    const one = instance({ ...key, [user]: text });
    assert.equal(guestValue(one, user), text);
    assert.deepEqual([...unmergedKeys(one)], [[user, 'a template']]);
  }
  const rendered = instance({
    'cloud-init.ssh-keys.a': 'root:ssh-rsa A {{ b }}',
    [user]: '## template: jinja\n#cloud-config\na: 1\n',
  });
  assert.deepEqual([...unmergedKeys(rendered)], [[user, 'a template']]);
});

test('a document that is too long to be merged into stays as it is, and the keys go into the other', () => {
  const long = `#cloud-config\nusers: []\n${'# long\n'.repeat(10_000)}`;
  const one = instance({ ...key, [user]: long });
  assert.equal(guestValue(one, user), long);
  assert.equal(guestValue(one, vendor), `#cloud-config\nusers:\n${rootWithKey}`);
  assert.deepEqual([...unmergedKeys(one)], [[user, 'too long']]);
});

test('a document of more tokens than are parsed in a moment stays as it is', () => {
  for (const body of [
    `a:\n${'- &a "\\x41"\n'.repeat(4000)}`,
    `a: &a [x]\nb: [${'*a, '.repeat(10_000)}]\n`,
    `a: ${'['.repeat(1000)}${']'.repeat(1000)}\n`,
    '# c\n'.repeat(12_000),
  ]) {
    const one = instance({ ...key, [user]: `#cloud-config\nusers: []\n${body}` });
    assert.deepEqual([...unmergedKeys(one)], [[user, 'too complex']]);
  }
  const bomb = 'bcdefgh'.split('').map((name, at) => `${name}: &${name} [${`*${'abcdefg'[at]}, `.repeat(9)}]\n`);
  const shared = `#cloud-config\na: &a [x]\n${bomb.join('')}users: [{name: root, ssh_authorized_keys: *h}]\n`;
  assert.equal(guestValue(instance({ ...key, [user]: shared }), user), shared);
});
