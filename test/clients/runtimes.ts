import { lxc } from './lxc.js';
import { nspawn } from './nspawn.js';
import { crun, oci } from './oci.js';
import { podman } from './podman.js';
import type { Runtime } from './runtime.js';

const unprivileged = 1_000_000;

export const runtimes: readonly Runtime[] = [
  lxc('LXC', 0),
  lxc('LXC with an id map', unprivileged),
  oci('runc', ['runc'], [], 0),
  oci('runc with an id map', ['runc'], [], unprivileged),
  oci('crun', crun, ['--cgroup-manager=disabled'], 0),
  oci('crun with an id map', crun, ['--cgroup-manager=disabled'], unprivileged),
  podman,
  nspawn,
];
