import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { EventStream } from '../support/event-stream.js';
import { eventually } from '../support/eventually.js';
import { FleetHost } from '../support/fleet-host.js';
import type { Guest } from '../support/guest-processes.js';

/** Three members, which end in all ways: the guest is answered, and hears what it has missed once. */
let etcd: Etcd;
let host: FleetHost;
let guest: Guest;
let last = 0;

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start({ members: 3 });
  host = await FleetHost.start(etcd, 'h1');
  guest = await host.running('c1', { config: { 'user.a': '0' } });
  await host.inStep();
});

after(async () => {
  await host?.remove();
  await etcd?.remove();
});

function put(): string {
  last++;
  host.put('c1', { config: { 'user.a': String(last) } });
  return String(last);
}

async function isAway(): Promise<void> {
  await eventually('etcd is away', async () => (await host.daemon.metric('devlxd_source_connected')) === 0);
}

test('each member is killed, followed or not, leader or not; each change is heard', needsEtcd, async () => {
  const events = await EventStream.webSocket(guest, host.daemon.socket);
  const from = last;
  for (let member = 0; member < etcd.size; member++) {
    await etcd.kill(member);
    await etcd.ready();
    await host.hears(guest, 'user.a', put());
    etcd.launch(member);
    await etcd.ready();
  }
  await events.atLeast(etcd.size);
  events.end();
  const heard = events.events.map(({ metadata }) => [metadata['old_value'], metadata['value']]);
  assert.deepEqual(
    heard,
    heard.map((_, index) => [String(from + index), String(from + index + 1)]),
  );
});

test('without a majority it is away; with one again it is followed', needsEtcd, async () => {
  await Promise.all([etcd.kill(0), etcd.kill(1)]);
  await isAway();
  assert.equal(await host.answer(guest, 'user.a'), String(last));
  etcd.launch(0);
  etcd.launch(1);
  await etcd.ready();
  await host.hears(guest, 'user.a', put());
});

test(
  'all members and the daemon are killed; the guest is answered, and hears the last value once',
  needsEtcd,
  async () => {
    host.put('s1', {});
    await host.until('s1', 'Stopped');
    await etcd.killAll();
    await isAway();
    await host.daemon.end('SIGKILL');
    await host.daemon.run();
    assert.equal(await host.answer(guest, 'user.a'), String(last));
    assert.equal(await host.status('c1'), 'Running');
    const before = String(last);
    const events = await EventStream.webSocket(guest, host.daemon.socket);
    host.daemon.signal('SIGSTOP');
    etcd.launchAll();
    await etcd.ready();
    for (let more = 0; more < 3; more++) put();
    host.delete('s1');
    const { header } = JSON.parse(etcd.does('endpoint', 'status', '-w', 'json'))[0].Status;
    etcd.does('compact', String(header.revision));
    host.daemon.signal('SIGCONT');
    await host.hears(guest, 'user.a', String(last));
    await host.until('s1', 'none');
    await events.atLeast(1);
    events.end();
    const heard = events.events.map(({ metadata }) => [metadata['old_value'], metadata['value']]);
    assert.deepEqual(heard, [[before, String(last)]]);
  },
);

test('what is compacted while the daemon is away is read anew', needsEtcd, async () => {
  await host.inStep();
  const reads = () => host.daemon.metric('devlxd_source_requests_total', { scope: 'all' });
  const before = await reads();
  host.daemon.signal('SIGSTOP');
  await etcd.killAll();
  etcd.launchAll();
  await etcd.ready();
  put();
  put();
  const { header } = JSON.parse(etcd.does('endpoint', 'status', '-w', 'json'))[0].Status;
  etcd.does('compact', String(header.revision));
  host.daemon.signal('SIGCONT');
  await host.hears(guest, 'user.a', String(last));
  assert.equal(await reads(), before + 1);
  await host.hears(guest, 'user.a', put());
});
