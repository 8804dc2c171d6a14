import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type Unpacked, unpacked, unpackedFrom } from '../clients/unpacked.js';

export interface Parts {
  readonly kernel: string;
  /** vhost-device-vsock */
  readonly vsock: string;
}

/** What a machine is made of, downloaded once; or why it cannot be had. */
export function parts(): Parts | Error {
  if (spawnSync('qemu-system-x86_64', ['--version']).error) {
    return new Error('needs qemu-system-x86_64: apt-get install qemu-system-x86');
  }
  const kernel = unpacked('linux-amd64', [kernelPackage()]);
  const device = unpackedFrom('sid', 'vhost-device-vsock', ['vhost-device-vsock']);
  const problem = kernel.problem ?? device.problem;
  if (problem !== undefined) return new Error(problem);
  return { kernel: kernel.directory, vsock: join(device.directory, 'usr/bin/vhost-device-vsock') };
}

/** libvirt, with all that this host lacks for it. */
export function libvirt(): Unpacked {
  const wanted = ['libvirt-clients', 'libvirt-daemon', 'libvirt-daemon-driver-qemu', 'libvirt-daemon-system'];
  const words = ['--simulate', '--no-install-recommends', 'install', ...wanted];
  const { stdout } = spawnSync('apt-get', words, { encoding: 'utf8' });
  const lacking = [...(stdout ?? '').matchAll(/^Inst (\S+)/gm)].flatMap(([, name = '']) => name);
  return unpacked('libvirt', lacking.length === 0 ? wanted : lacking);
}

/** The package that the name without a version depends on. Not the one for clouds, which has no 9p. */
function kernelPackage(): string {
  const { stdout } = spawnSync('apt-cache', ['depends', 'linux-image-amd64'], { encoding: 'utf8' });
  return /Depends: (linux-image-[\w.-]+)/.exec(stdout ?? '')?.[1] ?? 'linux-image-amd64';
}
