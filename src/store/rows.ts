import { lastOf } from '../model/guest-events.js';
import type {
  Config,
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
import { readWith } from '../model/seed.js';
import type { Rows } from './store-worker.js';
import type { InstanceRows } from './stored-instances.js';

/** Everything that is stored, but the events. */
export interface Loaded {
  readonly instances: Instance[];
  readonly profiles: Profile[];
  readonly projects: Project[];
  /** ids of instances that an older version of devlxd has written, which knew no seeds */
  readonly seedless: Set<number>;
  /** timestamp of the last event of all; undefined when there was none */
  readonly lastEvent: string | undefined;
}

/** Of what most instances have none of. */
const none = new Map<string, never>();

/** The model that rows hold, while they are read. */
export class Loading {
  readonly loaded: Loaded;
  readonly #profiles: ReadonlyMap<number, Profile>;
  readonly #anyVersions = new Map<number, Profile>();
  /** by themselves: what many instances have they have once */
  readonly #texts = new Map<string, string>();
  /** by their ids, as the store has them, and the seed */
  readonly #profileLists = new Map<string, readonly Profile[]>();

  constructor({ profiles, projects, lastEvent }: Rows) {
    this.loaded = {
      instances: [],
      profiles: profiles.map(profileOf),
      projects: projects.map(projectOf),
      seedless: new Set(),
      lastEvent: lastOf([lastEvent ?? '', ...profiles.map(([, , , , , , changedAt]) => changedAt)]),
    };
    this.#profiles = new Map(this.loaded.profiles.map((profile) => [profile.id, profile]));
  }

  add({ instances, keys, devices }: InstanceRows): void {
    const configs = new Map<number, Map<string, string>>();
    for (const [id, key, value] of keys)
      bucket(configs, id).set(this.#shared(key), isOfOne(key) ? value : this.#shared(value));
    const deviceMaps = new Map<number, Map<string, Device>>();
    for (const [id, name, options] of devices) bucket(deviceMaps, id).set(this.#shared(name), this.#device(options));
    for (const row of instances) {
      const [id] = row;
      this.loaded.instances.push(this.#instance(row, configs.get(id) ?? none, deviceMaps.get(id) ?? none));
    }
  }

  #instance(row: InstanceRows['instances'][number], config: Config, devices: Devices): Instance {
    const [
      id,
      project,
      name,
      description,
      createdAt,
      used,
      guestState,
      pid,
      startTicks,
      bootId,
      source,
      type,
      cid,
      seed,
    ] = row;
    const profiles = this.#profilesOf(used, seed, name);
    if (seed === '' && profiles.length > 0) this.loaded.seedless.add(id);
    const instance: Instance = {
      id,
      project: this.#shared(project),
      name,
      type: type as InstanceType,
      description: this.#shared(description),
      createdAt,
      profiles,
      guestState: guestState as GuestState,
      config,
      devices,
      run: pid === null ? undefined : runOf(pid, startTicks, bootId, cid),
    };
    return source === '' ? instance : { ...instance, source: source as SourceName };
  }

  #profilesOf(ids: string, seed: string, instance: string): readonly Profile[] {
    const key = `${ids}${seed}`;
    const known = this.#profileLists.get(key);
    if (known !== undefined) return known;
    const latest = (JSON.parse(ids) as number[]).map((id) => this.#profiles.get(id) ?? missing(id, instance));
    // Which versions the instance was written with is not stored: the seed says whether it makes a difference.
    const list = seed !== '' && latest.some(isChanged) ? readWith(seed, latest.map(this.#anyVersionOf)) : latest;
    this.#profileLists.set(key, list);
    return list;
  }

  #device(options: string): Device {
    const entries = JSON.parse(options) as [string, string][];
    return new Map(entries.map(([name, value]) => [this.#shared(name), this.#shared(value)]));
  }

  /** A version that never holds, so that what is shown has another. */
  readonly #anyVersionOf = (profile: Profile): Profile => {
    const known = this.#anyVersions.get(profile.id) ?? { ...profile };
    this.#anyVersions.set(profile.id, known);
    return known;
  };

  #shared(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    this.#texts.set(text, text);
    return text;
  }
}

/** May it be another version than the one that an instance was written with? */
function isChanged({ changedAt }: Profile): boolean {
  return changedAt !== '';
}

/** Has each instance a value of its own? */
function isOfOne(key: string): boolean {
  return key.startsWith('volatile.');
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
