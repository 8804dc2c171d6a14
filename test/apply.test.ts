import assert from 'node:assert/strict';
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
