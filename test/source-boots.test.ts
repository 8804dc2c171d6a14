// How a source is asked for the pids of what boots.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { FakeLxd } from './support/fake-lxd.js';
import { Guests } from './support/guest-processes.js';

test('the pids of all are asked for where most have booted, and those of single ones where few have', async () => {
  const lxd = new FakeLxd();
  await lxd.start();
  const guests = new Guests();
  const all = guests.spawn(60);
  for (const [index, { pid }] of all.entries()) lxd.add(`c${index}`, { pid: index < 40 ? pid : 0 });
  const daemon = await TestDaemon.start(['--source', `lxd:${lxd.socket}`]);
  try {
    const run = (count: number) => async () =>
      (await daemon.metric('devlxd_instances', { status: 'Running' })) === count;
    const asked = (scope: string) => daemon.metric('devlxd_source_requests_total', { scope });
    await eventually('40 run', run(40));
    assert.deepEqual([await asked('all-pids'), await asked('one-pid')], [2, 0]);
    // More than are asked for one by one, and half of them are less than a list of those that run.
    for (const [index, { pid }] of all.entries()) if (index >= 40) lxd.change(`c${index}`, { pid }, 'instance-started');
    await eventually('60 run', run(60));
    assert.equal(await asked('all-pids'), 2);
    assert.ok((await asked('one-pid')) >= 40);
  } finally {
    await daemon.remove();
    await guests.close();
    await lxd.remove();
  }
});
