import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assignments, type Container, idCount, piped, type Runtime } from './runtime.js';
import { type Unpacked, unpacked } from './unpacked.js';

export function lxc(name: string, rootUid: number): Runtime {
  return {
    name,
    rootUid,
    hidesHooks: /Failed to run lxc\.hook\.start-host/,
    missing: () => lxcPackages().problem,
    run: (container) => {
      const directory = join(container.directory, container.name);
      mkdirSync(directory);
      writeFileSync(join(directory, 'config'), [...lxcConfiguration(container, rootUid), ''].join('\n'));
      mkdirSync(join(container.directory, 'mount'));
      const words = ['--lxcpath', container.directory, '--name', container.name, '--foreground'];
      return spawn(lxcProgram('lxc-start'), words, { stdio: piped, env: lxcEnvironment() });
    },
    initOf: (container) => {
      const words = ['--lxcpath', container.directory, '--name', container.name, '--pid', '--no-humanize'];
      const ran = spawnSync(lxcProgram('lxc-info'), words, { encoding: 'utf8', env: lxcEnvironment() });
      return Number.parseInt(ran.stdout, 10) || undefined;
    },
  };
}

let lxcUnpacked: Unpacked | undefined;

/** Unpacked: to install it would bring a bridge, dnsmasq and services to the machine. */
function lxcPackages(): Unpacked {
  lxcUnpacked ??= unpacked('lxc', ['lxc', 'liblxc1', 'libapparmor1', 'libcap2', 'libseccomp2', 'libselinux1']);
  return lxcUnpacked;
}

function lxcProgram(name: string): string {
  return join(lxcPackages().directory, 'usr/bin', name);
}

function lxcEnvironment(): NodeJS.ProcessEnv {
  const { directory } = lxcPackages();
  const folders = ['lib', 'usr/lib'].map((folder) => join(directory, folder)).filter(existsSync);
  const libraries = folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
  // Without newuidmap in its PATH, LXC writes the id maps itself; that would want root's in /etc/subuid.
  return { LD_LIBRARY_PATH: libraries.join(':'), PATH: '/nonexistent' };
}

function lxcConfiguration(container: Container, rootUid: number): string[] {
  const { name, directory, rootFileSystem, mounts, command, hook } = container;
  const called = hook && `${hook.program} --run-dir ${hook.runDir} --on-error ${hook.onError} lxc`;
  const words = hook && assignments(hook).map((word) => `'${word}'`);
  const mapped = rootUid === 0 ? [] : ['u', 'g'];
  return [
    `lxc.uts.name = ${name}`,
    `lxc.rootfs.path = dir:${rootFileSystem}`,
    `lxc.rootfs.mount = ${directory}/mount`,
    'lxc.net.0.type = empty',
    'lxc.mount.auto = proc:mixed',
    'lxc.autodev = 1',
    ...mapped.map((kind) => `lxc.idmap = ${kind} 0 ${rootUid} ${idCount}`),
    ...(called === undefined
      ? []
      : [`lxc.hook.start-host = ${[called, ...(words ?? [])].join(' ')}`, `lxc.hook.stop = ${called}`]),
    `lxc.init.cmd = ${command.join(' ')}`,
    ...mounts.map(({ source, target, writable, options: more = [] }) => {
      const options = ['bind', writable ? 'rw' : 'ro', ...more, 'create=dir'].join();
      return `lxc.mount.entry = ${source} ${target.slice(1)} none ${options} 0 0`;
    }),
  ];
}
