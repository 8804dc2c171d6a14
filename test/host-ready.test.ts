import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { after, before, test } from 'node:test';
import { CommandLine } from './support/command.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { Operator } from './support/host.js';
import { ask } from './support/http.js';

const readyKey = 'volatile.last_state.ready';
const powerKey = 'volatile.last_state.power';

let daemon: TestDaemon;
let guests: Guests;
let guest: Guest;
const operator = new Operator(() => daemon);

before(async () => {
  daemon = await TestDaemon.start();
  guests = new Guests();
  guest = guests.one();
  await daemon.register('c1', guest.pid, { 'user.a': '1' });
  await daemon.create('other');
});

after(async () => {
  await guests.close();
  await daemon.remove();
});

async function says(state: string): Promise<void> {
  const body = JSON.stringify({ state });
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0', { method: 'PATCH', body })).status, 200);
}

interface Shown {
  readonly name: string;
  readonly status: string;
  readonly status_code: number;
  readonly config: Readonly<Record<string, string>>;
  readonly expanded_config: Readonly<Record<string, string>>;
  readonly state: { readonly status: string; readonly status_code: number };
}

const read = (): Promise<Shown> => operator.metadata('GET', '/1.0/instances/c1?recursion=1');

test('Ready is shown wherever a status is', async () => {
  const running = await read();
  assert.deepEqual([running.status, running.status_code, running.config[readyKey]], ['Running', 103, 'false']);
  await says('Ready');
  const ready = await read();
  assert.deepEqual([ready.status, ready.status_code, ready.config[readyKey]], ['Ready', 113, 'true']);
  assert.deepEqual([ready.state.status, ready.state.status_code], ['Ready', 113]);
  assert.equal(ready.expanded_config[readyKey], 'true');
  const state = await operator.metadata<Shown>('GET', '/1.0/instances/c1/state');
  assert.deepEqual([state.status, state.status_code], ['Ready', 113]);
  for (const [filter, names] of [
    ['status=ready', ['c1']],
    ['status=running', []],
    [`config.${readyKey}=true`, ['c1']],
    [`config.${powerKey}=RUNNING`, ['c1']],
    [`not config.${powerKey}=RUNNING`, ['other']],
  ] as const) {
    const found = await operator.metadata<Shown[]>(
      'GET',
      `/1.0/instances?recursion=2&filter=${encodeURIComponent(filter)}`,
    );
    assert.deepEqual(
      found.map(({ name }) => name),
      names,
      filter,
    );
  }
  const metrics = (await operator.request('GET', '/1.0/metrics')).body;
  for (const line of ['{status="Running"} 0', '{status="Ready"} 1', '{status="Stopped"} 1'])
    assert.ok(metrics.includes(`devlxd_instances${line}\n`), line);
  const commandLine = new CommandLine(() => daemon);
  assert.match(commandLine.does('list'), /^c1 +READY /m);
  assert.match(commandLine.does('show', 'c1'), /^status: Ready$/m);
});

test('what was read is written back as it came, and its entity tag is that of what can be written', async () => {
  await says('Ready');
  const etag = await operator.etag('/1.0/instances/c1');
  const before = await read();
  await operator.metadata('PUT', '/1.0/instances/c1', before, { 'if-match': etag });
  await operator.metadata('PATCH', '/1.0/instances/c1', { config: before.config });
  await says('Started');
  assert.equal(await operator.etag('/1.0/instances/c1'), etag);
  await operator.metadata('PUT', '/1.0/instances/c1', before); // an editor was open meanwhile
  assert.equal((await read()).config[readyKey], 'false');
  assert.equal((await read()).config['volatile.last_state.power'], 'RUNNING');
  assert.match(
    await operator.error('PATCH', '/1.0/instances/c1', { config: { [readyKey]: 'perhaps' } }),
    /^400 config\.volatile\.last_state\.ready: keys under volatile/,
  );
});

test('instance-ready is told each time that the guest says so, and of many times in a row the last', async () => {
  await says('Started');
  const follower = await operator.follow('?type=lifecycle');
  const isTold = (times: number) => eventually(`told ${times} times`, () => follower.events.length >= times);
  await says('Ready');
  await isTold(1);
  await says('Ready');
  await isTold(2);
  await says('Ready'); // sooner than it is told again, on a machine that is fast
  await isTold(3);
  await says('Started');
  await says('Ready');
  await isTold(4);
  assert.deepEqual(
    follower.events.map(({ metadata }) => `${metadata['action']} ${metadata['source']}`),
    Array(4).fill('instance-ready /1.0/instances/c1'),
  );
  follower.end();
});

test('/1.0/containers is what LXD called them', async () => {
  assert.deepEqual(await operator.metadata('GET', '/1.0/containers'), ['/1.0/containers/c1', '/1.0/containers/other']);
  assert.deepEqual(
    await operator.metadata('GET', '/1.0/containers/c1'),
    await operator.metadata('GET', '/1.0/instances/c1'),
  );
  await operator.metadata('POST', '/1.0/containers', { name: 'old' });
  await operator.metadata('PATCH', '/1.0/containers/old', { config: { 'user.x': '1' } });
  await operator.metadata('DELETE', '/1.0/containers/old');
});

test("/1.0/networks are the host's interfaces, which nobody manages", async () => {
  const names = await operator.metadata<string[]>('GET', '/1.0/networks');
  assert.ok(names.includes('/1.0/networks/lo'));
  const all = await operator.metadata<{ name: string; managed: boolean; type: string }[]>(
    'GET',
    '/1.0/networks?recursion=1',
  );
  for (const name of Object.keys(networkInterfaces())) assert.ok(all.some((network) => network.name === name));
  assert.ok(all.every(({ managed }) => !managed));
  assert.deepEqual(
    await operator.metadata('GET', '/1.0/networks/lo'),
    all.find(({ name }) => name === 'lo'),
  );
  const { addresses } = await operator.metadata<{ addresses: { address: string }[] }>('GET', '/1.0/networks/lo/state');
  assert.ok(addresses.some(({ address }) => address === '127.0.0.1'));
  for (const name of ['none', '..%2F..']) assert.match(await operator.error('GET', `/1.0/networks/${name}`), /^404 /);
  assert.match(await operator.error('POST', '/1.0/networks', { name: 'x' }), /^501 /);
});

test('start without a pid says what to do', async () => {
  const error = await operator.error('PUT', '/1.0/instances/other/state', { action: 'start' });
  assert.match(error, /^400 pid: is missing: .*devlxd-hook .* "devlxd start NAME --pid PID"$/);
});

test('what is created, renamed, started or deleted is so when that is answered', async () => {
  const status = async (method: string, path: string, body?: unknown): Promise<string> =>
    JSON.parse((await operator.request(method, path, body)).body).metadata.status;
  assert.equal(await status('POST', '/1.0/instances', { name: 'quick' }), 'Success');
  assert.equal(await status('POST', '/1.0/instances', { name: 'quick' }), 'Failure');
  assert.equal(await status('POST', '/1.0/instances/quick', { name: 'quicker' }), 'Success');
  assert.equal(
    await status('PUT', '/1.0/instances/quicker/state', { action: 'start', pid: guests.one().pid }),
    'Success',
  );
  assert.equal(await status('PUT', '/1.0/instances/quicker/state', { action: 'stop' }), 'Success');
  assert.equal(await status('DELETE', '/1.0/instances/quicker'), 'Success');
});

test('list: chosen columns, an order, and a total on a terminal', async () => {
  const commandLine = new CommandLine(() => daemon);
  for (const [name, size] of [
    ['l1', '9'],
    ['l2', '10'],
    ['l3', ''],
  ] as const)
    await daemon.create(name, { 'user.size': size });
  const list = (...words: string[]): string =>
    commandLine.does('list', '--filter', 'not config.user.size=none', ...words);
  const csv = (...words: string[]): string[] =>
    list('--format', 'csv', ...words)
      .split('\n')
      .filter((line) => line.startsWith('l'));
  assert.deepEqual(csv('--columns', 'name,user.size', '--sort', 'user.size'), ['l3,', 'l1,9', 'l2,10']);
  assert.deepEqual(csv('--columns', 'name,user.size', '--sort', '-user.size'), ['l2,10', 'l1,9', 'l3,']);
  assert.match(list('--columns', 'name,profiles,source'), /^NAME +PROFILES +SOURCE\n/);
  const { status, stderr } = commandLine.run(['list', '--columns', 'nmae']);
  assert.deepEqual([status, stderr], [2, 'devlxd: There is no column "nmae"; do you mean name?\n']);
  assert.match((await commandLine.onTerminal(['list', '--columns', 'name'])).text, /\n\d+ instances\r?\n$/);
});

test('what is longer than the terminal goes through the pager, and only that', async () => {
  const paged = new CommandLine(() => daemon, { PAGER: 'sed s/^/paged:/' });
  for (let n = 0; n < 24; n++) await daemon.create(`paged${n}`);
  assert.match((await paged.onTerminal(['list'])).text, /^paged:NAME /);
  assert.match((await paged.onTerminal(['--help'])).text, /^Usage: devlxd /);
  assert.match(paged.does('list'), /^NAME /);
  const none = new CommandLine(() => daemon, { PAGER: 'there-is-no-such-pager' });
  assert.match((await none.onTerminal(['list'])).text, /NAME /);
});

test('monitor says which key changed, from what to what', async () => {
  const commandLine = new CommandLine(() => daemon);
  const follower = commandLine.follow(['monitor', '--type', 'lifecycle', '--instance', 'c1']);
  let pokes = 0;
  await eventually('the monitor tells of a change', async () => {
    await daemon.set('c1', { 'user.role': `r${++pokes}` });
    return /instance-updated +c1 .*config\.user\.role: r\d+ -> r\d+/.test(follower.text());
  });
  await follower.end();
});

test('what hides or moves text is escaped for people, and JSON is as it is', async () => {
  const value = 'a\u202eb\u200bc\u009b1md\u0007\ufeff';
  await daemon.create('odd', { 'user.x': value });
  const commandLine = new CommandLine(() => daemon);
  const table = commandLine.does('show', 'odd', '--format', 'table');
  assert.match(table, /^config\.user\.x +a\\u202eb\\u200bc\\u009b1md\\u0007\\ufeff$/m);
  const yaml = commandLine.does('show', 'odd');
  assert.doesNotMatch(yaml, /[\p{Cf}\u007f-\u009f]/u);
  const { parse } = await import('yaml');
  assert.equal(parse(yaml).config['user.x'], value);
  assert.equal(JSON.parse(commandLine.does('show', 'odd', '--format', 'json')).config['user.x'], value);
  const { stderr } = commandLine.run(['show', 'none\u202e\u009b1m']);
  assert.match(stderr, /^devlxd: Instance "none\\u202e\\u009b1m" not found\n$/);
});
