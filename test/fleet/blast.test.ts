import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CommandLine } from '../support/command.js';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { FleetHost } from '../support/fleet-host.js';
import type { Guest } from '../support/guest-processes.js';

/** What must not happen when etcd loses what the fleet wants: a guest that runs is cut, or refused. */
let etcd: Etcd;
let host: FleetHost;
let guest: Guest;
const commandLine = new CommandLine(() => host.daemon);
const stopped = ['s1', 's2', 's3', 's4'];

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start();
  host = await FleetHost.start(etcd, 'h1');
  seed('1');
  guest = await host.running('runs', { config: { 'user.a': '1' } });
  for (const name of stopped) await host.until(name, 'Stopped');
});

after(async () => {
  await host?.remove();
  await etcd?.remove();
});

function seed(value: string): void {
  for (const name of ['runs', ...stopped]) host.put(name, { config: { 'user.a': value } });
}

async function isSaid(reason: string, words: RegExp): Promise<void> {
  await host.isHeld();
  assert.match(await host.held(), words);
  assert.equal(await host.daemon.metric('devlxd_source_held', { reason }), 1);
  const { status, stdout } = commandLine.run(['check']);
  assert.equal(status, 1);
  assert.match(stdout, /changes of the fleet: held back/);
  assert.ok(host.daemon.log.some(({ msg, reason: why }) => /source accept/.test(msg) && words.test(String(why))));
  const told = async () => words.test(JSON.parse(etcd.get('status/h1/host') || '{}').held ?? '');
  await eventually('the fleet is told', told);
}

async function isServed(): Promise<void> {
  assert.match(await host.answer(guest, 'user.a'), /^\d$/);
  assert.equal(await host.status('runs'), 'Running');
  for (const name of stopped) assert.equal(await host.status(name), 'Stopped', name);
}

test('del --prefix is held back, and goes by when the keys are put back', needsEtcd, async () => {
  etcd.does('del', '--prefix', '/devlxd/');
  await isSaid('few', /fewer than half/);
  await isServed();
  await host.daemon.end('SIGKILL');
  await host.daemon.run();
  await isSaid('few', /fewer than half/);
  await isServed();
  seed('2');
  await host.hears(guest, 'user.a', '2');
  assert.equal(await host.held(), '');
  await host.inStep();
});

test('an empty etcd in its place is held back; accepted, it takes what does not run', needsEtcd, async () => {
  await etcd.wipe();
  await isSaid('older', /older history/);
  await isServed();
  assert.match(commandLine.does('source', 'accept'), /accepted: etcd has another, older history/);
  for (const name of stopped) await host.until(name, 'none');
  assert.equal(await host.status('runs'), 'Running');
  assert.match(await host.answer(guest, 'user.a'), /^2$/);
  seed('3');
  await host.hears(guest, 'user.a', '3');
  for (const name of stopped) await host.until(name, 'Stopped');
  assert.match(commandLine.run(['source', 'accept']).stderr, /Nothing is held back/);
});

test('an older backup put back is held back, however far its revisions have come meanwhile', needsEtcd, async () => {
  const backup = etcd.snapshot();
  seed('4');
  await host.hears(guest, 'user.a', '4');
  await host.inStep();
  const { applied } = await host.source();
  await eventually('it is told', () => BigInt(JSON.parse(etcd.get('status/h1/host')).applied) >= BigInt(applied));
  await host.daemon.end('SIGKILL');
  await etcd.restore(backup);
  for (let more = 0; more < 40; more++) etcd.put('status/other/host', String(more));
  await host.daemon.run();
  await isSaid('older', /older history/);
  assert.equal(await host.answer(guest, 'user.a'), '4');
  commandLine.does('source', 'accept');
  await host.hears(guest, 'user.a', '3');
});

test('another cluster is held back; the one before is followed again without a word', needsEtcd, async () => {
  const other = await Etcd.start();
  try {
    for (const name of ['runs', ...stopped])
      other.put(`host/h1/instance/default/${name}`, { config: { 'user.a': '9' } });
    await host.daemon.end();
    await host.daemon.run(['--etcd-endpoints', other.endpoints]);
    await eventually('it is held back', async () => /another etcd/.test(await host.held()));
    await isServed();
    await host.daemon.end();
    await host.daemon.run();
    await host.inStep();
    assert.equal(await host.held(), '');
    assert.equal(await host.answer(guest, 'user.a'), '3');
    await host.daemon.end();
    await host.daemon.run(['--etcd-endpoints', other.endpoints]);
    await eventually('it is held back', async () => /another etcd/.test(await host.held()));
    commandLine.does('source', 'accept');
    await host.hears(guest, 'user.a', '9');
    await host.daemon.end();
  } finally {
    await other.remove();
  }
  await host.daemon.run();
  await host.isHeld();
  commandLine.does('source', 'accept');
  await host.hears(guest, 'user.a', '3');
});

test('one by one, everything can be deleted; what runs goes when its init exits', needsEtcd, async () => {
  for (const name of [...stopped, 'runs']) host.delete(name);
  for (const name of stopped) await host.until(name, 'none');
  assert.equal(await host.held(), '');
  assert.equal(await host.answer(guest, 'user.a'), '3');
  await host.daemon.end('SIGKILL');
  await host.daemon.run();
  await host.inStep();
  assert.equal(await host.answer(guest, 'user.a'), '3');
  guest.kill();
  await host.until('runs', 'none');
});
