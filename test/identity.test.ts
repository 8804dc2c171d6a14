import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ApiError } from '../src/client/client-errors.js';
import { bestIdentityMethod, identityMethods } from '../src/gate/gate.js';
import { TestDaemon } from './support/daemon.js';
import { eventually } from './support/eventually.js';
import { type Guest, Guests, needsGuestUsers } from './support/guest-processes.js';
import { ask, ended, Session } from './support/http.js';
import { reuse, reusing } from './support/reuse-pid.js';

const markPath = '/1.0/config/user.mark';
const unknown = { status: 500, body: 'Process ID not found in container\n' };

/** Longer than AcceptClock (native/identity/caller.h) lets the daemon stand still with this many pids. */
const pidMax = Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8'));
const standstillMilliseconds = Math.min(Math.max(pidMax * 6e-3, 200), 2000) + 300;

/** Every way to identify a caller has to pass the same tests; the kernel's own is one of them. */
for (const identity of identityMethods.slice(identityMethods.indexOf(bestIdentityMethod()))) {
  describe(`identity by ${identity}`, () => {
    let daemon: TestDaemon;
    let guests: Guests;

    before(async () => {
      daemon = await TestDaemon.start(['--identity', identity, '--limit-hold-seconds', '1']);
      guests = new Guests();
    });

    after(async () => {
      await guests.close();
      await daemon.remove();
    });

    let count = 0;
    async function registered(
      config: Record<string, string> = {},
    ): Promise<{ guest: Guest; name: string; mark: string }> {
      const guest = guests.one();
      const name = `g${++count}`;
      await daemon.register(name, guest.pid, { 'user.mark': `mark of ${name}`, ...config });
      return { guest, name, mark: `mark of ${name}` };
    }

    async function whileStopped<Result>(work: () => Result | Promise<Result>): Promise<Result> {
      process.kill(daemon.pid, 'SIGSTOP');
      try {
        return await work();
      } finally {
        process.kill(daemon.pid, 'SIGCONT');
      }
    }

    async function bodyOf(answer: ReturnType<typeof ask>): Promise<{ status: number; body: string }> {
      const { status, body } = await answer;
      return { status, body };
    }

    test('two guests in the same uid range get each their own value of the same key', async () => {
      const [one, other] = [await registered(), await registered()];
      for (const { guest, mark } of [one, other, one]) {
        assert.equal((await ask(guest.connect(daemon.socket), markPath)).body, mark);
      }
    });

    test('a process of the host is nobody, and is told so at once', async () => {
      const answer = await ask(connect(daemon.socket), '/1.0');
      assert.deepEqual({ status: answer.status, body: answer.body }, unknown);
    });

    test('a guest that is not registered is held, and then told that it is unknown', async () => {
      assert.deepEqual(await bodyOf(ask(guests.one().connect(daemon.socket), '/1.0')), unknown);
    });

    test('a guest that asks before it is registered gets its data', async () => {
      const guest = guests.one();
      await daemon.create(`g${++count}`, { 'user.mark': 'early' });
      const asked = ask(guest.connect(daemon.socket), markPath);
      await daemon.startInstance(`g${count}`, guest.pid);
      assert.deepEqual(await bodyOf(asked), { status: 200, body: 'early' });
    });

    test('a user of the guest who is not root is refused, unless the instance allows it', needsGuestUsers, async () => {
      const { guest, name, mark } = await registered();
      const asUser = () => bodyOf(ask(guest.connect(daemon.socket, { uid: 1000 }), markPath));
      assert.deepEqual(await asUser(), { status: 401, body: 'Access denied for non-root user\n' });
      await daemon.set(name, { 'security.devlxd.nonroot': 'true' });
      assert.deepEqual(await asUser(), { status: 200, body: mark });
    });

    test('a container in the container is its host: as root of the guest, at any depth', async () => {
      const { guest, mark } = await registered();
      for (const nested of [1, 3]) {
        assert.equal((await ask(guest.connect(daemon.socket, { nested }), markPath)).body, mark);
      }
      assert.equal((await ask(guest.connect(daemon.socket, { nested: 2, nestedUser: true }), markPath)).body, mark);
    });

    test('containers in the container are kept out where the instance says so', async () => {
      const { guest, name, mark } = await registered();
      const held = new Session(guest.connect(daemon.socket, { nested: 1 }));
      assert.equal((await held.ask(markPath)).body, mark);
      await daemon.set(name, { 'security.devlxd.nested': 'false' });
      for (const connecting of [{ nested: 1 }, { nested: 3 }, { nested: 2, nestedUser: true }]) {
        for (let twice = 0; twice < 2; twice++) {
          assert.deepEqual(await bodyOf(ask(guest.connect(daemon.socket, connecting), markPath)), unknown);
        }
      }
      assert.equal((await ask(guest.connect(daemon.socket), markPath)).body, mark);
      assert.equal((await ask(guest.connect(daemon.socket, { child: true }), markPath)).body, mark);
      const inner = guest.connectFrom(daemon.socket, { nested: 1 });
      inner.socket.destroy();
      await daemon.register(`g${++count}`, inner.pid, { 'user.mark': 'an instance itself' });
      await daemon.set(name, { 'security.devlxd.nested': 'true' });
      assert.equal((await ask(guest.connect(daemon.socket, { nested: 1 }), markPath)).body, mark);
      assert.equal((await held.ask(markPath)).body, mark); // an open connection is not asked again
      await held.close();
    });

    test('a container that asks before the one around it is registered is kept out as well', async () => {
      const guest = guests.one();
      const name = `g${++count}`;
      await daemon.create(name, { 'user.mark': 'outer', 'security.devlxd.nested': 'false' });
      const inside = ask(guest.connect(daemon.socket, { nested: 1 }), markPath);
      const outside = ask(guest.connect(daemon.socket), markPath);
      await daemon.startInstance(name, guest.pid);
      assert.equal((await outside).body, 'outer');
      assert.deepEqual(await bodyOf(inside), unknown);
    });

    test('an instance inside an instance is itself, not its host', async () => {
      const outer = guests.one();
      const { socket, pid } = outer.connectFrom(daemon.socket, { nested: 1 });
      const session = new Session(socket);
      const held = session.ask(markPath);
      await daemon.register(`g${++count}`, pid, { 'user.mark': 'inner' });
      assert.equal((await held).body, 'inner');
      await daemon.register(`g${++count}`, outer.pid, { 'user.mark': 'outer' });
      assert.equal((await session.ask(markPath)).body, 'inner');
      assert.equal((await ask(outer.connect(daemon.socket), markPath)).body, 'outer');
      await session.close();
    });

    test('a process that entered with nsenter is one of the guest', async () => {
      const { guest, mark } = await registered();
      const credentials = process.getuid?.() === 0 ? [] : ['--preserve-credentials'];
      const script = `require('http').get({ socketPath: ${JSON.stringify(daemon.socket)}, path: '${markPath}' },
        (response) => response.pipe(process.stdout))`;
      const enter = ['-t', String(guest.pid), '-U', '-p', ...credentials, process.execPath, '-e', script];
      const { stdout, stderr } = await promisify(execFile)('nsenter', enter);
      assert.deepEqual([stdout, stderr], [mark, '']);
    });

    test('a process name means nothing', async () => {
      const { name } = await registered();
      const { guest, mark } = await registered();
      const disguised = guest.connect(daemon.socket, { name: `[lxc monitor] /var/lib/lxc ${name}` });
      assert.equal((await ask(disguised, markPath)).body, mark);
    });

    test('a process that connects, passes the connection on and exits still speaks for its instance', async () => {
      const { guest, mark } = await registered();
      const { socket, pid } = guest.connectFrom(daemon.socket, { child: true });
      const session = new Session(socket);
      assert.equal((await session.ask(markPath)).body, mark);
      process.kill(pid, 'SIGKILL');
      await eventually('the process that connected is gone', () => {
        guest.reap();
        return !existsSync(`/proc/${pid}`);
      });
      assert.equal((await session.ask(markPath)).body, mark);
      await session.close();
    });

    for (const dies of ['zombie', 'exit'] as const) {
      test(`a process that is dead (${dies}) before it is accepted is its own instance or nobody`, async () => {
        const { guest, mark } = await registered();
        // Stopped, so that the accept comes after the death.
        const socket = await whileStopped(() => guest.connect(daemon.socket, { dies }));
        const answer = await bodyOf(ask(socket, markPath));
        if (dies === 'zombie') assert.deepEqual(answer, { status: 200, body: mark });
        else assert.deepEqual(answer, unknown);
        guest.reap();
      });
    }

    reusing('a pid given to another guest before the accept does not speak for it', async () => {
      const [victim, attacker] = [await registered(), await registered()];
      const socket = await whileStopped(async () => {
        const dead = attacker.guest.connectFrom(daemon.socket, { dies: 'exit' });
        reuse(dead.pid, () => victim.guest.connectFrom(daemon.socket, { child: true }).pid);
        await pause(standstillMilliseconds);
        return dead.socket;
      });
      assert.deepEqual(await bodyOf(ask(socket, markPath)), unknown);
    });

    reusing('a connection of a guest that died does not speak for the guest that got its pid', async () => {
      const old = await registered();
      const session = new Session(old.guest.connect(daemon.socket));
      assert.equal((await session.ask(markPath)).body, old.mark);
      old.guest.kill();
      let next: Guest | undefined;
      reuse(old.guest.pid, () => {
        next = guests.one();
        return next.pid;
      });
      await daemon.register(`g${++count}`, old.guest.pid, { 'user.mark': 'next' });
      await assert.rejects(session.ask(markPath));
      assert.equal((await ask(next?.connect(daemon.socket) as Socket, markPath)).body, 'next');
      await session.close();
    });

    test('init is killed: the instance is stopped, its connections are closed, its namespace is nobody', async () => {
      const { guest, name } = await registered();
      const open = guest.connect(daemon.socket);
      const session = new Session(guest.connect(daemon.socket));
      assert.equal((await session.ask('/1.0')).status, 200);
      const closed = ended(open);
      guest.kill();
      await closed;
      await eventually('the instance is stopped', async () => (await daemon.status(name)) === 'Stopped');
      await assert.rejects(session.ask('/1.0'));
      await session.close();
    });

    test('a stopped instance is answered no more, and can be started again as another process', async () => {
      const { guest, name, mark } = await registered();
      await daemon.stopInstance(name);
      assert.deepEqual(await bodyOf(ask(guest.connect(daemon.socket), markPath)), unknown);
      const next = guests.one();
      await daemon.startInstance(name, next.pid);
      assert.equal((await ask(next.connect(daemon.socket), markPath)).body, mark);
      assert.deepEqual(await bodyOf(ask(guest.connect(daemon.socket), markPath)), unknown);
    });

    test('what cannot be registered is refused with the reason', async () => {
      await daemon.create('odd');
      const { guest } = await registered();
      const refusals: [number, RegExp][] = [
        [process.pid, /own pid namespace/],
        [guest.pid, /belongs to another running instance/],
        [4_000_000, /no process 4000000/],
      ];
      for (const [pid, sentence] of refusals) {
        await assert.rejects(
          daemon.startInstance('odd', pid),
          (error) => error instanceof ApiError && sentence.test(error.message),
        );
      }
      assert.equal(await daemon.status('odd'), 'Stopped');
    });

    test('more connections than an instance may have are closed, and others are not disturbed', async () => {
      const [greedy, other] = [await registered(), await registered()];
      const sockets = Array.from({ length: 200 }, () => greedy.guest.connect(daemon.socket));
      let closed = 0;
      for (const socket of sockets) ended(socket).then(() => closed++);
      await eventually('the surplus is closed', () => closed === 200 - 128);
      assert.equal((await ask(other.guest.connect(daemon.socket), markPath)).body, other.mark);
      for (const socket of sockets) socket.destroy();
      await eventually('there is room again', async () => {
        const answer = await ask(greedy.guest.connect(daemon.socket), markPath).catch(() => undefined);
        return answer?.body === greedy.mark;
      });
    });
  });
}
