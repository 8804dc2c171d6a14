import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Container, type Hook, idCount, piped, type Runtime } from './runtime.js';

/** runc or crun: command is the program, and what it has to be run with. */
export function oci(name: string, command: readonly string[], more: readonly string[], rootUid: number): Runtime {
  const program = command.at(-1) ?? '';
  const pidFile = ({ directory }: Container) => join(directory, 'pid');
  return {
    name,
    rootUid,
    deletes: true,
    ...(program === 'crun' ? { hidesHooks: /error executing hook/ } : {}),
    missing: () => {
      const { error } = spawnSync(program, ['--version']);
      return error && `needs ${program} (apt-get install ${program}): ${error.message}`;
    },
    run: (container) => {
      const { directory } = container;
      writeFileSync(join(directory, 'config.json'), JSON.stringify(ociConfiguration(container, rootUid)));
      const global = ['--root', join(directory, 'state'), ...more];
      const words = ['run', '--bundle', directory, '--pid-file', pidFile(container), container.name];
      const [first = '', ...others] = [...command, ...global, ...words];
      return spawn(first, others, { stdio: piped });
    },
    initOf: (container) => (existsSync(pidFile(container)) ? pidIn(pidFile(container)) : undefined),
  };
}

export function pidIn(file: string): number | undefined {
  return Number.parseInt(readFileSync(file, 'utf8'), 10) || undefined;
}

function ociConfiguration({ name, rootFileSystem, mounts, command, hook }: Container, rootUid: number): object {
  const map = [{ containerID: 0, hostID: rootUid, size: idCount }];
  const namespaces = ['pid', 'mount', 'ipc', 'uts', ...(rootUid === 0 ? [] : ['user'])];
  return {
    ociVersion: '1.0.0',
    hostname: name,
    root: { path: rootFileSystem, readonly: true },
    process: { user: { uid: 0, gid: 0 }, cwd: '/', env: ['PATH=/bin'], args: command },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
      ...mounts.map(({ source, target, writable, options = [] }) => ({
        destination: target,
        type: 'bind',
        source,
        options: ['bind', writable ? 'rw' : 'ro', ...options],
      })),
    ],
    ...(hook === undefined ? {} : { annotations: annotationsOf(hook), hooks: hooksOf(hook) }),
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      ...(rootUid === 0 ? {} : { uidMappings: map, gidMappings: map }),
    },
  };
}

export function annotationsOf({ config }: Hook): Record<string, string> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [`devlxd.config.${key}`, value]));
}

/** The words of the hook; as execve(2) has them, with its name first. */
export function argumentsOf({ runDir, onError }: Hook): string[] {
  return ['devlxd-hook', '--run-dir', runDir, '--on-error', onError, 'oci'];
}

function hooksOf(hook: Hook): object {
  const called = [{ path: hook.program, args: argumentsOf(hook) }];
  return { createRuntime: called, poststop: called };
}

// crun refuses to run where both versions of cgroups are mounted; it needs none here.
const onlyCgroup2 =
  'if [ -e /sys/fs/cgroup/unified ]; then umount -l /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; fi; exec "$@"';
export const withCgroup2 = ['unshare', '--mount', '/bin/sh', '-c', onlyCgroup2, 'sh'];
export const crun = [...withCgroup2, 'crun'];
