import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Etcd, needsEtcd } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { fleetCommand } from '../support/fleet-endpoint.js';
import { FleetHost } from '../support/fleet-host.js';

/** An etcd whose database is as large as it may be (the alarm NOSPACE), and is mended as its documentation says. */
let etcd: Etcd;
let host: FleetHost;

before(async () => {
  if (needsEtcd.skip) return;
  etcd = await Etcd.start({ more: () => ['--quota-backend-bytes', String(4 * 1024 * 1024)] });
  host = await FleetHost.start(etcd, 'h1');
});

after(async () => {
  await host?.remove();
  await etcd?.remove();
});

test('while etcd takes nothing more, guests are answered; once it does, changes are heard', needsEtcd, async () => {
  const guest = await host.running('c1', { config: { 'user.a': '1' } });
  const fill = () => etcd.run('put', `/other/${Math.random()}`, 'x'.repeat(120_000)).status !== 0;
  await eventually('it is full', fill, 60);
  assert.match(fleetCommand(etcd, ['set', 'c1', 'user.a=2']).stderr, /etcd refuses this: .*database space exceeded/);
  assert.match(fleetCommand(etcd, ['fleet', 'hosts']).stdout, /^h1 +in step/m);
  await host.daemon.end('SIGKILL');
  await host.daemon.run();
  assert.equal(await host.answer(guest, 'user.a'), '1');
  await eventually('it says why', async () => /database space exceeded/.test((await host.source()).away));
  etcd.does('del', '--prefix', '/other/');
  const { header } = JSON.parse(etcd.does('endpoint', 'status', '-w', 'json'))[0].Status;
  etcd.does('compact', String(header.revision));
  etcd.does('defrag');
  etcd.does('alarm', 'disarm');
  const { status, stderr } = fleetCommand(etcd, ['set', 'c1', 'user.a=3', '--wait']);
  assert.deepEqual([status, stderr], [0, '']);
  await host.hears(guest, 'user.a', '3');
});
