import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ApiError } from '../src/client/client-errors.js';
import { bestIdentityMethod, identityMethods } from '../src/gate/gate.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { Guests } from './support/guest-processes.js';
import { ask, ended, Session } from './support/http.js';
import { reuse, reusing } from './support/reuse-pid.js';
import { Vmm } from './support/vmm.js';

const markPath = '/1.0/config/user.mark';
const unknown = { status: 500, body: 'Process ID not found in container\n' };

async function answer(asked: ReturnType<typeof ask>): Promise<{ status: number; body: string }> {
  const { status, body } = await asked;
  return { status, body };
}

for (const identity of identityMethods.slice(identityMethods.indexOf(bestIdentityMethod()))) {
  describe(`virtual machines, identity by ${identity}`, () => {
    let daemon: TestDaemon;
    let guests: Guests;
    const vmms: Vmm[] = [];
    let count = 0;

    before(async () => {
      daemon = await TestDaemon.start(['--identity', identity, '--limit-hold-seconds', '1']);
      guests = new Guests();
    });

    after(async () => {
      for (const vmm of vmms) await vmm.end();
      await guests.close();
      await daemon.remove();
    });

    async function vmm(): Promise<Vmm> {
      const started = await Vmm.start(daemon.socket);
      vmms.push(started);
      return started;
    }

    async function created(config: Record<string, string> = {}): Promise<string> {
      const name = `vm${++count}`;
      const all = { 'user.mark': `mark of ${name}`, 'security.devlxd.nonroot': 'true', ...config };
      await daemon.client.instances.create({ name, type: 'virtual-machine', config: all });
      return name;
    }

    async function running(config: Record<string, string> = {}): Promise<{ name: string; vmm: Vmm }> {
      const name = await created(config);
      const started = await vmm();
      await daemon.client.instances.start(name, started.pid);
      return { name, vmm: started };
    }

    async function refused(name: string, pid: number, sentence: RegExp, cid?: number): Promise<void> {
      await assert.rejects(
        daemon.client.instances.start(name, pid, cid),
        (error) => error instanceof ApiError && sentence.test(error.message),
      );
      assert.equal(await daemon.status(name), 'Stopped');
    }

    test('two machines and a container are each served their own', async () => {
      const [first, second] = [await running(), await running()];
      const container = guests.one();
      await daemon.register(`c${count}`, container.pid, { 'user.mark': 'of the container' });
      for (const { name, vmm } of [first, second, first]) {
        assert.equal((await ask(vmm.connect(), markPath)).body, `mark of ${name}`);
        assert.equal(JSON.parse((await ask(vmm.connect(), '/1.0')).body).instance_type, 'virtual-machine');
      }
      const inside = (path: string) => ask(container.connect(daemon.socket), path);
      assert.equal((await inside(markPath)).body, 'of the container');
      assert.equal(JSON.parse((await inside('/1.0')).body).instance_type, 'container');
      assert.equal((await daemon.client.instances.get(first.name)).type, 'virtual-machine');
    });

    test('nobody in a machine is known to be root', async () => {
      const { vmm } = await running({ 'security.devlxd.nonroot': 'false' });
      assert.equal((await ask(vmm.connect(), markPath)).status, 401);
    });

    test('other processes of the host are not the machine', async () => {
      const other = await vmm();
      await running();
      assert.deepEqual(await answer(ask(other.connect(), markPath)), unknown);
      assert.deepEqual(await answer(ask(connect(daemon.socket), markPath)), unknown);
    });

    test('a VMM that is the init of a pid namespace stands for all in there', async () => {
      const name = await created();
      const jailed = guests.one();
      await daemon.client.instances.start(name, jailed.pid);
      for (const connecting of [{}, { child: true }]) {
        const { body } = await ask(jailed.connect(daemon.socket, connecting), '/1.0');
        assert.equal(JSON.parse(body).instance_type, 'virtual-machine');
      }
      await daemon.client.instances.patch(name, { config: { 'security.devlxd.nonroot': '' } });
      assert.equal((await ask(jailed.connect(daemon.socket), '/1.0')).status, 401);
    });

    test('the end of the VMM stops the machine and closes its connections', async () => {
      const { name, vmm } = await running();
      const session = new Session(vmm.connect());
      assert.equal((await session.ask(markPath)).status, 200);
      const closed = ended(vmm.connect());
      await vmm.end();
      await closed;
      await eventually('the machine is stopped', async () => (await daemon.status(name)) === 'Stopped');
      await session.close();
    });

    reusing('a process that gets the pid of a VMM that died is not the machine', async () => {
      const { name, vmm: old } = await running();
      let next: Vmm | undefined;
      process.kill(daemon.pid, 'SIGSTOP');
      try {
        await old.end();
        reuse(old.pid, () => {
          next = Vmm.spawn(daemon.socket);
          vmms.push(next);
          return next.pid;
        });
        await next?.ready();
        const asked = ask((next as Vmm).connect(), markPath);
        process.kill(daemon.pid, 'SIGCONT');
        assert.deepEqual(await answer(asked), unknown);
      } finally {
        process.kill(daemon.pid, 'SIGCONT');
      }
      await eventually('the machine is stopped', async () => (await daemon.status(name)) === 'Stopped');
      const other = await created();
      await daemon.client.instances.start(other, old.pid);
      assert.equal((await ask((next as Vmm).connect(), markPath)).body, `mark of ${other}`);
    });

    test('what cannot be a machine is refused with the reason, and changes nothing', async () => {
      const { name, vmm: taken } = await running();
      const odd = await created();
      await refused(odd, taken.pid, /belongs to another running instance/);
      await refused(odd, daemon.pid, /is the daemon/);
      await refused(odd, 4_000_000, /no process 4000000/);
      const free = await vmm();
      await refused(odd, free.pid, /3 or above/, 2);
      await refused(odd, free.pid, /below 4294967295/, 2 ** 32 - 1);
      await daemon.create(`plain${count}`);
      await refused(`plain${count}`, guests.one().pid, /only a virtual machine/, 42);
      assert.equal((await ask(taken.connect(), markPath)).body, `mark of ${name}`);
    });

    test('a CID is one machine at a time, and free when that has ended', async () => {
      const [first, second] = [await created(), await created()];
      const [one, two] = [await vmm(), await vmm()];
      await daemon.client.instances.start(first, one.pid, 1000 + count);
      assert.equal((await daemon.client.instances.get(first)).config['volatile.vsock_id'], String(1000 + count));
      await refused(second, two.pid, /CID belongs to another/, 1000 + count);
      await one.end();
      await eventually('the machine is stopped', async () => (await daemon.status(first)) === 'Stopped');
      assert.equal((await daemon.client.instances.get(first)).config['volatile.vsock_id'], undefined);
      await daemon.client.instances.start(second, two.pid, 1000 + count);
    });

    test('a machine stays what it is over a restart and a takeover', async () => {
      const { name, vmm } = await running();
      const kept = new Session(vmm.connect());
      assert.equal((await kept.ask(markPath)).status, 200);
      await daemon.takeOver();
      assert.equal((await kept.ask(markPath)).body, `mark of ${name}`);
      await kept.close();
      await daemon.end();
      await daemon.run();
      assert.equal((await ask(vmm.connect(), markPath)).body, `mark of ${name}`);
      assert.equal((await daemon.client.instances.get(name)).type, 'virtual-machine');
    });
  });
}
