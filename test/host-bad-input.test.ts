import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { socketPaths } from '../src/config/paths.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Operator } from './support/host.js';

const megabyte = 1024 * 1024;
const instances = '/1.0/instances';
const instance = `${instances}/strict`;
const profiles = '/1.0/profiles';
const profile = `${profiles}/strict`;

let daemon: TestDaemon;
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  await operator.metadata('POST', profiles, { name: 'strict', config: { 'user.p': '1' } });
  await operator.metadata('POST', instances, {
    name: 'strict',
    profiles: ['strict'],
    config: { 'user.a': '1' },
    devices: { d: { type: 'disk', path: '/d' } },
  });
});

after(() => daemon.remove());

/** Everything that a write could have changed. */
async function everything(): Promise<unknown> {
  const paths = [`${instances}?recursion=1&all-projects=true`, `${profiles}?recursion=1&all-projects=true`];
  return Promise.all([...paths, '/1.0/projects?recursion=1'].map((path) => operator.metadata('GET', path)));
}

type Row = readonly [method: string, path: string, body: unknown, expected: RegExp];

const names: Row[] = [
  ['1a', /name: "1a" is not an instance name/],
  ['a_b', /name: "a_b" is not an instance name/],
  ['a/../b', /name: "a\/\.\.\/b" is not an instance name/],
  ['a'.repeat(64), /name: "a{64}" is not an instance name/],
  ['ä', /name: "ä" is not an instance name/],
  ['', /name: "" is not an instance name/],
].map(([name, expected]): Row => ['POST', instances, { name }, expected as RegExp]);

// The same body, wherever such a body can be sent.
const writable: [body: unknown, expected: RegExp][] = [
  [{ config: { '': '1' } }, /config\.: Unknown configuration key$/],
  [{ config: { 'user.': '1' } }, /config\.user\.: Unknown configuration key$/],
  [{ config: { 'usr.': '1' } }, /config\.usr\.: Unknown configuration key$/],
  [{ config: { 'cloud-init.ssh-keys.': '1' } }, /config\.cloud-init\.ssh-keys\.: Unknown configuration key$/],
  [{ config: { nonsense: '1' } }, /config\.nonsense: Unknown configuration key; do you mean user\.nonsense/],
  [{ config: { 'user.a': 1 } }, /config\.user\.a: values are strings/],
  [{ config: { 'user.a': null } }, /config\.user\.a: values are strings/],
  [{ config: { 'user.a': { b: '1' } } }, /config\.user\.a: values are strings/],
  [{ config: [] }, /config: /],
  [{ config: 'user.a=1' }, /config: /],
  [{ config: { 'security.devlxd': 'maybe' } }, /config\.security\.devlxd: "maybe" is neither true nor false/],
  [{ config: { 'ubuntu_pro.guest_attach': 'perhaps' } }, /config\.ubuntu_pro\.guest_attach: /],
  [{ config: { 'volatile.x': '1' } }, /config\.volatile\.x: keys under volatile\. belong to devlxd/],
  [{ config: { 'limits.a b': '1' } }, /config\.limits\.a b: a key has no white space/],
  [{ config: { 'user.half': '\ud800' } }, /config\.user\.half: not Unicode/],
  [{ config: { 'user.long': 'x'.repeat(4 * megabyte + 1) } }, /config\.user\.long: longer than 4194304 bytes/],
  [
    { config: Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`user.${n}`, 'x'])) },
    /config: more than 4096 keys/,
  ],
  [{ devices: { d: {} } }, /devices\.d\.type: a device needs a type/],
  [{ devices: { d: { path: '/x' }, e: { type: 'disk' } } }, /devices\.d\.type: a device needs a type/],
  [{ devices: { 'a b': { type: 'disk' } } }, /devices\.a b: a device name has/],
  [{ devices: { '.d': { type: 'disk' } } }, /devices\.\.d: a device name has/],
  [{ devices: { ['d'.repeat(64)]: { type: 'disk' } } }, /devices\.d+: a device name has/],
  [{ config: { 'security.guestapi': 'maybe' } }, /config\.security\.guestapi: "maybe" is neither/],
  [{ config: { 'security.guestapi.image': 'true' } }, /config\.security\.guestapi\.image: Unknown .*guestapi\.images/],
  [{ devices: { d: { type: 'disk', 'b c': '1' } } }, /devices\.d\.b c: not the name of a device option/],
  [{ devices: { d: { type: 1 } } }, /devices\.d\.type: values are strings/],
  [{ devices: { d: 'disk' } }, /devices\.d: /],
  ['{"devices":{"__proto__":{"type":"disk"}}}', /devices\.__proto__: is no name/],
  [{ devices: { constructor: { type: 'disk' } } }, /devices\.constructor: is no name/],
  [{ description: 1 }, /description: must be text/],
  [{ cofnig: {} }, /cofnig: Unknown field; do you mean config\?/],
  [{ Config: {} }, /Config: Unknown field; do you mean config\?/],
  [{ conf: {} }, /conf: Unknown field; do you mean config\?/],
  [{ Configuration: {} }, /Configuration: Unknown field; do you mean config\?/],
  [{ desc: '' }, /desc: Unknown field; do you mean description\?/],
  [{ descripton: '' }, /descripton: Unknown field; do you mean description\?/],
  ['[]', /body: must be a JSON object/],
  ['"text"', /body: /],
  ['null', /body: /],
  ['{"config":', /The body is not JSON/],
  ['{"config":{}}}', /The body is not JSON/],
  [`{"description":"${'x'.repeat(20 * megabyte)}"}`, /The body is longer than 16777216 bytes/],
];

const others: Row[] = [
  ...names,
  ['POST', instances, {}, /name: is missing/],
  ['POST', instances, { nmae: 'x' }, /nmae: Unknown field; do you mean name\?/],
  ['PUT', instance, { profils: [] }, /profils: Unknown field; do you mean profiles\?/],
  ['PUT', instance, { prof: [] }, /prof: Unknown field; do you mean profiles\?/],
  ['PUT', `${instance}/state`, { acton: 'stop' }, /acton: Unknown field; do you mean action\?/],
  ['POST', instance, { name: 'x', project: 'other' }, /project: an instance stays in its project/],
  ['POST', instances, { name: 7 }, /name: a name is needed/],
  ['POST', instances, { name: 'x', source: { type: 'image', alias: 'y' } }, /source\.type: devlxd makes no root/],
  ['POST', instances, { name: 'x', ephemeral: true }, /ephemeral: devlxd keeps an instance/],
  ['POST', instances, { name: 'x', profiles: 'default' }, /profiles: must be a list of names/],
  ['POST', instances, { name: 'x', profiles: [1] }, /profiles\.0: names are strings/],
  ['POST', instances, { name: 'x', profiles: ['none'] }, /profiles: Profile "none" not found/],
  ['POST', instances, { name: 'strict' }, /Instance "strict" already exists/],
  ['PATCH', instance, { profiles: ['strict', 'strict'] }, /profiles: "strict" is there twice/],
  ['PUT', instance, { profiles: ['none'] }, /profiles: Profile "none" not found/],
  ['POST', instance, { name: 'a b' }, /name: "a b" is not an instance name/],
  ['POST', profiles, { name: 'a b' }, /name: "a b" is not a profile name/],
  ['POST', profiles, {}, /name: is missing/],
  ['POST', profile, { name: '' }, /name: "" is not a profile name/],
  ['POST', '/1.0/projects', { name: 'a b' }, /name: "a b" is not a project name/],
  ['POST', '/1.0/projects', { name: 'x', config: { 'limits.cpu': '1' } }, /config\.limits\.cpu: Unknown key/],
  ['PATCH', '/1.0/projects/default', { config: { 'user.a': 1 } }, /config\.user\.a: values are strings/],
  ['PUT', `${instance}/state`, { action: 'start', pid: 'x' }, /pid: must be a number/],
  ['PUT', `${instance}/state`, { action: 'start', pid: 4194304 }, /There is no process 4194304/],
  ['PUT', `${instance}/state`, { action: 'stop' }, /The instance "strict" is already stopped/],
  ['DELETE', profile, undefined, /The profile "strict" is in use/],
];

function everywhere(): Row[] {
  return writable.flatMap(([body, expected]) => [
    ...[instance, profile].flatMap((path) => ['PUT', 'PATCH'].map((method): Row => [method, path, body, expected])),
    ...(typeof body === 'string'
      ? []
      : [instances, profiles].map((path): Row => ['POST', path, { name: 'x', ...(body as object) }, expected])),
  ]);
}

test('bad input: the error names the field, and nothing has changed', async () => {
  const untouched = await everything();
  for (const [method, path, body, expected] of [...others, ...everywhere()]) {
    const error = await operator.error(method, path, body);
    const [status = ''] = error.split(' ', 1);
    const of = `${method} ${path} ${String(JSON.stringify(body)).slice(0, 80)}: ${error}`;
    assert.match(status, /^(?:4\d\d|failed)$/, of);
    assert.match(error.slice(status.length + 1), new RegExp(`^${expected.source}`), of);
  }
  assert.deepEqual(await everything(), untouched);
});

test('fields of newer clients, and those that null stands in, are ignored', async () => {
  const newer = { placement: { group: 'g' }, start: true, disk_only: false, overrides: null, architecture: 7 };
  const nothing = { config: null, devices: null, profiles: null, description: null, ephemeral: null, stateful: null };
  await operator.metadata('POST', instances, { name: 'newer', ...newer, ...nothing, source: null, type: null });
  await operator.metadata('PATCH', `${instances}/newer`, { ...newer, ...nothing });
  const moved = { migration: false, live: true, target: null, Config: null, Devices: null, Profiles: null, pool: '' };
  await operator.metadata('POST', `${instances}/newer`, { name: 'moved', project: 'default', ...moved, ...newer });
  // What was read is written back as it came: the fields that only LXD writes are ignored.
  for (const path of [`${instances}/moved`, `${profiles}/strict`, '/1.0/projects/default']) {
    const read = await operator.metadata<object>('GET', path);
    for (const method of ['PUT', 'PATCH']) await operator.metadata(method, path, { ...read, ...newer });
    assert.deepEqual(await operator.metadata('GET', path), read);
  }
  await operator.metadata('POST', '/1.0/projects', { name: 'newer', storage_pool: 'default', network: '' });
  await operator.metadata('DELETE', '/1.0/projects/newer');
  await operator.metadata('DELETE', `${instances}/moved`);
});

test('keys and devices of LXD and Incus are kept as they are', async () => {
  const keys = [
    'placement.group',
    'agent.nic_config',
    'oci.entrypoint',
    'smbios11.a',
    'systemd.credential.a',
    'security.devlxd.management.volumes',
    'boot.mode',
    'limits.memory.oom_priority',
  ];
  const config = Object.fromEntries(keys.map((key) => [key, '1']));
  const names = ['eth0:1', '/dev/x', '_a', '-b', 'c.d', '1'.repeat(63)];
  const devices = Object.fromEntries(names.map((name) => [name, { type: 'disk' }]));
  await operator.metadata('POST', instances, { name: 'peers', config, devices });
  const read = await operator.metadata<{ config: object; devices: object }>('GET', `${instances}/peers`);
  assert.deepEqual({ ...read.config, ...config }, read.config);
  assert.deepEqual(Object.keys(read.devices).sort(), names.sort());
  await operator.metadata('DELETE', `${instances}/peers`);
});

test('a target that is no path is a bad request, and no fault of devlxd', async () => {
  assert.match(await operator.error('GET', '//'), /^400 "\/\/" is no path$/);
});

test('bytes of a query that are no UTF-8 are refused, and the key named', async () => {
  for (const query of ['recursion=1&filter=description eq a%ff', 'filter=%c3%28', 'filter=%ed%a0%80&recursion=1'])
    assert.match(
      await operator.error('GET', `${instances}?${query.replaceAll(' ', '+')}`),
      /^400 filter: in the query/,
    );
  const kept = 'filter=description+eq+%ef%bf%bd%c3%bc100%25';
  assert.deepEqual(await operator.metadata('GET', `${instances}?${kept}`), []);
});

test('a body that is too long costs its connection, and no other', async () => {
  const answer = await operator.request('PATCH', instance, `"${'x'.repeat(17 * megabyte)}"`);
  assert.deepEqual([answer.status, answer.headers['connection']], [413, 'close']);
  await operator.metadata('PATCH', instance, { description: 'still there' });
});

test('a client that leaves in the middle of what it sends is no failure, and changes nothing', async () => {
  const untouched = await everything();
  const begun = '{"config":{"user.a":"2"}}';
  const cut: [method: string, path: string, type: string, body: string, endpoint: string][] = [
    ['PATCH', instance, 'application/json', begun, '/1.0/instances/{name}'],
    [
      'POST',
      '/1.0/batch',
      'application/x-ndjson',
      `{"method":"PATCH","path":"${instance}","body":${begun}}\n`,
      '/1.0/batch',
    ],
    ['POST', '/1.0/images', 'application/octet-stream', 'a part of an image', '/1.0/images'],
  ];
  for (const [method, path, type, body, endpoint] of cut) {
    const head = `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: ${body.length + 1}`;
    const counted = () => daemon.metric('devlxd_control_requests_total', { endpoint, status: '400' });
    const before = await counted();
    const socket = connect(socketPaths(daemon.runDir).control);
    socket.on('error', () => undefined).write(`${head}\r\n\r\n${body}`);
    await once(socket, 'connect');
    socket.destroy();
    await eventually(`${method} ${path} is over`, async () => (await counted()) > before);
  }
  assert.deepEqual(await everything(), untouched);
  assert.deepEqual(
    daemon.log.filter(({ level }) => Number(level) >= 50),
    [],
  );
});
