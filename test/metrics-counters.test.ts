import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { samplesOf } from '../src/metrics/exposition.js';
import { TestDaemon } from './support/daemon.js';
import { failedHandover } from './support/failed-handover.js';
import { type Guest, Guests } from './support/guest-processes.js';
import { ask, ended, Session } from './support/http.js';
import { OptionsFile } from './support/options-file.js';

// What is counted never becomes less, whatever becomes of the instance or of the daemon.

let guests: Guests;
let guest: Guest;
let file: OptionsFile;
let daemon: TestDaemon;

before(() => {
  guests = new Guests();
});

after(() => guests.close());

beforeEach(async () => {
  file = new OptionsFile();
  file.write('DEVLXD_LIMIT_CONNECTIONS_PER_INSTANCE=2');
  guest = guests.one();
  daemon = await TestDaemon.start(['--options-file', file.path]);
  await daemon.register('c1', guest.pid, { 'user.a': '1' });
});

afterEach(async () => {
  await daemon.remove();
  file.remove();
});

/** 12 requests, most of them answered from copies, and a connection too many. */
async function use(of = guest): Promise<void> {
  const session = new Session(of.connect(daemon.socket));
  for (let n = 0; n < 10; n++) await session.ask('/1.0/config/user.a');
  for (let n = 0; n < 2; n++) await session.ask(`/1.0/config/user.x${n}`);
  const others = [of.connect(daemon.socket), of.connect(daemon.socket)];
  await Promise.race(others.map((socket) => ended(socket)));
  for (const socket of others) socket.destroy();
  await session.close();
}

const requests = () => daemon.metric('devlxd_instance_requests_total', { instance: 'c1' });
const hits = () =>
  daemon.metric('devlxd_instance_limit_hits_total', { instance: 'c1', limit: 'connections-per-instance' });
const allHits = () => daemon.metric('devlxd_limit_hits_total', { limit: 'connections-per-instance' });

async function counters(): Promise<Map<string, number>> {
  const text = await daemon.client.metrics({ perInstance: true });
  const counted = [...text.matchAll(/^# TYPE (\S+) (?:counter|histogram)$/gm)].map(([, name]) => name);
  return new Map(
    samplesOf(text)
      .filter(({ name }) => counted.includes(name.replace(/_(?:bucket|sum|count)$/, '')))
      .map(({ name, labels, value }) => [`${name} ${JSON.stringify(labels)}`, value]),
  );
}

/** Every counter is there, and at least what it was. */
async function noneFell(before: ReadonlyMap<string, number>): Promise<void> {
  const now = await counters();
  const fallen = [...before].filter(([name, value]) => (now.get(name) ?? -1) < value);
  assert.deepEqual(
    fallen.filter(([name]) => !name.startsWith('process_')),
    [],
  );
}

test('an instance that is stopped and started with the same init', async () => {
  await use();
  assert.deepEqual([await requests(), await hits(), await allHits()], [12, 1, 1]);
  for (let times = 2; times < 5; times++) {
    const before = await counters();
    await daemon.stopInstance('c1');
    await daemon.startInstance('c1', guest.pid);
    await noneFell(before);
    await use();
    assert.deepEqual([await requests(), await hits(), await allHits()], [12 * times, times, times]);
  }
});

test('an instance whose init exits, and whose slot another takes', async () => {
  await use();
  const before = await counters();
  guest.kill();
  while ((await daemon.status('c1')) !== 'Stopped');
  const [other, next] = guests.spawn(2) as [Guest, Guest];
  await daemon.register('c2', other.pid, { 'user.a': '1' });
  await use(other);
  assert.equal(await daemon.metric('devlxd_instance_requests_total', { instance: 'c2' }), 12);
  await daemon.startInstance('c1', next.pid);
  await noneFell(before);
  await use(next);
  assert.deepEqual([await requests(), await hits(), await allHits()], [24, 2, 3]);
});

test('an instance that is renamed, and one of which nothing is kept after it is deleted', async () => {
  await use();
  await daemon.stopInstance('c1');
  await daemon.client.instances.rename('c1', 'moved');
  await daemon.startInstance('moved', guest.pid);
  await use();
  assert.equal(await daemon.metric('devlxd_instance_requests_total', { instance: 'moved' }), 24);
  await daemon.stopInstance('moved');
  await daemon.client.instances.delete('moved');
  await daemon.register('moved', guest.pid);
  assert.equal(await daemon.metric('devlxd_instance_requests_total', { instance: 'moved' }), 0);
});

test('options that are read again, also ones that empty the copies', async () => {
  await use();
  const before = await counters();
  await file.reload(daemon, 'DEVLXD_RESPONSE_CACHE=0\nDEVLXD_LIMIT_REQUESTS_PER_SECOND=0');
  await noneFell(before);
  await file.reload(daemon, 'DEVLXD_RESPONSE_CACHE=4096');
  assert.equal((await ask(guest.connect(daemon.socket), '/1.0')).status, 200);
  await noneFell(before);
  assert.equal(await requests(), 13);
});

test('many that ask at once are answered alike, and each later one with what is later', async () => {
  await use();
  const texts = await Promise.all(Array.from({ length: 50 }, () => daemon.client.metrics({ perInstance: true })));
  for (const text of texts)
    assert.match(text, /devlxd_instance_requests_total\{project="default",instance="c1"\} 12\n/);
  await use();
  assert.equal(await requests(), 24);
});

test('a daemon that takes over goes on counting, also after one that could not; one that starts begins at 0', async () => {
  const lastHit = () => daemon.metric('devlxd_limit_last_hit_timestamp_seconds', { limit: 'connections-per-instance' });
  const damaged = join(daemon.directory, 'damaged');
  mkdirSync(damaged);
  writeFileSync(join(damaged, 'devlxd.db'), 'no database at all, and long enough to be looked at'.repeat(100));
  let times = 0;
  for (const another of [
    () => daemon.takeOver(),
    () => failedHandover(daemon, ['--state-dir', damaged]),
    () => daemon.takeOver(),
  ]) {
    await use();
    times++;
    const [before, at] = [await counters(), await lastHit()];
    assert.ok(at > 0);
    await another();
    await noneFell(before);
    assert.deepEqual([await requests(), await hits(), await allHits()], [12 * times, times, times]);
    assert.equal(await lastHit(), at);
  }
  await daemon.end();
  await daemon.run();
  assert.deepEqual([await requests(), await hits(), await allHits(), await lastHit()], [0, 0, 0, 0]);
});
