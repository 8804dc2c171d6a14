import { lastOf } from '../model/guest-events.js';
import type {
  Device,
  Devices,
  GuestState,
  Instance,
  InstanceType,
  Profile,
  Project,
  Run,
  SourceName,
} from '../model/instance.js';
import type { Rows } from './store-worker.js';

/** Everything that is stored, but the events. */
export interface Loaded {
  readonly instances: Instance[];
  readonly profiles: Profile[];
  readonly projects: Project[];
  /** timestamp of the last event of all; undefined when there was none */
  readonly lastEvent: string | undefined;
}

/** The model that these rows hold. */
export function loadedOf(rows: Rows): Loaded {
  const profiles = rows.profiles.map(profileOf);
  return {
    instances: instancesOf(rows, new Map(profiles.map((profile) => [profile.id, profile]))),
    profiles,
    projects: rows.projects.map(projectOf),
    lastEvent: lastOf([rows.lastEvent ?? '', ...profiles.map(({ changedAt }) => changedAt)]),
  };
}

function instancesOf({ instances, keys, devices }: Rows, profiles: ReadonlyMap<number, Profile>): Instance[] {
  const configs = new Map<number, Map<string, string>>();
  for (const [id, key, value] of keys) bucket(configs, id).set(key, value);
  const deviceMaps = new Map<number, Map<string, Device>>();
  for (const [id, name, options] of devices) bucket(deviceMaps, id).set(name, new Map(JSON.parse(options)));
  return instances.map(
    ([id, project, name, description, createdAt, used, guestState, pid, startTicks, bootId, source, type, cid]) => ({
      id,
      project,
      name,
      type: type as InstanceType,
      description,
      createdAt,
      profiles: (JSON.parse(used) as number[]).map((profile) => profiles.get(profile) ?? missing(profile, name)),
      guestState: guestState as GuestState,
      config: configs.get(id) ?? new Map(),
      devices: deviceMaps.get(id) ?? new Map(),
      run: pid === null ? undefined : runOf(pid, startTicks, bootId, cid),
      ...(source === '' ? {} : { source: source as SourceName }),
    }),
  );
}

function runOf(pid: number, startTicks: number | null, bootId: string | null, cid: number | null): Run {
  return { pid, startTicks: startTicks ?? 0, bootId: bootId ?? '', ...(cid === null ? {} : { cid }) };
}

function profileOf([
  id,
  project,
  name,
  description,
  config,
  devices,
  changedAt,
  source,
]: Rows['profiles'][number]): Profile {
  const given = { config: new Map<string, string>(JSON.parse(config)), devices: devicesOf(devices) };
  const whose = source === 'etcd' ? { source: 'etcd' as const } : {};
  return { id, project, name, description, ...given, changedAt, ...whose };
}

function projectOf([id, name, description, config]: Rows['projects'][number]): Project {
  return { id, project: '', name, description, config: new Map(JSON.parse(config)) };
}

function devicesOf(text: string): Devices {
  const entries = JSON.parse(text) as [string, [string, string][]][];
  return new Map(entries.map(([name, options]) => [name, new Map(options)]));
}

function missing(profile: number, instance: string): never {
  throw new Error(`there is no profile ${profile}, which instance ${instance} has`);
}

function bucket<Value>(maps: Map<number, Map<string, Value>>, id: number): Map<string, Value> {
  const known = maps.get(id);
  if (known !== undefined) return known;
  const made = new Map<string, Value>();
  maps.set(id, made);
  return made;
}
