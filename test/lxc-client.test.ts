import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { Lxc, needsLxc } from './support/lxc.js';

let daemon: TestDaemon;
let lxc: Lxc;
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  lxc = new Lxc(daemon);
});

after(async () => {
  lxc.remove();
  await daemon.remove();
});

const prints: Lxc['prints'] = (...words) => lxc.prints(...words);
const fails: Lxc['fails'] = (words) => lxc.fails(words);

/** The keys that are the daemon's have values that nobody knows before. */
function settled(out: string): string {
  return out.replace(/^( *volatile\.[^:]*: ).*$/gm, '$1...');
}

test('init, list, info, delete', needsLxc, async () => {
  assert.match(await prints('init --empty c1 -c user.role=web'), /^Creating c1\n/);
  assert.equal(
    await prints('list --columns nst'),
    `+------+---------+-----------+
| NAME |  STATE  |   TYPE    |
+------+---------+-----------+
| c1   | STOPPED | CONTAINER |
+------+---------+-----------+
`,
  );
  assert.equal(await prints('list --format csv -c n,user.role'), 'c1,web\n');
  assert.equal(await prints('list --format csv -c n status=stopped'), 'c1\n');
  assert.equal(await prints('list --format csv -c n user.role=web'), 'c1\n');
  assert.equal(await prints('list --format csv -c n status=running'), '');
  assert.match(await prints('info c1'), /^Name: c1\nStatus: STOPPED\nType: container\nArchitecture: \w+\nCreated: /);
  assert.match(await prints('info'), /\n {2}server: devlxd\n/);
  assert.equal(await prints('delete c1'), '');
  assert.equal(await prints('list --format csv'), '');
  assert.match(await fails('delete c1'), /^Error: .*Instance "c1" not found$/);
});

test('config set, get, unset, show, edit', needsLxc, async () => {
  await prints('init --empty conf');
  assert.equal(await prints('config set conf user.a 1'), '');
  assert.equal(await prints('config set conf user.b=2 user.c=3'), '');
  assert.equal(await prints('config get conf user.b'), '2\n');
  assert.equal(await prints('config unset conf user.b'), '');
  assert.equal(await prints('config get conf user.b'), '\n');
  assert.equal(await prints('config set conf user.a -', 'from\nstdin'), '');
  assert.equal(await prints('config get conf user.a'), 'from\nstdin\n');
  const edited = await lxc.edit(
    ['config', 'edit', 'conf'],
    's/^description:.*/description: by an editor/; s/user.c: .*/user.c: edited/',
  );
  assert.deepEqual(edited, { code: 0, out: '' });
  assert.equal(
    settled(await prints('config show conf')).replace(/^architecture: .*/, 'architecture: ...'),
    `architecture: ...
config:
  user.a: |-
    from
    stdin
  user.c: edited
  volatile.cloud-init.instance-id: ...
  volatile.uuid: ...
devices: {}
ephemeral: false
profiles:
- default
stateful: false
description: by an editor
`,
  );
  assert.equal(await prints('config edit conf', 'config: {user.only: "1"}\nprofiles: [default]\n'), '');
  assert.match(
    await prints('config show conf'),
    /^config:\n {2}user\.only: "1"\n {2}volatile[^\n]*\n {2}volatile.uuid[^\n]*\ndevices/m,
  );
  assert.equal(
    await fails('config set conf nonsense=1'),
    'Error: config.nonsense: Unknown configuration key; do you mean user.nonsense?',
  );
  assert.equal(await fails('config set none user.a=1'), 'Error: Instance "none" not found');
});

test('config device add, set, get, unset, list, show, remove', needsLxc, async () => {
  await prints('init --empty dev');
  assert.equal(await prints('config device add dev data disk source=/srv path=/data'), 'Device data added to dev\n');
  assert.equal(await prints('config device set dev data path /other'), '');
  assert.equal(await prints('config device set dev data readonly=true'), '');
  assert.equal(await prints('config device get dev data path'), '/other\n');
  assert.equal(await prints('config device unset dev data readonly'), '');
  assert.equal(await prints('config device list dev'), 'data\n');
  assert.equal(await prints('config device show dev'), 'data:\n  path: /other\n  source: /srv\n  type: disk\n');
  assert.equal(await prints('config device remove dev data'), 'Device data removed from dev\n');
  assert.equal(await prints('config device show dev'), '{}\n');
});

test('profile create, set, device add, add, assign, remove, show, list, copy, rename, delete', needsLxc, async () => {
  await prints('init --empty prof');
  assert.equal(await prints('profile create web'), 'Profile web created\n');
  assert.equal(await prints('profile set web user.role web'), '');
  assert.equal(await prints('profile device add web data disk source=/srv path=/data'), 'Device data added to web\n');
  assert.equal(await prints('profile add prof web'), 'Profile web added to prof\n');
  assert.equal(
    await prints('profile show web'),
    `config:
  user.role: web
description: ""
devices:
  data:
    path: /data
    source: /srv
    type: disk
name: web
used_by:
- /1.0/instances/prof
`,
  );
  assert.match(await prints('config show prof --expanded'), /user\.role: web\n[\s\S]*?\n {2}data:\n {4}path: \/data/);
  assert.match(await prints('profile list --format csv'), /^default,Default devlxd profile,\d+\nweb,,1\n$/);
  assert.match(await fails('profile delete web'), /^Error: The profile "web" is in use/);
  assert.equal(await prints('profile assign prof default'), 'Profiles default applied to prof\n');
  assert.equal(await prints('profile copy web db'), '');
  assert.equal(await prints('profile rename db sql'), 'Profile db renamed to sql\n');
  assert.equal(await prints('profile add prof sql'), 'Profile sql added to prof\n');
  assert.equal(await prints('profile remove prof sql'), 'Profile sql removed from prof\n');
  assert.equal(await prints('profile delete web'), 'Profile web deleted\n');
  assert.deepEqual(await lxc.edit(['profile', 'edit', 'sql'], 's/user.role: .*/user.role: sql/'), { code: 0, out: '' });
  assert.equal(await prints('profile get sql user.role'), 'sql\n');
  assert.equal(await fails('profile delete default'), 'Error: The "default" profile cannot be deleted');
});

test('project create, list, switch, show, set, delete', needsLxc, async () => {
  assert.equal(await prints('project create blue'), 'Project blue created\n');
  assert.equal(await prints('project set blue user.tint blue'), '');
  assert.match(
    await prints('project show blue'),
    /user\.tint: blue\ndescription: ""\nname: blue\nused_by:\n- \/1\.0\/profiles\/default\?project=blue\n/,
  );
  assert.equal(await prints('project switch blue'), '');
  assert.equal(await prints('list --format csv'), '');
  await prints('init --empty here');
  await prints('config set here user.a=1');
  assert.equal(await prints('list --format csv -c n'), 'here\n');
  assert.match(
    await prints('project list --format csv'),
    /^blue \(current\),NO,YES,NO,NO,,2\ndefault,NO,YES,NO,NO,Default devlxd project,\d+\n$/,
  );
  assert.match(await prints('list --all-projects --format csv -c en'), /^blue,here\n/);
  assert.equal(await prints('project switch default'), '');
  assert.equal(await fails('project delete blue'), 'Error: Only empty projects can be deleted; "blue" has "here"');
  await prints('delete here --project blue');
  assert.equal(await prints('project rename blue green'), 'Project blue renamed to green\n');
  assert.equal(await prints('project delete green'), 'Project green deleted\n');
});

test('rename and move, query, operation list', needsLxc, async () => {
  await prints('init --empty old');
  assert.equal(await prints('rename old new'), '');
  assert.equal(await prints('move new newer'), '');
  assert.equal(JSON.parse(await prints('query /1.0/instances/newer')).name, 'newer');
  await prints('query -X PATCH -d {"description":"queried"} /1.0/instances/newer');
  assert.equal(JSON.parse(await prints('query /1.0/instances/newer')).description, 'queried');
  await prints('query --wait -X POST -d {"name":"queried"} /1.0/instances');
  assert.match(await prints('operation list --format csv'), /,TASK,Renaming instance,SUCCESS,NO,/);
  assert.equal(await fails('rename none other'), 'Error: Instance "none" not found');
});

test('networks are those of the host', needsLxc, async () => {
  assert.match(await prints('network list --format csv'), /^(?:[^,\n]+,\w+,NO,.*\n)*$/); // without loopback
  assert.match(await prints('network show lo'), /^name: lo\n|\nname: lo\n/);
});

test('image import, list, info, show, export, delete', needsLxc, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'devlxd-lxc-image-'));
  const [file, exported] = [join(directory, 'image.tar.xz'), join(directory, 'exported')];
  const xz = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]); // how such a file begins
  writeFileSync(file, Buffer.concat([xz, randomBytes(300_000)]));
  const fingerprint = createHash('sha256').update(readFileSync(file)).digest('hex');
  const short = fingerprint.slice(0, 12);
  assert.match(
    await prints(`image import ${file} os=none`),
    new RegExp(`Image imported with fingerprint: ${fingerprint}`),
  );
  assert.match(await prints('image list --format csv'), new RegExp(`^,${short},no,,\\w+,CONTAINER,0\\.29MB,`));
  assert.match(await prints(`image info ${short}`), new RegExp(`^Fingerprint: ${fingerprint}\n`));
  assert.match(await prints(`image show ${short}`), /^properties:\n {2}os: none\npublic: false\n/m);
  await prints(`image export ${short} ${exported}`);
  assert.deepEqual(readFileSync(`${exported}.tar.xz`), readFileSync(file));
  assert.match(await fails(`image import ${file}`), /^Error: Image ".*" already exists/);
  assert.match(await fails('image alias create tiny none'), /Error: .*devlxd has no aliases of images/);
  assert.match(await fails(`init ${short} made`), /Error: .*source\.type: devlxd makes no root file systems/);
  assert.equal(await prints(`image delete ${short}`), '');
  assert.equal(await prints('image list --format csv'), '');
  // Of a file whose beginning says nothing its name has an extension all the same: the client cannot do without.
  writeFileSync(file, 'no format that anybody knows');
  const unknown = createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12);
  await prints(`image import ${file}`);
  await prints(`image export ${unknown} ${exported}`);
  assert.deepEqual(readFileSync(`${exported}.img`), readFileSync(file));
  await prints(`image delete ${unknown}`);
  rmSync(directory, { recursive: true });
});

test('a running one: list and stop', needsLxc, async () => {
  const guests = new Guests();
  await prints('init --empty runs');
  await daemon.startInstance('runs', guests.one().pid);
  assert.equal(await prints('list runs --format csv -c ns'), 'runs,RUNNING\n');
  assert.match(await prints('info runs'), /^Name: runs\nStatus: RUNNING\nType: container\n[\s\S]*\nPID: \d+\n/);
  assert.match(await fails('delete runs'), /^Error: The instance is currently running, stop it first or pass --force/);
  assert.equal(await prints('stop runs'), '');
  assert.equal(await prints('list runs --format csv -c ns'), 'runs,STOPPED\n');
  await guests.close();
});

test('monitor sees what the operators do, as devlxd tells it', needsLxc, async () => {
  const monitor = lxc.follow(['monitor', '--type', 'lifecycle', '--format', 'json']);
  const follower = await operator.follow('?type=lifecycle');
  let pokes = 0;
  await eventually('the monitor listens', async () => {
    await operator.metadata('PATCH', '/1.0/profiles/default', { description: `poke ${++pokes}` });
    return monitor.text().includes('profile-updated');
  });
  for (const words of ['init --empty seen', 'config set seen user.a=1', 'rename seen saw', 'delete saw'])
    await prints(words);
  const told = (text: string): string[] =>
    text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line).metadata)
      .filter(({ action }) => action.startsWith('instance-'))
      .map(({ action, source }) => `${action} ${source}`);
  const expected = [
    'instance-created /1.0/instances/seen',
    'instance-updated /1.0/instances/seen',
    'instance-renamed /1.0/instances/saw',
    'instance-deleted /1.0/instances/saw',
  ];
  await eventually('it has told all', () => told(monitor.text()).length >= expected.length);
  assert.deepEqual(told(monitor.text()), expected);
  assert.deepEqual(told(follower.events.map((event) => JSON.stringify(event)).join('\n')), expected);
  follower.end();
  await monitor.end();
});

test('what devlxd cannot do is an error that says so, and no hang', needsLxc, async () => {
  await prints('init --empty cannot');
  const table: [string, RegExp][] = [
    ['start cannot', /^Error: pid: is missing: devlxd starts no containers/],
    ['restart cannot', /^Error: action: must be "start" \(with "pid"\) or "stop"/],
    ['pause cannot', /^Error: action: /],
    ['exec cannot true', /^Error: devlxd has no "\/1\.0\/instances\/cannot\/exec"/],
    ['file pull cannot/etc/passwd -', /^Error: devlxd has no "\/1\.0\/instances\/cannot\/files"/],
    ['snapshot cannot', /^Error: devlxd has no snapshots and backups/],
    ['restore cannot snap', /^Error: restore: devlxd has no snapshots/],
    ['export cannot', /Error: Create instance backup: devlxd has no snapshots and backups/],
    ['copy cannot copied', /^Error: source\.type: devlxd makes no root file systems/],
    ['init --empty --ephemeral gone', /Error: ephemeral: devlxd keeps an instance/],
    ['move cannot elsewhere --storage pool', /^Error: /],
    ['storage list', /^Error: The server is missing the required "storage" API extension/],
    ['network create x', /^Error: devlxd has no POST of "\/1\.0\/networks"/],
    ['cluster list', /^Error: The server is missing the required "clustering" API extension/],
    ['warning list', /^Error: The server is missing the required "warnings" API extension/],
    ['config trust list', /^Error: devlxd has no "\/1\.0\/certificates"/],
    ['config set core.https_address=x', /^Error: devlxd has no PUT of "\/1\.0"/],
    ['info --resources', /^Error: The server doesn't implement the newer v2 resources API/],
  ];
  const before = await operator.metadata('GET', '/1.0/instances?recursion=1');
  for (const [words, expected] of table) {
    const { code, out } = await lxc.run(words.split(' '));
    assert.equal(code, 1, `lxc ${words} ended with ${code}: ${out}`);
    assert.match(out.slice(out.indexOf('Error: ')), expected, `lxc ${words}`);
  }
  assert.deepEqual(await operator.metadata('GET', '/1.0/instances?recursion=1'), before);
});
