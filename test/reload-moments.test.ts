import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { socketPaths } from '../src/config/paths.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask } from './support/http.js';
import { largeImage } from './support/large-image.js';
import { ManagedDaemon } from './support/managed-daemon.js';
import { OptionsFile } from './support/options-file.js';
import { getOf as get, stalled } from './support/stalled.js';

const path = '/1.0/config/user.mark';

let guests: Guests;
let guest: Guest;
let file: OptionsFile;
let daemon: TestDaemon;
let reader: Socket | undefined;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

beforeEach(() => {
  file = new OptionsFile();
  guest = guests.one();
});

afterEach(async () => {
  reader?.destroy();
  await daemon.remove();
  file.remove();
});

/** A daemon with this file of options, and one guest. */
async function start(text = '', options: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): Promise<void> {
  file.write(text);
  daemon = await TestDaemon.start(['--options-file', file.path, ...options], environment);
  await daemon.register('c1', guest.pid, { 'user.mark': 'here', 'security.devlxd.images': 'true' });
}

test('what cannot change is named; what a flag or the environment says stays', async () => {
  const environment = { DEVLXD_LIMIT_CONFIG_VALUE: '1000' };
  await start('', ['--limit-config-keys', '7'], environment);
  const lines = [
    'BACKLOG=1',
    'SOURCE=lxd',
    'LIMIT_PENDING_CALLERS=2',
    'LIMIT_CONFIG_KEYS=8',
    'LIMIT_CONFIG_VALUE=2000',
  ];
  for (let round = 0; round < 2; round++) {
    const said = await file.reload(daemon, lines.map((line) => `DEVLXD_${line}\n`).join(''));
    assert.deepEqual(said['changed'], round === 0 ? { 'limit-pending-callers': 2 } : {});
    const warned = () => daemon.log.filter(({ msg }) => msg === 'options that only change with a restart');
    await eventually('the warning', () => warned().length > round);
    assert.deepEqual(warned().at(-1)?.['options'], ['source', 'backlog']);
  }
});

test('without a file of options SIGHUP only says so', async () => {
  daemon = await TestDaemon.start();
  process.kill(daemon.pid, 'SIGHUP');
  const said = () => daemon.log.some(({ msg }) => msg === 'there is no file of options to read again');
  await eventually('it says so', said);
  await daemon.create('c1');
  assert.equal(await daemon.end(), 0);
});

test('SIGHUP while it starts is heeded when it has started', async () => {
  const environment = { NODE_OPTIONS: `--import=${new URL('./support/hang-up-at-start.js', import.meta.url).href}` };
  await start('', [], environment);
  const said = (text: string) => daemon.log.findIndex(({ msg }) => msg === text);
  await eventually('it has read its options again', () => said('options read again') >= 0);
  assert.ok(said('options read again') > said('ready'));
});

/** Somebody who reads slowly, for as long as which a daemon that goes does not end. */
async function slowReader(): Promise<Socket> {
  reader = stalled(guest, daemon.socket, get(await largeImage(daemon)));
  await once(reader, 'readable');
  return reader;
}

test('SIGHUP while it stops changes nothing about that', async () => {
  await start('DEVLXD_LIMIT_DRAIN_SECONDS=0');
  const reader = await slowReader();
  const { pid } = daemon;
  const ending = daemon.end();
  await eventually('it stops', () => daemon.log.some(({ msg }) => msg === 'devlxd stops'));
  process.kill(pid, 'SIGHUP');
  reader.destroy();
  assert.equal(await ending, 0);
});

test('SIGHUP while another takes over: that one has read its options since, or is to be asked', async () => {
  await start('DEVLXD_LIMIT_DRAIN_SECONDS=0');
  const reader = await slowReader();
  const { pid, log } = daemon;
  await daemon.run(['--takeover']);
  await eventually('read once more', () => log.some(({ msg }) => msg === 'options read again'));
  process.kill(pid, 'SIGHUP');
  reader.destroy();
  await eventually('it has ended', () => log.some(({ msg }) => msg === 'handed over'));
  assert.ok(log.some(({ msg }) => msg.startsWith('asked too late to read the options again')));
  assert.equal((await file.reload(daemon, 'DEVLXD_LIMIT_PENDING_CALLERS=2')).msg, 'options read again');
});

test('SIGHUP while another is about to take over, and fails: heeded when this one goes on', async () => {
  await start();
  const other = connect(socketPaths(daemon.runDir).control).setEncoding('utf8');
  other.write('GET /1.0/takeover HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: devlxd-takeover\r\n\r\n');
  for await (const text of other) if (String(text).includes('{"count":0}')) break; // that is all; now it is closed
  file.write('DEVLXD_LIMIT_PENDING_CALLERS=2');
  process.kill(daemon.pid, 'SIGHUP');
  const changed = () => daemon.log.find(({ msg }) => msg === 'options read again')?.['changed'];
  await eventually('read again', () => changed() !== undefined);
  assert.deepEqual(changed(), { 'limit-pending-callers': 2 });
  assert.equal((await ask(guest.connect(daemon.socket), path)).body, 'here');
});

for (const text of [undefined, '']) {
  test(`the service manager is told, ${text === undefined ? 'without' : 'with'} a file of options`, async () => {
    const options = text === undefined ? [] : ['--options-file', file.path];
    const managed = await ManagedDaemon.start(options);
    daemon = managed.daemon;
    try {
      const told = async (): Promise<Readonly<Record<string, string>>[]> => {
        const from = managed.told.length;
        const count = managed.notified('READY').length;
        process.kill(managed.pid, 'SIGHUP');
        await managed.starts(count + 1);
        return managed.told.slice(from).flatMap(({ notify = {} }) => ('WATCHDOG' in notify ? [] : [notify]));
      };
      const began = process.hrtime.bigint() / 1000n;
      const [reloading, ready, ...more] = await told();
      const { RELOADING: word, MONOTONIC_USEC: at = '' } = reloading ?? {};
      assert.deepEqual([word, ready, more], ['1', { READY: '1', STATUS: 'Answering' }, []]);
      assert.ok(BigInt(at) >= began && BigInt(at) <= process.hrtime.bigint() / 1000n, at);
      if (text === undefined) return;
      file.write('DEVLXD_GRUOP=4');
      const [again, failed] = await told();
      assert.equal(again?.['RELOADING'], '1');
      assert.match(failed?.['STATUS'] ?? '', /^Answering; options not read again: .* do you mean DEVLXD_GROUP\?$/);
    } finally {
      assert.equal(await managed.remove(), 0);
    }
  });
}
