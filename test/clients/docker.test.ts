// Real docker and containerd of Debian, each started here, with devlxd-runc as their runtime.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { packageRoot } from '../../src/package-root.js';
import { TestDaemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { hasDocker, type Service, startContainerd, startDocker } from './docker.js';
import { makeRootFileSystem, missingProgram } from './root-file-system.js';

const ask = 'curl -s --unix-socket /dev/lxd/sock http://lxd/1.0/config/user.mark';
const image = 'devlxd-test';
const missing = missingProgram() ?? hasDocker();

describe('docker and containerd', { skip: missing ?? false }, () => {
  let daemon: TestDaemon;
  let directory: string;
  let docker: Service;
  let problem: string | undefined;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'devlxd-docker-'));
    chmodSync(directory, 0o755);
    const root = join(directory, 'root');
    makeRootFileSystem(root, { ask: `#!/bin/sh\nexport PATH=/bin\n${ask}\nexec ${ask}\n` });
    spawnSync('tar', ['-C', root, '-cf', join(directory, 'image.tar'), '.']);
    daemon = await TestDaemon.start();
    ({ docker, problem } = await startDocker(join(directory, 'docker'), daemon.runDir));
    if (problem !== undefined) return;
    const imported = await docker.run(['docker', 'import', join(directory, 'image.tar'), image]);
    assert.equal(imported.code, 0, imported.output);
  });

  after(async () => {
    await docker?.stop();
    await daemon.remove();
    spawnSync('umount', ['-R', '-q', '-l', join(directory, 'docker/data')]);
    rmSync(directory, { recursive: true, force: true });
  });

  function cannotRun(t: TestContext): boolean {
    if (problem === undefined) return false;
    t.skip(`dockerd does not run here: ${problem}`);
    return true;
  }

  const guestDirectory = (): string => `${join(daemon.runDir, 'guest')}:/dev/lxd:ro`;

  async function start(...words: string[]): Promise<string> {
    const options = ['--runtime', 'devlxd', '--network', 'none', '-v', guestDirectory(), '-e', 'PATH=/bin'];
    const ran = await docker.run(['docker', 'run', '-d', ...options, ...words]);
    assert.equal(ran.code, 0, ran.output);
    return ran.output.trim();
  }

  const endless = [image, '/bin/sh', '-c', 'while :; do head -c 1 /proc/self/mem 2>/dev/null; busybox sleep 1; done'];
  const instanceOf = (id: string): string => `oci-${id.slice(0, 12)}`;
  const inside = (id: string, words: string) => docker.run(['docker', 'exec', id, '/bin/sh', '-c', words]);

  test('a container of docker is an instance while it runs, and its programs are its guests', async (t) => {
    if (cannotRun(t)) return;
    const ids = [await start(...endless), await start(...endless)];
    for (const id of ids) {
      assert.equal(await daemon.status(instanceOf(id)), 'Running');
      await daemon.set(instanceOf(id), { 'user.mark': `of ${id}` });
    }
    for (const id of ids) assert.deepEqual(await inside(id, ask), { code: 0, output: `of ${id}` });
    const [first = '', second = ''] = ids;
    assert.equal((await docker.run(['docker', 'restart', '-t', '0', first])).code, 0);
    assert.equal(await daemon.status(instanceOf(first)), 'Running');
    assert.equal((await docker.run(['docker', 'rm', '-f', first])).code, 0);
    await eventually('it is forgotten', () =>
      daemon.status(instanceOf(first)).then(
        () => false,
        () => true,
      ),
    );
    assert.deepEqual(await inside(second, ask), { code: 0, output: `of ${second}` });
    await docker.run(['docker', 'rm', '-f', second]);
  });

  test('containers of docker with the pid namespace of the host or of another start', async (t) => {
    if (cannotRun(t)) return;
    const first = await start(...endless);
    await daemon.set(instanceOf(first), { 'user.mark': 'of the first' });
    const shared = await start('--pid', `container:${first}`, ...endless);
    const host = await start('--pid', 'host', ...endless);
    for (const id of [shared, host]) await assert.rejects(daemon.status(instanceOf(id)), /not found/);
    assert.deepEqual(await inside(shared, ask), { code: 0, output: 'of the first' }); // of that namespace
    await docker.run(['docker', 'rm', '-f', host, shared]);
    assert.equal(await daemon.status(instanceOf(first)), 'Running');
    await docker.run(['docker', 'rm', '-f', first]);
  });

  test('docker shows the exit code of a container, and its own errors', async (t) => {
    if (cannotRun(t)) return;
    const run = ['docker', 'run', '--rm', '--runtime', 'devlxd', '--network', 'none', image];
    assert.equal((await docker.run([...run, '/bin/sh', '-c', 'exit 42'])).code, 42);
    const failed = await docker.run([...run, '/bin/nothing']);
    assert.equal(failed.code, 127);
    assert.match(failed.output, /no such file or directory/);
  });

  test('a container of containerd alone is an instance, named by its id', async (t) => {
    const { containerd, problem: reason } = await startContainerd(join(directory, 'containerd'));
    t.after(() => containerd.stop());
    if (reason !== undefined) return t.skip(`containerd does not run here: ${reason}`);
    const wrapper = join(directory, 'runc-here');
    writeFileSync(
      wrapper,
      `#!/bin/sh\nexec ${join(packageRoot, 'bin/devlxd-runc')} --devlxd-run-dir=${daemon.runDir} "$@"\n`,
    );
    chmodSync(wrapper, 0o755);
    const mount = `type=bind,src=${join(daemon.runDir, 'guest')},dst=/dev/lxd,options=rbind:ro`;
    const options = ['--rootfs', '--runc-binary', wrapper, '--mount', mount];
    const root = join(directory, 'root');
    const annotated = ['--annotation', 'devlxd.name=web1', '--annotation', 'devlxd.config.user.mark=annotated'];
    const ran = await containerd.run(['ctr', 'run', '--rm', ...options, ...annotated, root, 'my_box', '/bin/ask']);
    if (/cgroup/.test(ran.output)) return t.skip(`containerd cannot run containers here: ${ran.output.trim()}`);
    assert.deepEqual(ran, { code: 0, output: 'annotatedannotated' });
    await eventually('it is forgotten', () =>
      daemon.status('web1').then(
        () => false,
        () => true,
      ),
    );
    const plain = await containerd.run(['ctr', 'run', '--rm', ...options, root, 'my_box', '/bin/ask']);
    assert.equal(plain.code, 0, plain.output);
    assert.equal(daemon.log.filter(({ instance }) => instance === 'x--my-5fbox').length > 0, true);
  });
});
