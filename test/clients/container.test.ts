// Real containers of real runtimes: a minimal root file system, the guest directory mounted at /dev/lxd.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { packageRoot } from '../../src/package-root.js';
import { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { debianCloudInit } from './debian-cloud-init.js';
import { makeRootFileSystem, missingProgram } from './root-file-system.js';
import { type Container, devLxd, type Runtime } from './runtime.js';
import { runtimes } from './runtimes.js';

/** What a container's init does; it asks before it is registered. */
const scripts = {
  boot: `#!/bin/sh
export PATH=/bin
read -r line </proc/self/uid_map
echo $line >/out/uid_map
curl -s --unix-socket /dev/lxd/sock http://lxd/1.0/config/user.mark >/out/mark
curl -s --unix-socket /dev/lxd/sock http://lxd/1.0/meta-data >/out/meta-data
curl -sN --unix-socket /dev/lxd/sock http://lxd/1.0/events | head -n 1 >/out/event
`,
  'boot-cloud-init': `#!/bin/sh
export PATH=/usr/bin:/bin PYTHONPATH=/cloud-init/usr/lib/python3/dist-packages PYTHONDONTWRITEBYTECODE=1
export PATH_RUN=/out/run PATH_SYS_CLASS_DMI_ID=/nonexistent DI_LOG=/out/log
python3 -m cloudinit.sources.DataSourceLXD >/out/data &&
/usr/bin/sh /cloud-init/usr/lib/cloud-init/ds-identify --force
`,
};

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
    makeRootFileSystem(rootFileSystem, scripts);
    daemon = await TestDaemon.start(['--limit-hold-seconds', '30']);
  });

  after(async () => {
    await daemon.remove();
    rmSync(directory, { recursive: true });
  });

  let count = 0;
  function container(command: string, more: Container['mounts'] = []): Container {
    const name = `c${++count}`;
    const own = join(directory, name);
    const out = join(own, 'out');
    mkdirSync(out, { recursive: true });
    chmodSync(out, 0o777); // the container's root may be another uid
    const mounts = [{ source: out, target: '/out', writable: true }, ...more];
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
  async function booted(runtime: Runtime, t: TestContext, script: string, mounts: Container['mounts'] = []) {
    const made = container(`/bin/${script}`, [devLxd(daemon.runDir), ...mounts]);
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
    const booted: Booted = { name: made.name, ended: () => ended, read };
    return booted;
  }

  /** A container whose runtime registers it with the daemon of a run directory. */
  function hooked(runtime: Runtime, t: TestContext, script: string, runDir = daemon.runDir, onError = 'fail'): Booted {
    const { name, ...rest } = container(`/bin/${script}`, [devLxd(daemon.runDir)]);
    const program = join(packageRoot, 'build/Release/devlxd-hook');
    const made = { name, ...rest, hook: { program, runDir, onError, config: { 'user.mark': markOf(name) } } };
    let ended: Ended | undefined;
    const end = endOf(runtime.run(made)).then((result) => {
      ended = result;
    });
    t.after(async () => {
      const pid = ended === undefined ? runtime.initOf(made) : undefined;
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      await end;
    });
    return { name, ended: () => ended, read: (file) => readFileSync(join(made.directory, 'out', file), 'utf8') };
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
      const both = [await booted(runtime, t, 'boot'), await booted(runtime, t, 'boot')];
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

    test(`${runtime.name}: its hook registers a container before it begins, and unregisters it`, async (t) => {
      const reason = await obstacle(runtime);
      if (reason !== undefined) return t.skip(reason);
      const { name, ended, read } = hooked(runtime, t, 'boot');
      let changes = 0;
      await eventually('it has heard an event and ended', async () => {
        if (ended() !== undefined) return true;
        const known = await daemon.status(name).catch(() => undefined);
        if (known === 'Running') await daemon.set(name, { 'user.change': String(++changes) }).catch(unlessGone);
        return false;
      });
      assert.equal(ended()?.code, 0, ended()?.output);
      assert.equal(read('mark'), markOf(name));
      assert.equal(JSON.parse(read('event')).metadata.key, 'user.change');
      assert.doesNotMatch(ended()?.output ?? '', /hook/i); // none of them has failed
      if (runtime.deletes) await assert.rejects(daemon.status(name), /not found/);
      else assert.equal(await daemon.status(name), 'Stopped');
    });

    test(`${runtime.name}: a hook that finds no daemon keeps a container from starting, where it is told to`, async (t) => {
      const reason = await obstacle(runtime);
      if (reason !== undefined) return t.skip(reason);
      const { ended, read } = hooked(runtime, t, 'boot', join(directory, 'nowhere'));
      await eventually('it has ended', () => ended() !== undefined);
      assert.notEqual(ended()?.code, 0);
      assert.match(ended()?.output ?? '', runtime.hidesHooks ?? /no devlxd runs here/);
      assert.throws(() => read('mark'), { code: 'ENOENT' });
    });

    test(`${runtime.name}: a container starts where its hook finds no daemon`, async (t) => {
      const reason = await obstacle(runtime);
      if (reason !== undefined) return t.skip(reason);
      const { ended } = hooked(runtime, t, 'true', join(directory, 'nowhere'), 'ignore');
      await eventually('it has ended', () => ended() !== undefined);
      assert.equal(ended()?.code, 0, ended()?.output);
    });

    test(`${runtime.name}: cloud-init, with the machine's own /usr, finds its data source`, async (t) => {
      const cloudInit = debianCloudInit();
      const reason = cloudInit.problem ?? (await obstacle(runtime));
      if (reason !== undefined) return t.skip(reason);
      const mounts = [
        { source: '/usr', target: '/usr' },
        { source: cloudInit.directory, target: '/cloud-init' },
      ];
      const { name, ended, read } = await booted(runtime, t, 'boot-cloud-init', mounts);
      await eventually('cloud-init has ended', () => ended() !== undefined);
      assert.equal(ended()?.code, 0, ended()?.output);
      const { config, 'meta-data': metaData } = JSON.parse(read('data'));
      assert.deepEqual(config, { 'user.mark': markOf(name) });
      assert.match(metaData, new RegExp(`^local-hostname: ${name}$`, 'm'));
      assert.equal(read('run/cloud-init/cloud.cfg'), 'datasource_list: [ LXD, None ]\n');
    });
  }
});

/** A container may end, and be deleted, between two requests. */
function unlessGone(error: Error): void {
  assert.match(error.message, /not found/);
}
