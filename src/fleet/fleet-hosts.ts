import type { EtcdConnection } from '../etcd/etcd-connection.js';
import type { FleetKeys } from './fleet-keys.js';

/** A host as the fleet knows it. */
export interface HostShown {
  readonly host: string;
  /**
   * in step: it has everything that is put for it; behind: not yet; held back: it waits for `devlxd source accept`;
   * away: it tells nothing, and its guests are served from what it has
   */
  readonly state: 'in step' | 'behind' | 'held back' | 'away';
  /** revision of the newest change that its guests were told; '': it is away */
  readonly applied: string;
  /** of the newest change that is meant for it */
  readonly wanted: string;
  readonly instances: number;
  readonly running: number;
  /** the first of what it cannot read or apply */
  readonly refused: readonly { readonly name: string; readonly why: string }[];
  /** why it holds changes back; '': it does not */
  readonly held: string;
  /** of devlxd */
  readonly version: string;
}

type Told = Omit<HostShown, 'host' | 'state' | 'wanted'>;

const nothing: Told = { applied: '', instances: 0, running: 0, refused: [], held: '', version: '' };

/** All hosts that are named in etcd, or tell something there, by name. */
export async function hostsOf(connection: EtcdConnection, keys: FleetKeys): Promise<HostShown[]> {
  const [shared, described, telling] = await Promise.all([
    connection.newest(keys.shared),
    connection.names(keys.hosts),
    connection.names(keys.statuses),
  ]);
  const names = [...new Set([...described, ...telling])].sort();
  const shown: HostShown[] = [];
  for (const host of names) {
    const [told, own] = await Promise.all([
      connection.get(keys.hostStatus(host)),
      connection.newest(keys.instances(host)),
    ]);
    shown.push(hostOf(host, told?.value, BigInt(own) > BigInt(shared) ? own : shared));
  }
  return shown;
}

function hostOf(host: string, value: Buffer | undefined, wanted: string): HostShown {
  if (value === undefined) return { host, state: 'away', wanted, ...nothing };
  const { applied, instances, running, refused, held, version } = { ...nothing, ...toldIn(value) };
  const isInStep = /^\d+$/.test(applied) && BigInt(applied) >= BigInt(wanted);
  const state = held !== '' ? 'held back' : isInStep ? 'in step' : 'behind';
  return { host, state, applied, wanted, instances, running, refused, held, version };
}

/** What a host has told may be of another version. */
function toldIn(value: Buffer): Partial<Told> {
  try {
    const found: unknown = JSON.parse(value.toString());
    return typeof found === 'object' && found !== null ? found : {};
  } catch {
    return {};
  }
}
