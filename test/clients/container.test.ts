// Real containers of real runtimes: a minimal root file system, the guest directory mounted at /dev/lxd.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { makeRootFileSystem, missingProgram } from './root-file-system.js';
import type { Container, Runtime } from './runtime.js';
import { runtimes } from './runtimes.js';

/** What the container's init does; it asks before it is registered. */
const boot = `#!/bin/sh
export PATH=/bin
read -r line </proc/self/uid_map
echo $line >/out/uid_map
curl -s --unix-socket /dev/lxd/sock http://lxd/1.0/config/user.mark >/out/mark
curl -s --unix-socket /dev/lxd/sock http://lxd/1.0/meta-data >/out/meta-data
curl -sN --unix-socket /dev/lxd/sock http://lxd/1.0/events | head -n 1 >/out/event
`;

interface Ended {
  readonly code: number | null;
  /** both streams, which runtimes use as they like */
  readonly output: string;
}

async function endOf(child: ChildProcess): Promise<Ended> {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

const markOf = (name: string): string => `mark of ${name}: ☃`;

const missing = missingProgram() ?? (process.getuid?.() === 0 ? undefined : 'needs root, to run containers');

describe('containers', { skip: missing ?? false }, () => {
  let daemon: TestDaemon;
  let directory: string;
  let rootFileSystem: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'devlxd-containers-'));
    chmodSync(directory, 0o755);
    rootFileSystem = join(directory, 'root');
    makeRootFileSystem(rootFileSystem, boot);
    daemon = await TestDaemon.start(['--limit-hold-seconds', '30']);
  });

  after(async () => {
    await daemon.remove();
    rmSync(directory, { recursive: true });
  });

  let count = 0;
  function container(command: string): Container {
    const name = `c${++count}`;
    const own = join(directory, name);
    const out = join(own, 'out');
    mkdirSync(out, { recursive: true });
    chmodSync(out, 0o777); // the container's root may be another uid
    const mounts = [{ source: out, target: '/out', writable: true }];
    return { name, directory: own, rootFileSystem, mounts, command: [command] };
  }

  /** Why a runtime cannot run any container on this machine, in its own words. */
  async function obstacle({ missing, run }: Runtime): Promise<string | undefined> {
    const reason = missing();
    if (reason !== undefined) return reason;
    const { code, output } = await endOf(run(container('/bin/true')));
    return code === 0 ? undefined : `cannot run containers here: ${output.trim()}`;
  }

  interface Booted {
    readonly name: string;
    readonly ended: () => Ended | undefined;
    /** what its init has written */
    readonly read: (file: string) => string;
  }

  /** A container that is registered, with a mark of its own, after its init has begun. */
  async function booted(runtime: Runtime, t: TestContext): Promise<Booted> {
    const { mounts, ...plain } = container('/bin/boot');
    const devLxd = { source: join(daemon.runDir, 'guest'), target: '/dev/lxd' };
    const made: Container = { ...plain, mounts: [...mounts, devLxd] };
    await daemon.create(made.name, { 'user.mark': markOf(made.name) });
    let ended: Ended | undefined;
    const end = endOf(runtime.run(made)).then((result) => {
      ended = result;
    });
    const pid = await initOf(runtime, made, () => ended);
    t.after(async () => {
      if (ended === undefined) process.kill(pid, 'SIGKILL');
      await end;
    });
    await daemon.startInstance(made.name, pid);
    const read = (file: string) => readFileSync(join(made.directory, 'out', file), 'utf8');
    return { name: made.name, ended: () => ended, read };
  }

  async function initOf(runtime: Runtime, made: Container, ended: () => Ended | undefined): Promise<number> {
    let pid: number | undefined;
    await eventually(`${made.name} has an init`, () => {
      assert.equal(ended(), undefined, ended()?.output);
      pid = runtime.initOf(made);
      return pid !== undefined;
    });
    return pid as number;
  }

  for (const runtime of runtimes) {
    test(`${runtime.name}: two containers read each their own values and hear each their own events`, async (t) => {
      const reason = await obstacle(runtime);
      if (reason !== undefined) return t.skip(reason);
      const both = [await booted(runtime, t), await booted(runtime, t)];
      let changes = 0;
      await eventually('both have heard an event and ended', async () => {
        changes++;
        const listening = both.filter(({ ended }) => ended() === undefined);
        for (const { name } of listening) await daemon.set(name, { 'user.change': `${changes} of ${name}` });
        return listening.length === 0;
      });
      for (const { name, ended, read } of both) {
        assert.equal(ended()?.code, 0, ended()?.output);
        assert.match(read('uid_map'), new RegExp(`^0 ${runtime.rootUid} `));
        assert.equal(read('mark'), markOf(name));
        assert.match(read('meta-data'), new RegExp(`^local-hostname: ${name}$`, 'm'));
        const { type, metadata } = JSON.parse(read('event'));
        assert.deepEqual([type, metadata.key], ['config', 'user.change']);
        assert.match(metadata.value, new RegExp(`^\\d+ of ${name}$`));
        await eventually(`${name} is stopped`, async () => (await daemon.status(name)) === 'Stopped');
      }
    });
  }
});
