// What the tests of ssh keys in cloud-config share: an instance, one key of it, and what the key looks like where it is put.
import type { Instance } from '../../src/model/instance.js';

export const vendor = 'cloud-init.vendor-data';
export const user = 'cloud-init.user-data';
export const key = { 'cloud-init.ssh-keys.a': 'root:ssh-ed25519 AAAA me' };

export function instance(config: Record<string, string>): Instance {
  return {
    id: 1,
    project: 'default',
    name: 'c1',
    createdAt: '',
    config: new Map(Object.entries(config)),
    devices: new Map(),
    description: '',
    profiles: [],
    type: 'container',
    guestState: 'Started',
    run: undefined,
  };
}

/** The lines of a key, and of one user with it. */
export const keyLines = `  ssh_authorized_keys:
  - "ssh-ed25519 AAAA me" #lxd:cloud-init.ssh-keys
`;
export const rootWithKey = `- name: "root"\n${keyLines}`;
