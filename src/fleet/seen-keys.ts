import type { KeyValue } from '../etcd/etcd-messages.js';
import { keyOf } from '../instances/record-table.js';
import type { FleetKeys } from './fleet-keys.js';

/** A key of the fleet as it was seen. */
export interface SeenKey {
  readonly key: string;
  /** with the revision of its deletion, where it is gone */
  readonly kv: KeyValue;
  readonly isGone: boolean;
}

/** What a key describes. project: '' of projects themselves; host: of instances alone */
export interface Described {
  readonly kind: 'project' | 'profile' | 'instance';
  readonly project: string;
  readonly name: string;
  readonly host: string;
}

/** undefined: nothing that is a record */
export function describedBy(keys: FleetKeys, key: string): Described | undefined {
  if (key.startsWith(keys.shared)) {
    const [kind, first = '', second = '', ...more] = key.slice(keys.shared.length).split('/');
    if (kind === 'project' && first !== '' && second === '') return { kind, project: '', name: first, host: '' };
    const isProfile = kind === 'profile' && first !== '' && second !== '' && more.length === 0;
    return isProfile ? { kind, project: first, name: second, host: '' } : undefined;
  }
  if (!key.startsWith(keys.hosts)) return undefined;
  const parts = key.slice(keys.hosts.length).split('/');
  const [host = '', kind, project = '', name = ''] = parts;
  if (kind !== 'instance' || parts.length !== 4 || parts.includes('')) return undefined;
  return { kind, project, name, host };
}

/** As it is called in the log. */
export function titleOf({ kind, project, name, host }: Described): string {
  if (kind === 'project') return `project ${name}`;
  return `${kind} ${keyOf(project, name)}${host === '' ? '' : ` on ${host}`}`;
}
