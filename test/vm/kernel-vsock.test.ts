import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiError } from '../../src/client/client-errors.js';
import { packageRoot } from '../../src/package-root.js';
import { eventually } from '../support/eventually.js';
import { ask, exchange, Session } from '../support/http.js';
import { DaemonInside, HostMachine, MadeUpVm } from './host-machine.js';
import { libvirt, parts } from './packages.js';

const found = parts();
const realLibvirt = libvirt();
const problem = found instanceof Error ? `${found.message}` : false;
const markPath = '/1.0/config/user.mark';
const port = 1234;
const firstCid = 42;
/** Of all places for callers that are held, machines that are known by their CID have half. */
const heldOfMachines = 4;
/** A machine without KVM on a busy host is slow. */
const patience = 300;
const stepMilliseconds = 200;
const unknown = { status: 500, body: 'Process ID not found in container\n' };

describe('virtual machines by vsock of the kernel, on a host that is a machine', { skip: problem }, () => {
  let host: HostMachine;
  let daemon: DaemonInside;
  let count = 0;

  before(async () => {
    if (found instanceof Error) throw found;
    host = await HostMachine.boot(found, firstCid);
    daemon = new DaemonInside(
      host,
      `--vsock-port ${port} --limit-hold-seconds 600 --limit-pending-callers ${2 * heldOfMachines}`,
    );
    await daemon.run();
  });

  after(async () => {
    await daemon?.client.close();
    await host?.end();
  });

  async function created(): Promise<{ name: string; cid: number }> {
    const name = `vm${++count}`;
    const config = { 'user.mark': `mark of ${name}` };
    await daemon.client.instances.create({ name, type: 'virtual-machine', config });
    return { name, cid: firstCid + count };
  }

  async function running(): Promise<{ name: string; cid: number; vm: MadeUpVm }> {
    const { name, cid } = await created();
    const vm = await MadeUpVm.boot(host, cid);
    await daemon.client.instances.start(name, vm.pid, cid);
    return { name, cid, vm };
  }

  async function stopped(name: string): Promise<void> {
    await eventually(`${name} is stopped`, async () => (await daemon.status(name)) === 'Stopped', patience);
  }

  async function held(requests: number): Promise<void> {
    await eventually(`${requests} are held`, async () => (await daemon.held()) === requests, patience);
  }

  async function mark(vm: MadeUpVm): Promise<string> {
    return (await ask(vm.as('root'), markPath)).body;
  }

  test('each machine has its own; its root is root, and its users are not', async () => {
    const [first, second] = [await running(), await running()];
    for (const { name, vm } of [first, second, first]) {
      assert.equal(await mark(vm), `mark of ${name}`);
      assert.equal((await ask(vm.as('user'), markPath)).status, 401);
    }
    await daemon.client.instances.patch(first.name, { config: { 'security.devlxd.nonroot': 'true' } });
    assert.equal((await ask(first.vm.as('user'), markPath)).body, `mark of ${first.name}`);
    const { config } = await daemon.client.instances.get(first.name);
    assert.equal(config['volatile.vsock_id'], String(first.cid));
  });

  test('processes of that host, and the host around it, are nobody', async () => {
    for (const socket of [host.connectByVsock(1, port), host.connectFromOutside(port)]) {
      const { status, body } = await ask(socket, markPath);
      assert.deepEqual({ status, body }, unknown);
    }
  });

  test('a CID is one machine’s; its end closes its connections, and then it is free', async () => {
    const { name, cid, vm } = await running();
    const next = await created();
    await assert.rejects(MadeUpVm.boot(host, cid), /Address already in use/);
    const other = await MadeUpVm.boot(host, next.cid);
    await assert.rejects(
      daemon.client.instances.start(next.name, other.pid, cid),
      (error) => error instanceof ApiError && /CID belongs to another running instance/.test(error.message),
    );
    const kept = new Session(vm.as('root'));
    assert.equal((await kept.ask(markPath)).status, 200);
    await vm.end();
    await stopped(name);
    await kept.close();
    const reborn = await MadeUpVm.boot(host, cid);
    await daemon.client.instances.start(next.name, reborn.pid, cid);
    assert.equal(await mark(reborn), `mark of ${next.name}`);
  });

  test('nothing that a dead machine has sent is the next one’s, which is registered already', async () => {
    const program = join(packageRoot, 'build/Release/vsock_test');
    assert.match(await host.run(`${program} 2>&1`), /^vsock: \d+ checks passed\n$/);
  });

  test('machines that nobody registers share half of the places for held callers', async () => {
    const [greedy, modest] = [await created(), await created()];
    const vms = [await MadeUpVm.boot(host, greedy.cid), await MadeUpVm.boot(host, modest.cid)] as const;
    const asks = async (vm: MadeUpVm) => (await ask(vm.as('root'), markPath)).body;
    const places: Promise<string>[] = [];
    while (places.length < heldOfMachines) {
      places.push(asks(vms[0]));
      await held(places.length);
    }
    assert.equal(await asks(vms[0]), unknown.body, 'the half is full, and it has more than any other');
    const first = asks(vms[1]);
    assert.equal(await places.pop(), unknown.body, 'the newest of the greedy one has made room');
    const second = asks(vms[1]);
    assert.equal(await places.pop(), unknown.body);
    assert.equal(await asks(vms[1]), unknown.body, 'now it has as many as the other');
    const container = host.run(`unshare -pf curl -s --unix-socket ${daemon.guestSocket} http://lxd${markPath}`);
    await held(heldOfMachines + 1);
    await daemon.client.instances.start(greedy.name, vms[0].pid, greedy.cid);
    for (const answer of places) assert.equal(await answer, `mark of ${greedy.name}`);
    await daemon.client.instances.start(modest.name, vms[1].pid, modest.cid);
    for (const answer of [first, second]) assert.equal(await answer, `mark of ${modest.name}`);
    await held(1);
    await host.run('pkill -9 -x curl');
    await container;
    await held(0);
  });

  test('libvirt itself registers a domain with vsock by the hook', { skip: realLibvirt.problem ?? false }, async () => {
    const script = join(packageRoot, 'test/vm/programs/with-libvirt.sh');
    const hook = join(packageRoot, 'bin/devlxd-hook');
    const streams = host.spawn(`exec unshare -m ${script} ${realLibvirt.directory} ${hook} 2>&1`);
    const said: string[] = [];
    const lines = createInterface({ input: streams }).on('line', (line) => said.push(line));
    await eventually('it has created it, or ended', () => said.includes('created') || streams.closed, patience);
    assert.deepEqual(said, ['created']);
    const { type, status, config } = await daemon.client.instances.get('of-libvirt');
    assert.deepEqual([type, status, config['user.mark']], ['virtual-machine', 'Running', 'libvirt']);
    assert.match(config['volatile.vsock_id'] ?? '', /^\d+$/);
    streams.write('\n');
    await stopped('of-libvirt');
    await once(lines, 'close');
    assert.deepEqual(said, ['created']);
  });

  test('what waits to be accepted when its machine dies is not the next one’s with its CID', async () => {
    const { name, cid, vm } = await running();
    const next = await created();
    await daemon.signal('STOP');
    const body = '{"state":"Ready"}';
    const head = `PATCH /1.0 HTTP/1.1\r\nHost: lxd\r\nContent-Length: ${body.length}\r\n\r\n`;
    const answered = exchange(vm.as('root'), head + body);
    await eventually('the kernel has it', () => vm.sent === 1, patience);
    await vm.end();
    const reborn = await MadeUpVm.boot(host, cid);
    await daemon.signal('CONT');
    assert.equal(await answered, '');
    await stopped(name);
    await daemon.client.instances.start(next.name, reborn.pid, cid);
    assert.equal(await mark(reborn), `mark of ${next.name}`);
    assert.equal(await daemon.status(next.name), 'Running');
    assert.equal(await daemon.held(), 0);
  });

  test('callers of a CID that is not registered yet are held, also over a takeover; the dead are forgotten', async () => {
    const [waiting, dead, kept] = [await created(), await created(), await running()];
    const vm = await MadeUpVm.boot(host, waiting.cid);
    const dying = await MadeUpVm.boot(host, dead.cid);
    const asked = ask(vm.as('root'), markPath);
    const lost = exchange(dying.as('root'), 'GET /1.0 HTTP/1.1\r\nHost: lxd\r\n\r\n');
    await held(2);
    await dying.end();
    assert.equal(await lost, '');
    await held(1);
    const session = new Session(kept.vm.as('root'));
    let over = false;
    const taken = daemon.takeOver().finally(() => {
      over = true;
    });
    // In between: a connection that is idle for ten seconds is closed, and that host is slow.
    for (let last = false; !last; await pause(stepMilliseconds)) {
      last = over;
      assert.equal((await session.ask(markPath)).body, `mark of ${kept.name}`);
    }
    await taken;
    await session.close();
    await held(1);
    const reborn = await MadeUpVm.boot(host, dead.cid);
    await daemon.client.instances.start(dead.name, reborn.pid, dead.cid);
    assert.equal(await mark(reborn), `mark of ${dead.name}`);
    await daemon.client.instances.start(waiting.name, vm.pid, waiting.cid);
    assert.equal((await asked).body, `mark of ${waiting.name}`);
    assert.equal(await mark(kept.vm), `mark of ${kept.name}`);
  });
});
