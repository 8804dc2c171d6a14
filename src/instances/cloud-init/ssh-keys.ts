import type { Config } from '../../model/instance.js';

/** What one user of an instance is to have. */
export interface UserKeys {
  readonly user: string;
  /** whole public keys, as authorized_keys(5) has them */
  readonly publicKeys: readonly string[];
  /** ids of keys to import, as gh:NAME */
  readonly importIds: readonly string[];
}

const prefix = 'cloud-init.ssh-keys.';

export function isSshKey(key: string): boolean {
  return key.startsWith(prefix);
}

/** cloud-init.ssh-keys.NAME = USER:KEY. A key without a space is the id of one to import. A value without a colon is none. */
export function sshKeysOf(config: Config): UserKeys[] {
  const users = new Map<string, { user: string; publicKeys: string[]; importIds: string[] }>();
  for (const name of [...config.keys()].filter(isSshKey).sort()) {
    const value = config.get(name) ?? '';
    const colon = value.indexOf(':');
    if (colon < 1) continue;
    const user = value.slice(0, colon);
    const sshKey = value.slice(colon + 1).trim();
    if (sshKey === '') continue;
    const keys = users.get(user) ?? { user, publicKeys: [], importIds: [] };
    users.set(user, keys);
    const list = sshKey.includes(' ') ? keys.publicKeys : keys.importIds;
    if (!list.includes(sshKey)) list.push(sshKey);
  }
  return [...users.values()];
}
