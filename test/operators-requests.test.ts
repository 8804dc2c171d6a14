// Requests with the fields that lxc 6.9 sends, which no release of Debian has: written from the API's fields, not recorded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestDaemon } from './support/daemon.js';
import { Operator } from './support/host.js';

const put = {
  architecture: '',
  devices: {},
  ephemeral: false,
  profiles: ['default'],
  stateful: false,
  description: '',
};
const source = { type: 'none', certificate: '' };
const move = {
  migration: false,
  live: false,
  instance_only: false,
  container_only: false,
  target: null,
  pool: '',
  project: '',
  allow_inconsistent: false,
  Config: null,
  Devices: null,
  Profiles: null,
  OverrideSnapshotProfiles: false,
};

test('lxc 6.9: init, config set, rename, move, stop, delete, project create and delete', async () => {
  const daemon = await TestDaemon.start();
  const operator = new Operator(() => daemon);
  try {
    const post = { ...put, config: { 'user.a': '1' }, name: 'c1', source, instance_type: '', type: '', start: false };
    await operator.metadata('POST', '/1.0/instances', post);
    const read = await operator.metadata<{ config: object }>('GET', '/1.0/instances/c1');
    await operator.metadata('PUT', '/1.0/instances/c1', {
      ...put,
      restore: '',
      config: { ...read.config, 'user.a': '2', 'placement.group': 'g' },
    });
    await operator.metadata('POST', '/1.0/instances/c1', { name: 'c2', ...move });
    await operator.metadata('POST', '/1.0/instances/c2', { name: 'c3', ...move, live: true });
    const { config } = await daemon.client.instances.get('c3');
    assert.deepEqual([config['user.a'], config['placement.group']], ['2', 'g']);
    const start = { action: 'start', timeout: -1, force: false, stateful: false };
    assert.match(await operator.error('PUT', '/1.0/instances/c3/state', start), /devlxd starts no containers/);
    const project = { config: {}, description: '', name: 'blue', storage_pool: '', network: '' };
    await operator.metadata('POST', '/1.0/projects', project);
    await operator.metadata('POST', '/1.0/projects/blue', { name: 'green' });
    await operator.metadata('DELETE', '/1.0/projects/green');
    await operator.metadata('DELETE', '/1.0/instances/c3');
  } finally {
    await daemon.remove();
  }
});
