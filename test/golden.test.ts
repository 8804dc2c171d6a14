import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, test } from 'node:test';
import { type Endpoint, endpoints } from '../src/guest/guest-endpoints.js';
import { checkAnswer } from './support/contract.js';
import { TestDaemon } from './support/daemon.js';
import { type Guest, Guests, needsGuestUsers } from './support/guest-processes.js';
import { type Answer, ask, exchange } from './support/http.js';

// The guest API to the byte, and who gets what: each answer is also held against docs/guest-api.yaml.

const json = 'application/json';
const raw = 'application/octet-stream; charset=utf-8';
const text = 'text/plain; charset=utf-8';

const big = 'x'.repeat(100_000);
const config = {
  'user.a': '1',
  'user.foo': 'bar',
  'user.sl/ash': 'slash',
  'user.sp ace': 'space',
  'user.ünï': 'unicode',
  'user.percent%41': 'percent',
  'user.big': big,
  'user.text': 'zwei\nZeilen ☃\n',
  'cloud-init.user-data': '#cloud-config\n{}\n',
  'ubuntu_pro.guest_attach': 'on',
  'limits.cpu': '2',
};
const devices = {
  eth0: { type: 'nic', parent: 'br0', nictype: 'bridged' },
  eth1: { type: 'nic', hwaddr: '00:16:3e:00:00:01' },
  data: { type: 'disk', source: '/srv', path: '/data' },
};

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;
let off: Guest;
let open: Guest;
let unknown: Guest;
let volatile: Readonly<Record<string, string>>;

before(async () => {
  const noLimits = ['connections-per-instance', 'connections-nonroot'].flatMap((name) => [`--limit-${name}`, '0']);
  daemon = await TestDaemon.start(['--limit-hold-seconds', '1', ...noLimits]);
  guests = new Guests();
  [guest, off, open, unknown] = guests.spawn(4) as [Guest, Guest, Guest, Guest];
  await daemon.create('c1', config, devices);
  await daemon.startInstance('c1', guest.pid);
  await daemon.register('off', off.pid, { 'user.foo': 'bar', 'security.devlxd': 'false' });
  await daemon.register('open', open.pid, { 'user.foo': 'bar', 'security.devlxd.nonroot': 'true' });
  volatile = (await daemon.client.instances.get('c1')).config;
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

interface Row {
  readonly request: string;
  readonly status: number;
  readonly type: string;
  readonly body: string | (() => string);
}

const ok = (request: string, type: string, body: Row['body']): Row => ({ request, status: 200, type, body });
const fails = (request: string, status: number, sentence: string): Row => ({
  request,
  status,
  type: text,
  body: `${sentence}\n`,
});

const info =
  `{"state":"Started","api_version":"1.0","instance_type":"container","location":"${hostname()}",` +
  '"auth":"untrusted","supported_storage_drivers":[]}\n';
const keys = [
  '/1.0/config/cloud-init.user-data',
  '/1.0/config/user.a',
  '/1.0/config/user.big',
  '/1.0/config/user.foo',
  '/1.0/config/user.percent%41',
  '/1.0/config/user.sl/ash',
  '/1.0/config/user.sp ace',
  '/1.0/config/user.text',
  '/1.0/config/user.ünï',
];
const metaData = () =>
  `#cloud-config\ninstance-id: ${volatile['volatile.cloud-init.instance-id']}\nlocal-hostname: c1\n`;
const deviceList = () =>
  '{"data":{"path":"/data","source":"/srv","type":"disk"},' +
  `"eth0":{"hwaddr":"${volatile['volatile.eth0.hwaddr']}","nictype":"bridged","parent":"br0","type":"nic"},` +
  '"eth1":{"hwaddr":"00:16:3e:00:00:01","type":"nic"}}\n';

/** The API to the byte, for a request of the guest's root. */
const table: readonly Row[] = [
  ok('GET /', json, '["/1.0"]\n'),
  ok('GET /1.0', json, info),
  ok('GET /1.0/', json, info),
  ok('GET /1.0?x=1&type', json, info),
  ok('GET /1.0/config', json, `${JSON.stringify(keys)}\n`),
  ok('GET /1.0/config/user.foo', raw, 'bar'),
  ok('GET /1.0/config/user.foo?anything', raw, 'bar'),
  ok('GET /1.0/config/user%2Efoo', raw, 'bar'),
  ok('GET /1.0/config/user.sl%2Fash', raw, 'slash'),
  ok('GET /1.0/config/user.sp%20ace', raw, 'space'),
  ok('GET /1.0/config/user.%C3%BCn%C3%AF', raw, 'unicode'),
  ok('GET /1.0/config/user.percent%2541', raw, 'percent'),
  ok('GET /1.0/config/user.big', raw, big),
  ok('GET /1.0/config/user.text', raw, config['user.text']),
  ok('GET /1.0/config/cloud-init.user-data', raw, config['cloud-init.user-data']),
  ok('GET /1.0/meta-data', raw, metaData),
  ok('GET /1.0/devices', json, deviceList),
  fails('GET /1.0/config/user.unset', 404, 'Not Found'),
  fails('GET /1.0/config/limits.cpu', 403, 'Forbidden'),
  fails('GET /1.0/config/limits.memory', 403, 'Forbidden'),
  fails('GET /1.0/config/volatile.cloud-init.instance-id', 403, 'Forbidden'),
  fails('GET /1.0/config/constructor', 403, 'Forbidden'),
  fails('GET /1.0/config/user.sl/ash', 404, 'Not Found'),
  fails('GET /1.0/config/', 404, 'Not Found'),
  fails('GET /1.0/config/user.%zz', 400, 'Bad Request'),
  fails('GET /1.0/config/user.%ff', 400, 'Bad Request'),
  fails('GET //1.0', 404, 'Not Found'),
  fails('GET /1.0//config', 404, 'Not Found'),
  fails('GET /2.0', 404, 'Not Found'),
  fails('GET /1.0/nothing', 404, 'Not Found'),
  fails('POST /1.0/nothing', 404, 'Not Found'),
  fails('POST /1.0/config', 501, 'Not Implemented'),
  fails('DELETE /1.0/config/user.foo', 501, 'Not Implemented'),
  fails('PUT /', 501, 'Not Implemented'),
  fails('PUT /1.0', 501, 'Not Implemented'),
  fails('GET /1.0/config/user.empty', 404, 'Not Found'),
  fails(`GET /1.0/config/user.${'k'.repeat(100_000)}`, 404, 'Not Found'),
  fails('GET /1.0/config/cloud-init.ssh-keys.none', 404, 'Not Found'),
  ok('GET /1.0?x=%zz/../', json, info),
  ok('GET /1.0/ubuntu-pro', json, '{"guest_attach":"off"}\n'),
  fails('POST /1.0/ubuntu-pro/token', 403, 'Failed getting an Ubuntu Pro guest token: Guest attachment not allowed'),
  fails('GET /1.0/ubuntu-pro/token', 501, 'Not Implemented'),
];

for (const { request, status, type, body } of table) {
  test(request.length > 100 ? `${request.slice(0, 40)}... (${request.length} characters)` : request, async () => {
    const [method, path] = request.split(/ (.*)/s) as [string, string];
    const answer = await ask(guest.connect(daemon.socket), path, { method });
    assert.equal(answer.body, typeof body === 'function' ? body() : body);
    assert.equal(answer.status, status);
    assert.equal(answer.headers['content-type'], type);
    assert.equal(answer.headers['x-content-type-options'], status === 200 ? undefined : 'nosniff');
    assert.equal(answer.headers['content-length'], String(Buffer.byteLength(answer.body)));
    checkDescribed(method, path, answer);
  });
}

const noImage = `/1.0/images/${'f'.repeat(64)}/export`;
const paths = [
  ...endpoints.map(({ path }) => path.replace('{key}', 'user.foo')).filter((path) => !path.includes('{')),
  noImage,
];
const unknownPaths = ['/2.0', '/1.0/nothing', '/1.0/images', '//'];
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

type Verdict = readonly [status: number, sentence: string];

const notRoot: Verdict = [401, 'Access denied for non-root user\n'];
const forbidden: Verdict = [403, 'Forbidden\n'];
const notFound: Verdict = [404, 'Not Found\n'];
const notKnown: Verdict = [500, 'Process ID not found in container\n'];
const notImplemented: Verdict = [501, 'Not Implemented\n'];

interface Case {
  readonly who: string;
  readonly connect: () => ReturnType<Guest['connect']>;
  /** what they get for a path that there is not, for a method that the path has not, and else; undefined: the answer itself */
  readonly unknownPath: Verdict;
  readonly unknownMethod: Verdict;
  readonly endpoint: Verdict | undefined;
  readonly needsUsers?: true;
}

/** The order of the checks: who calls, root, path, method, flag. */
const cases: readonly Case[] = [
  {
    who: 'root',
    connect: () => guest.connect(daemon.socket),
    unknownPath: notFound,
    unknownMethod: notImplemented,
    endpoint: undefined,
  },
  {
    who: 'another user',
    connect: () => guest.connect(daemon.socket, { uid: 1000 }),
    unknownPath: notRoot,
    unknownMethod: notRoot,
    endpoint: notRoot,
    needsUsers: true,
  },
  {
    who: 'another user where security.devlxd.nonroot is true',
    connect: () => open.connect(daemon.socket, { uid: 1000 }),
    unknownPath: notFound,
    unknownMethod: notImplemented,
    endpoint: undefined,
    needsUsers: true,
  },
  {
    who: 'root where security.devlxd is false',
    connect: () => off.connect(daemon.socket),
    unknownPath: notFound,
    unknownMethod: notImplemented,
    endpoint: forbidden,
  },
  {
    who: 'another user where security.devlxd is false',
    connect: () => off.connect(daemon.socket, { uid: 1000 }),
    unknownPath: notRoot,
    unknownMethod: notRoot,
    endpoint: notRoot,
    needsUsers: true,
  },
  {
    who: 'nobody knows who',
    connect: () => unknown.connect(daemon.socket),
    unknownPath: notKnown,
    unknownMethod: notKnown,
    endpoint: notKnown,
  },
];

for (const { who, connect, unknownPath, unknownMethod, endpoint, needsUsers } of cases) {
  test(`every path and method, asked by ${who}`, needsUsers ? needsGuestUsers : {}, async () => {
    const rows = [...paths, ...unknownPaths].flatMap((path) => methods.map((method) => ({ method, path })));
    // All at once: those of an unknown caller are held for a second each.
    await Promise.all(
      rows.map(async ({ method, path }) => {
        const known = !unknownPaths.includes(path);
        const served = known && endpointOf(path)?.methods[method === 'HEAD' ? 'GET' : method] !== undefined;
        const verdict = !known ? unknownPath : served ? endpoint : unknownMethod;
        const answer = await answerOf(connect(), method, path);
        const label = `${method} ${path}`;
        checkDescribed(method, path, answer);
        if (verdict === undefined) return assert.ok(![401, 500, 501].includes(answer.status), label);
        const [status, sentence] = verdict;
        assert.deepEqual([answer.status, answer.body], [status, method === 'HEAD' ? '' : sentence], label);
        assert.equal(answer.headers['content-type'], text);
      }),
    );
  });
}

function endpointOf(path: string): Endpoint | undefined {
  return endpoints.find((endpoint) => {
    const [start = '', end = ''] = endpoint.path.split(/\{\w+\}/);
    return path === endpoint.path || (endpoint.path.includes('{') && path.startsWith(start) && path.endsWith(end));
  });
}

/** The description has no place for paths and methods that there are not. */
function checkDescribed(method: string, path: string, answer: Answer): void {
  const endpoint = endpointOf(path.replace(/\?.*/, '').replace(/^\/1\.0\/$/, '/1.0'));
  const described = endpoint?.methods[method === 'HEAD' ? 'GET' : method] !== undefined;
  if (endpoint !== undefined && described) checkAnswer(method, endpoint.path, answer);
}

/** The endless answer of an event stream is looked at as far as its head. */
async function answerOf(socket: ReturnType<Guest['connect']>, method: string, path: string): Promise<Answer> {
  if (method !== 'GET' || path !== '/1.0/events') return ask(socket, path, { method });
  const received = await exchange(socket, `GET ${path} HTTP/1.1\r\nHost: lxd\r\n\r\n`, (got) =>
    /\r\n\r\n(.|$)/s.test(got),
  );
  const [head = '', body = ''] = received.split('\r\n\r\n');
  const headers = Object.fromEntries(
    [...head.matchAll(/^([\w-]+): (.*)$/gm)].map(([, name, value]) => [String(name).toLowerCase(), value]),
  );
  return { status: Number(head.slice(9, 12)), headers, body };
}
