import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { annotationsOf, argumentsOf, pidIn, withCgroup2 } from './oci.js';
import { type Container, type Hook, piped, type Runtime } from './runtime.js';

/** Podman, with crun: no network, no cgroups, and a storage that ends with the container's directory. */
export const podman: Runtime = {
  name: 'podman',
  rootUid: 0,
  deletes: true,
  hidesHooks: /error executing hook/,
  missing: () => {
    const { error } = spawnSync('podman', ['--version']);
    return error && `needs podman (apt-get install podman): ${error.message}`;
  },
  run: (container) => {
    const [first = '', ...others] = [...withCgroup2, 'podman', ...globalOptions(container), ...runOptions(container)];
    return spawn(first, others, { stdio: piped });
  },
  initOf: (container) => (existsSync(pidFile(container)) ? pidIn(pidFile(container)) : undefined),
};

function pidFile({ directory }: Container): string {
  return join(directory, 'pid');
}

function globalOptions({ directory, hook }: Container): string[] {
  const hooks = join(directory, 'hooks');
  mkdirSync(hooks);
  if (hook !== undefined) writeFileSync(join(hooks, 'devlxd.json'), JSON.stringify(hookFile(hook)));
  const storage = [
    '--root',
    join(directory, 'storage'),
    '--runroot',
    join(directory, 'run'),
    '--storage-driver',
    'vfs',
  ];
  return [...storage, '--cgroup-manager', 'cgroupfs', '--hooks-dir', hooks];
}

/** oci-hooks(5) */
function hookFile(hook: Hook): object {
  return {
    version: '1.0.0',
    hook: { path: hook.program, args: argumentsOf(hook) },
    when: { always: true },
    stages: ['createRuntime', 'poststop'],
  };
}

function runOptions(container: Container): string[] {
  const { name, rootFileSystem, mounts, command, hook } = container;
  const annotations = hook === undefined ? {} : { 'devlxd.name': name, ...annotationsOf(hook) };
  return [
    ...['run', '--rm', '--name', name, '--network', 'none', '--cgroups', 'disabled', '--pidfile', pidFile(container)],
    // Those of the machine may be lower than what podman asks for.
    ...['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024', '--read-only'],
    ...Object.entries(annotations).flatMap(([key, value]) => ['--annotation', `${key}=${value}`]),
    ...mounts.flatMap(({ source, target, writable, options = [] }) => [
      '-v',
      `${source}:${target}:${[writable ? 'rw' : 'ro', ...options].join()}`,
    ]),
    ...['--rootfs', rootFileSystem, ...command],
  ];
}
