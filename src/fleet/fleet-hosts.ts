import type { EtcdConnection } from '../etcd/etcd-connection.js';
import { type Fields, isFields } from './desired.js';
import type { FleetKeys } from './fleet-keys.js';
import { each } from './fleet-part.js';
import type { WaveShown } from './waves.js';

/** A host as the fleet knows it. */
export interface HostShown {
  readonly host: string;
  /**
   * in step: it has everything that is put for it; behind: not yet; in a later wave: not before its turn has come; held
   * back: it waits for `devlxd source accept`; away: it tells nothing, and its guests are served from what it has
   */
  readonly state: 'in step' | 'behind' | 'in a later wave' | 'held back' | 'away';
  /** how long ago it was there for certain, seconds; 0: it is there; null: that is not known */
  readonly age: number | null;
  /** revision of the newest change that its guests were told; '': it is away */
  readonly applied: string;
  /** of the newest change that is meant for it */
  readonly wanted: string;
  readonly instances: number;
  readonly running: number;
  /** the first of what it cannot read or apply */
  readonly refused: readonly { readonly name: string; readonly why: string }[];
  /** the first of the changes that it takes later than others */
  readonly later: readonly WaveShown[];
  /** why it holds changes back; '': it does not */
  readonly held: string;
  /** of devlxd */
  readonly version: string;
}

/** What a host tells of itself. */
export type Told = Omit<HostShown, 'host' | 'state' | 'age' | 'wanted'>;

/** A revision is at most this long: it has 64 bits. */
const revisionForm = /^\d{1,20}$/;

const nothing: Told = { applied: '', instances: 0, running: 0, refused: [], later: [], held: '', version: '' };

/** All hosts that are named in etcd, or tell something there, by name. */
export async function hostsOf(connection: EtcdConnection, keys: FleetKeys): Promise<HostShown[]> {
  const [shared, described, telling] = await Promise.all([
    connection.newest(keys.shared),
    connection.names(keys.hosts),
    connection.names(keys.statuses),
  ]);
  const names = [...new Set([...described, ...telling])].sort();
  return each(names, async (host) => {
    const [told, seen, own] = await Promise.all([
      connection.get(keys.hostStatus(host)),
      connection.get(keys.seen(host)),
      connection.newest(keys.instances(host)),
    ]);
    const wanted = BigInt(own) > BigInt(shared) ? own : shared;
    return hostOf(host, told?.value, wanted, seen && ageOf(seen.value));
  });
}

function hostOf(host: string, value: Buffer | undefined, wanted: string, age: number | null = null): HostShown {
  if (value === undefined) return { host, state: 'away', age, wanted, ...nothing };
  const told = toldIn(value);
  const { applied, later, held } = told;
  const isInStep = hasApplied(applied, wanted);
  const state = held !== '' ? 'held back' : isInStep ? 'in step' : later.length > 0 ? 'in a later wave' : 'behind';
  return { host, state, age: 0, wanted, ...told };
}

/** By the clocks of the host and of this machine. */
function ageOf(value: Buffer): number | null {
  const { at: told } = objectIn(value);
  const at = typeof told === 'string' ? Date.parse(told) : Number.NaN;
  return Number.isNaN(at) ? null : Math.max(1, Math.round((Date.now() - at) / 1000));
}

/** What a host has told may be of another version, or a lie. */
export function toldIn(value: Buffer): Told {
  const found = objectIn(value);
  const known = Object.entries(nothing).map(([field, none]) => {
    const given = found[field];
    if (Array.isArray(none)) return [field, listIn(given, field === 'refused' ? isRefusal : isWave)];
    return [field, typeof given === typeof none ? given : none];
  });
  return Object.fromEntries(known) as Told;
}

function listIn(given: unknown, isOne: (each: Fields) => boolean): Fields[] {
  return Array.isArray(given) ? given.filter((each): each is Fields => isFields(each) && isOne(each)) : [];
}

function isRefusal({ name, why }: Fields): boolean {
  return typeof name === 'string' && typeof why === 'string';
}

function isWave({ name, wave, waves, stopped }: Fields): boolean {
  const numbers = [wave, waves].every((each) => typeof each === 'number');
  return typeof name === 'string' && numbers && typeof stopped === 'boolean';
}

/** An object that was told in JSON; an empty one of what is none. */
export function objectIn(value: Buffer): Fields {
  try {
    const found: unknown = JSON.parse(value.toString());
    return isFields(found) ? found : {};
  } catch {
    return {};
  }
}

/** Is everything applied that was put up to a revision? */
export function hasApplied(applied: string, revision: string): boolean {
  return revisionForm.test(applied) && BigInt(applied) >= BigInt(revision);
}
