import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { planOf } from '../src/apply/plan.js';
import { readWanted } from '../src/apply/wanted.js';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Operator } from './support/host.js';

let daemon: TestDaemon;
const commandLine = new CommandLine(() => daemon);
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
});

after(() => daemon.remove());

const wanted = `
profiles:
  - name: web
    description: web servers
    config:
      user.role: web
      security.devlxd.images: true
    devices: &nics
      eth0: {type: nic, hwaddr: 00:16:3e:00:00:01}
instances:
  - name: web1
    profiles: [default, web]
    config: {user.index: 01, user.script: "#!/bin/sh\\necho hi\\n"}
    devices: {data: {type: disk, path: /data, source: /srv/web1}}
  - name: web2
    profiles:
      - web
    config:
`;

function apply(text: string, ...options: string[]) {
  return commandLine.run(['apply', '-f', '-', ...options], text);
}

async function etags(): Promise<string[]> {
  const paths = ['profiles/default', 'profiles/web', 'instances/web1', 'instances/web2'];
  return Promise.all(paths.map((path) => operator.etag(`/1.0/${path}`)));
}

test('what a file wants: shown, done in one transaction, and done only once', async () => {
  const dry = apply(wanted, '--dry-run');
  assert.equal(dry.status, 3, dry.stderr);
  assert.equal(
    dry.stdout,
    `profile web: new
  + description: web servers
  + config.security.devlxd.images: true
  + config.user.role: web
  + devices.eth0: hwaddr=00:16:3e:00:00:01 type=nic
instance web1: new
  + profiles: default, web
  + config.user.index: 01
  + config.user.script: (3 lines, 18 bytes)
  + devices.data: path=/data source=/srv/web1 type=disk
instance web2: new
  + profiles: web
3 to create, 0 to change, 0 as they should be.
`,
  );
  assert.deepEqual(await daemon.client.instances.list(), []);
  const made = apply(wanted);
  assert.deepEqual([made.status, made.stderr], [0, '']);
  assert.equal(made.stdout, `${dry.stdout}Done.\n`);
  const web1 = await daemon.client.instances.get('web1');
  assert.deepEqual([web1.config['user.index'], web1.config['user.script']], ['01', '#!/bin/sh\necho hi\n']);
  assert.equal(web1.expanded_config['security.devlxd.images'], 'true');

  const before = await etags();
  const follower = await operator.follow('?type=lifecycle,operation');
  for (const options of [[], ['--dry-run']]) {
    const again = apply(wanted, ...options);
    assert.deepEqual(
      [again.status, again.stdout, again.stderr],
      [0, '0 to create, 0 to change, 3 as they should be.\n', ''],
    );
  }
  assert.deepEqual(await etags(), before);
  await daemon.client.projects.patch('default', { description: 'the first event after it' });
  await eventually('an event', () => follower.events.length > 0);
  assert.equal(follower.events[0]?.metadata['action'], 'project-updated');
  follower.end();
});

test('only what differs is changed, and what the file does not name stays', async () => {
  await daemon.client.instances.patch('web1', { config: { 'user.extra': '1' }, description: 'kept' });
  await daemon.client.instances.create({ name: 'other' });
  const id = (await daemon.client.instances.get('web1')).config['volatile.cloud-init.instance-id'];
  const follower = await operator.follow('?type=lifecycle');
  const changed = wanted.replace('user.index: 01', 'user.index: 2').replace(', source: /srv/web1', '');
  const { status, stdout } = apply(changed);
  assert.equal(status, 0);
  assert.equal(
    stdout,
    `instance web1: to change
  - config.user.extra: 1
  ~ config.user.index: 01 -> 2
  ~ devices.data: path=/data source=/srv/web1 type=disk -> path=/data type=disk
0 to create, 1 to change, 2 as they should be.
Done.
`,
  );
  await eventually('the event', () => follower.events.length > 0);
  assert.deepEqual(
    follower.events.map(({ metadata }) => `${metadata['action']} ${metadata['source']}`),
    ['instance-updated /1.0/instances/web1'],
  );
  follower.end();
  const web1 = await daemon.client.instances.get('web1');
  assert.deepEqual([web1.description, web1.config['user.extra']], ['kept', undefined]);
  assert.equal(web1.config['volatile.cloud-init.instance-id'], id);
  assert.ok(await daemon.client.instances.get('other'));
});

test('a profile and those who use it at once, by NDJSON, in a project', async () => {
  await daemon.client.projects.create({ name: 'blue' });
  const lines = (role: string) =>
    [
      { kind: 'profile', name: 'p', config: { 'cloud-init.user-data': role }, devices: { eth0: { type: 'nic' } } },
      { name: 'i', profiles: ['p'], config: { 'user.role': role } },
      { kind: 'instance', name: 'j', profiles: ['p'] },
    ]
      .map((line) => `${JSON.stringify(line)}\n`)
      .join('\n');
  for (const role of ['one', 'two']) {
    const { status, stderr } = apply(lines(role), '--project', 'blue');
    assert.deepEqual([status, stderr], [0, ''], role);
  }
  const [i, j] = await operator.metadata<{ expanded_config: Record<string, string>; project: string }[]>(
    'GET',
    '/1.0/instances?project=blue&recursion=1',
  );
  assert.deepEqual(
    [i?.expanded_config['user.role'], j?.expanded_config['cloud-init.user-data'], j?.project],
    ['two', 'two', 'blue'],
  );
  const unchanged = apply(lines('two'), '--project', 'blue');
  assert.equal(unchanged.stdout, '0 to create, 0 to change, 3 as they should be.\n');
});

test('a file that is wrong is refused with the place', () => {
  const table: [string, RegExp][] = [
    ['instances: [{nam: x}]', /instances\[0\]\.(name: is missing|nam: Unknown field; do you mean name\?)\.$/],
    ['instances: [{name: x, confg: {}}]', /instances\[0\]\.confg: Unknown field; do you mean config\?\.$/],
    ['instance: []', /standard input: instance: Unknown field; do you mean instances\?\.$/],
    ['instances: {name: x}', /instances: must be a list of objects with a name\.$/],
    ['profiles: [{name: x, config: {user.a: [1]}}]', /profiles\[0\]\.config\.user\.a: must be text\.$/],
    ['instances: [{name: x}, {name: x}]', /has the instance "x" twice\.$/],
    ['a: [', /standard input is no YAML: /],
    ['just text', /has neither "profiles:" nor "instances:"/],
    ['{"name":"x"}\n{"name":"y","config":{"user.a":1}}', /line 2: config\.user\.a: must be text\.$/],
    ['{"name":"x"}\n{"name":', /line 2 is no JSON: /],
    ['{"name":"x"}\n{"kind":"image","name":"y"}', /line 2: kind is instance or profile, not "image"\.$/],
  ];
  for (const [text, sentence] of table)
    assert.throws(() => readWanted(text, 'standard input'), { name: 'OptionError', message: sentence }, text);
});

test('by the command: a wrong file ends with 2, one that the daemon refuses with 1, and both change nothing', async () => {
  const before = await operator.metadata('GET', '/1.0/instances?recursion=1');
  const table: [string, number, RegExp][] = [
    ['instances: {name: x}', 2, /^devlxd: standard input: instances: must be a list of objects with a name\.\n$/],
    ['instances: [{name: good}, {name: 1bad}]', 1, /^devlxd: instance 1bad: name: "1bad" is not an instance name/],
    [
      'instances: [{name: good, config: {usr.a: 1}}]',
      1,
      /^devlxd: instance good: config\.usr\.a: .*; do you mean user\.a\?\n$/,
    ],
    ['instances: [{name: good, profiles: [none]}]', 1, /^devlxd: instance good: profiles: Profile "none" not found\n$/],
    ['profiles: [{name: p q}]', 1, /^devlxd: profile p q: name: "p q" is not a profile name/],
  ];
  for (const [text, code, sentence] of table) {
    for (const options of [['--dry-run'], []]) {
      const { status, stdout, stderr } = apply(text, ...options);
      assert.match(stderr, sentence, text);
      assert.equal(status, code, text);
      if (options.length > 0) assert.equal(stdout, '', 'nothing is shown that would not be done');
    }
  }
  const missing = commandLine.run(['apply', '-f', join(daemon.directory, 'none')]);
  assert.deepEqual([missing.status, /none cannot be read: ENOENT/.test(missing.stderr)], [2, true]);
  assert.equal(commandLine.run(['apply']).status, 2);
  assert.deepEqual(await operator.metadata('GET', '/1.0/instances?recursion=1'), before);
});

test('what somebody else has changed since it was shown is not written over', async () => {
  const { client } = daemon;
  const file = readWanted('{"name":"web1","config":{"user.by":"the file"}}\n{"name":"fresh"}', 'file');
  const lines = (await planOf(client, file, 'default')).items.map(({ line }) => line);
  assert.equal(lines.length, 2);
  await client.instances.patch('web1', { config: { 'user.by': 'somebody else' } });
  await assert.rejects(client.batch(lines), /^ApiError: line 1: ETag doesn't match: /);
  assert.equal((await client.instances.get('web1')).config['user.by'], 'somebody else');
  await assert.rejects(client.instances.get('fresh'), /not found/);
});

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

test('the type of an instance is what it is created as', async () => {
  const file = (type: string) => `instances: [{name: machine1, type: ${type}, config: {user.role: ${type}}}]`;
  assert.equal(apply(file('virtual-machine')).status, 0);
  assert.equal((await daemon.client.instances.get('machine1')).type, 'virtual-machine');
  const { status, stderr } = apply(file('container'));
  assert.equal(status, 2);
  assert.match(stderr, /"machine1" is a virtual-machine, and the file says container; .*delete it first/);
  assert.equal((await daemon.client.instances.get('machine1')).config['user.role'], 'virtual-machine');
  assert.match(apply('instances: [{name: machine2, type: vm}]').stderr, /container or virtual-machine/);
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
