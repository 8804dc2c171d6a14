import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { GuestClient } from '../../src/client/guest-client.js';
import { TestDaemon } from '../support/daemon.js';
import { download } from '../support/download.js';
import { EventStream } from '../support/event-stream.js';
import { eventually } from '../support/eventually.js';
import { Guests } from '../support/guest-processes.js';
import { ask, Session } from '../support/http.js';
import { Machine } from './machine.js';
import { parts } from './packages.js';

const found = parts();
const problem = found instanceof Error ? `${found.message}` : false;
const markPath = '/1.0/config/user.mark';
const image = randomBytes(2_000_000);

describe('two virtual machines that boot, and a container', { skip: problem }, () => {
  let daemon: TestDaemon;
  let guests: Guests;
  const machines: Machine[] = [];

  async function boot(name: string, cid: number): Promise<Machine> {
    if (found instanceof Error) throw found;
    const config = { 'user.mark': `mark of ${name}`, 'security.devlxd.images': 'true' };
    await daemon.client.instances.create({ name, type: 'virtual-machine', config });
    return Machine.boot(found, cid, daemon.socket, (pid) => daemon.client.instances.start(name, pid));
  }

  before(async () => {
    daemon = await TestDaemon.start();
    guests = new Guests();
    await daemon.client.upload('/1.0/images', Readable.from([image]), image.length, { 'x-lxd-public': 'true' });
    machines.push(...(await Promise.all([boot('vm1', 42), boot('vm2', 43)])));
  });

  after(async () => {
    for (const machine of machines) await machine.end();
    await guests.close();
    await daemon.remove();
  });

  function inside(index: number, user: 'root' | 'user' = 'root') {
    return (machines[index] as Machine).as(user);
  }

  test('nobody inside is served until the operator says so, and then all are', async () => {
    for (const user of ['root', 'user'] as const) {
      assert.equal((await ask(inside(0, user).connect(), markPath)).status, 401);
    }
    for (const name of ['vm1', 'vm2']) {
      await daemon.client.instances.patch(name, { config: { 'security.devlxd.nonroot': 'true' } });
    }
    for (const user of ['root', 'user'] as const) {
      assert.equal((await ask(inside(0, user).connect(), markPath)).body, 'mark of vm1');
    }
  });

  test('each has its own', async () => {
    const container = guests.one();
    await daemon.register('c1', container.pid, { 'user.mark': 'mark of c1' });
    for (let i = 0; i < 3; i++) {
      assert.equal((await ask(inside(0).connect(), markPath)).body, 'mark of vm1');
      assert.equal((await ask(inside(1).connect(), markPath)).body, 'mark of vm2');
      assert.equal((await ask(container.connect(daemon.socket), markPath)).body, 'mark of c1');
    }
    const client = new GuestClient({ connect: inside(1).connect });
    assert.equal((await client.info()).instance_type, 'virtual-machine');
    await client.setState('Ready');
    assert.equal(await daemon.status('vm2'), 'Ready');
  });

  for (const kind of ['webSocket', 'chunked'] as const) {
    test(`events arrive: ${kind}`, async () => {
      const stream = await EventStream[kind](inside(0), '');
      await daemon.client.instances.patch('vm1', { config: { 'user.heard': kind } });
      await stream.atLeast(1);
      assert.equal(stream.events[0]?.metadata['value'], kind);
      stream.end();
      await stream.closed;
    });
  }

  test('an image arrives, every byte', async () => {
    const fingerprint = createHash('sha256').update(image).digest('hex');
    const { body } = await download(inside(0).connect(), `/1.0/images/${fingerprint}/export`);
    assert.equal(createHash('sha256').update(body).digest('hex'), fingerprint);
  });

  test('a takeover and a restart of the daemon: what was asked meanwhile is answered', async () => {
    const kept = new Session(inside(0).connect());
    assert.equal((await kept.ask(markPath)).body, 'mark of vm1');
    await daemon.takeOver();
    assert.equal((await kept.ask(markPath)).body, 'mark of vm1');
    await kept.close();
    await daemon.end();
    const asked = ask(inside(0).connect(), markPath);
    await daemon.run();
    assert.equal((await asked).body, 'mark of vm1');
  });

  test('the end of a machine is the end of its instance, and of no other', async () => {
    await machines[1]?.end();
    await eventually('it is stopped', async () => (await daemon.status('vm2')) === 'Stopped');
    assert.equal((await ask(inside(0).connect(), markPath)).body, 'mark of vm1');
  });
});
