// What is applied that was written for or by others: what devlxd, lxc and incus print, preseeds, and YAML as LXD reads it.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';

let daemon: TestDaemon;
const commandLine = new CommandLine(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  const { profiles, instances } = daemon.client;
  await profiles.create({ name: 'web', description: 'web servers', config: { 'user.role': 'web' } });
  await instances.create({
    name: 'web1',
    profiles: ['default', 'web'],
    config: { 'user.index': '01', 'user.script': '#!/bin/sh\necho hi\n' },
    devices: { data: { type: 'disk', path: '/data', source: '/srv/web1' } },
  });
  await instances.create({ name: 'web2', profiles: ['web'] });
});

after(() => daemon.remove());

function apply(text: string, ...options: string[]) {
  return commandLine.run(['apply', '-f', '-', ...options], text);
}

test('what show prints can be applied again', async () => {
  const shown = commandLine.does('show', 'web1', '--format', 'json');
  const { name, description, profiles, config, devices } = JSON.parse(shown);
  const file = join(daemon.directory, 'shown.ndjson');
  writeFileSync(file, JSON.stringify({ name, description, profiles, config, devices }));
  assert.match(commandLine.does('apply', '-f', file), /\n0 to create, 0 to change, 1 as they should be\.\n$/);
});

test('what list prints can be applied again, and elsewhere', async () => {
  const { client } = daemon;
  await client.projects.create({ name: 'green' });
  const listed = (project: string, format: string) =>
    commandLine.does('list', '--project', project, '--format', format);
  const profiles = commandLine.does('profile', 'list', '--project', 'green', '--format', 'yaml');
  assert.match(apply(profiles, '--project', 'green').stdout, /\n0 to create, 0 to change, 1 as they should be\.\n$/);
  assert.equal(apply(listed('green', 'yaml'), '--project', 'green').status, 0, 'none of them');
  await client.projects.delete('green');
  const count = (await client.instances.list()).length;
  for (const format of ['yaml', 'json']) {
    const same = apply(listed('default', format));
    assert.deepEqual([same.status, same.stderr], [0, ''], format);
    assert.match(same.stdout, new RegExp(`\n0 to create, 0 to change, ${count} as they should be\\.\n$`));
  }
  const elsewhere = listed('default', 'yaml').replaceAll(/^( *-? *)name: /gm, '$1name: again-');
  const made = apply(elsewhere);
  assert.match(made.stdout, new RegExp(`\n${count} to create, 0 to change, 0 as they should be\\.\nDone\\.\n$`));
  assert.equal((await client.instances.list()).length, 2 * count);
  const wrong = apply('- name: a\n- {name: b, confg: {}}\n- c\n');
  assert.match(wrong.stderr, /standard input: \[1\]\.confg: Unknown field; do you mean config\?\.\n$/);
  assert.match(apply('- a\n').stderr, /standard input: \[0\]: must be an object with a name\.\n$/);
});

test('what lxc, incus and devlxd show is applied, and what is left out is said', async () => {
  commandLine.does('create', 'shown', 'user.a=1', 'user.text=two\nlines\n');
  const shown = commandLine.does('show', 'shown', '--format', 'yaml');
  const same = apply(shown);
  assert.deepEqual([same.status, same.stderr], [0, '']);
  assert.match(
    same.stdout,
    /^Left out, as devlxd sets none of it, of instances: config\.volatile\.uuid, created_at, pid, project, status\.\n0 to create, 0 to change, 1 as they should be\.\n$/,
  );

  const id = '0f8fad5b-d9cb-469f-a165-70867728950e';
  const lxc = `architecture: x86_64
config:
  image.os: Debian
  limits.cpu: 2
  security.nesting: true
  user.mode: 0644
  volatile.base_image: 0f
  volatile.cloud-init.instance-id: ${id}
  volatile.eth0.hwaddr: 00:16:3e:01:02:03
devices:
  eth0: {name: eth0, network: lxdbr0, type: nic}
ephemeral: false
profiles:
- default
stateful: false
description: ""
`;
  const nameless = apply(lxc);
  assert.deepEqual(
    [nameless.status, nameless.stderr],
    [2, 'devlxd: standard input has no name; say whose it is with --name.\n'],
  );
  const made = apply(lxc, '--name', 'moved');
  assert.deepEqual([made.status, made.stderr], [0, '']);
  assert.match(
    made.stdout,
    /of instances: architecture, config\.volatile\.base_image, config\.volatile\.eth0\.hwaddr, ephemeral, stateful\.\n/,
  );
  const { config } = await daemon.client.instances.get('moved');
  assert.deepEqual(
    [config['volatile.cloud-init.instance-id'], config['user.mode'], config['security.nesting']],
    [id, '0644', 'true'],
  );
  const again = apply(lxc, '--name', 'moved');
  assert.match(again.stdout, /0 to create, 0 to change, 1 as they should be\.\n$/);

  const profile = apply(
    'config: {user.p: 1}\ndescription: one\ndevices: {}\nname: shownprofile\nused_by:\n- /1.0/instances/x\n',
  );
  assert.match(profile.stdout, /of profiles: used_by\.\nprofile shownprofile: new\n/);
});

test('a file that cannot be taken says where, and what to do', () => {
  for (const [text, expected] of [
    ['instances:\n- ~\n', 'standard input: instances[0]: must be an object with a name.'],
    ['profiles:\n- name: a\n- b\n', 'standard input: profiles[1]: must be an object with a name.'],
    ['instances:\n- [a]\n', 'standard input: instances[0]: must be an object with a name.'],
    [
      '---\ninstances: []\n---\nprofiles: []\n',
      'standard input, line 3: a second document begins here; apply each from a file of its own.',
    ],
  ] as const) {
    const { status, stderr } = apply(text);
    assert.deepEqual([status, stderr], [2, `devlxd: ${expected}\n`]);
  }
});

test('the instances and profiles of a preseed are applied', async () => {
  const preseed = `config:
  core.https_address: "[::]:8443"
networks:
- name: lxdbr0
  type: bridge
storage_pools:
- {name: default, driver: dir}
projects: []
profiles:
- name: seeded
  description: ""
  config: &config {user.seed: "1"}
  devices:
    root: {path: /, pool: default, type: disk}
  project: default
instances:
- name: seeded1
  type: ""
  profiles: [seeded]
  source: {type: none}
  config:
    <<: *config
    user.more: yes
`;
  const { status, stdout, stderr } = apply(preseed);
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(
    stdout,
    /^Left out, as devlxd sets none of it, of the file: config, networks, projects, storage_pools; of profiles: project; of instances: source\.\n/,
  );
  const { config } = await daemon.client.instances.get('seeded1');
  assert.deepEqual([config['user.seed'], config['user.more']], ['1', 'yes']);
  for (const text of ['instances: [{name: seeded1}]', '{"name":"seeded1"}\n'])
    assert.match(apply(`\ufeff${text}`).stdout, /1 as they should be/, 'a byte order mark says nothing');
  const other = apply('instances: [{name: x, project: blue}]');
  assert.deepEqual(
    [other.status, other.stderr],
    [2, 'devlxd: standard input: instances[0].project: is of the project "blue"; apply it with --project blue.\n'],
  );
});

test("YAML as LXD's Go reads it into strings, or a sentence", async () => {
  const { status, stderr } = apply(`instances:
- name: habits
  config:
    user.yes: yes
    user.octal: 0644
    user.time: 12:30
    user.float: 1.10
    user.date: 2001-12-14
    user.tagged: !!str 007
    user.int: !!int "7"
    user.binary: !!binary R3LDvMOfZQ==
    user.null: ~
    user.nothing:
    user.word: Null
    user.quoted: "~"
  devices: ~
`);
  assert.deepEqual([status, stderr], [0, '']);
  const { config } = await daemon.client.instances.get('habits');
  const own = Object.fromEntries(Object.entries(config).filter(([key]) => key.startsWith('user.')));
  assert.deepEqual(own, {
    'user.yes': 'yes',
    'user.octal': '0644',
    'user.time': '12:30',
    'user.float': '1.10',
    'user.date': '2001-12-14',
    'user.tagged': '007',
    'user.int': '7',
    'user.binary': 'Grüße',
    'user.quoted': '~',
  });
  for (const [text, sentence] of [
    ['instances: [{name: x, config: {user.a: !vault x}}]', /line 1: the tag !vault means nothing here/],
    ['instances: [{name: x, config: {user.a: !!binary /w==}}]', /line 1/],
    ['instances: [{name: x, config: {user.a: !!binary "*"}}]', /line 1/],
    ['instances: [{name: x}]\n---\na: 1\n', /line 2: a second document begins here/],
    ['instances: [{name: x, config: *none}]', /is no YAML: .*none/],
  ] as const) {
    const refused = apply(text);
    assert.match(refused.stderr, sentence);
    assert.deepEqual([refused.status, refused.stderr.split('\n').length], [2, 2], refused.stderr);
  }
});
