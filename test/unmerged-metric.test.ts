import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDaemon } from './support/daemon.js';
import { Guests } from './support/guest-processes.js';

test('what ssh keys are not in is told before a guest reads it, also after a restart and a change', () =>
  withDaemon(async (daemon) => {
    const guests = new Guests();
    const config = {
      'cloud-init.user-data': '#cloud-config\nusers: {root: {}}\n',
      'cloud-init.ssh-keys.a': 'root:ssh-rsa A a',
    };
    try {
      await daemon.register('c1', guests.one().pid, config);
      await daemon.register('c2', guests.one().pid, { 'cloud-init.ssh-keys.a': 'root:ssh-rsa A a' });
      const told = async (): Promise<number[]> => [
        await daemon.metric('devlxd_unmerged_documents'),
        await daemon.metric('devlxd_instance_unmerged_documents', { instance: 'c1', key: 'cloud-init.user-data' }),
      ];
      assert.deepEqual(await told(), [1, 1]);
      await daemon.end('SIGKILL');
      await daemon.run();
      assert.deepEqual(await told(), [1, 1]);
      await daemon.set('c1', { 'cloud-init.user-data': '#cloud-config\na: 1\n' });
      assert.deepEqual(await told(), [0, 0]);
    } finally {
      await guests.close();
    }
  }));
