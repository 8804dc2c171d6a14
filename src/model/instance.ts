/** Configuration keys and their values. */
export type Config = ReadonlyMap<string, string>;

/** The options of one device; `type` is always among them. */
export type Device = ReadonlyMap<string, string>;

export type Devices = ReadonlyMap<string, Device>;

/** The process of a running instance: its init, or what connects for a virtual machine. pid, start and boot together are one process's. */
export interface Run {
  /** in the daemon's pid namespace */
  readonly pid: number;
  /** its start, clock ticks since boot */
  readonly startTicks: number;
  /** /proc/sys/kernel/random/boot_id at that time */
  readonly bootId: string;
  /** of a virtual machine that the kernel knows by its context id, vsock(7) */
  readonly cid?: number;
}

/** What an instance is; it stays what it is made as. */
export const instanceTypes = ['container', 'virtual-machine'] as const;
export type InstanceType = (typeof instanceTypes)[number];

/** What the guest says of itself with PATCH /1.0. */
export type GuestState = 'Started' | 'Ready';

/** The daemons whose instances can be served. */
export type PeerName = 'lxd' | 'incus';

/** What can describe instances that are not our own. etcd: the fleet; its guests are served as our own are */
export type SourceName = PeerName | 'etcd';

/** How the hosts of a fleet take a change of a profile: in parts, one after the other. */
export interface Rollout {
  /** how many parts */
  readonly waves: number;
  /** between two of them */
  readonly seconds: number;
  /** no further host takes it */
  readonly stopped: boolean;
}

/** What several instances have in common. Never changed in place. */
export interface Profile {
  /** row in the store; stays when the profile is renamed */
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly description: string;
  readonly config: Config;
  readonly devices: Devices;
  /** timestamp of its last edit, which is before those of the events that it made; '': there was none */
  readonly changedAt: string;
  /** whose it is; left out: our own */
  readonly source?: 'etcd';
  /** of a fleet, as its endpoint has it; left out: its hosts take it at once */
  readonly rollout?: Rollout;
}

/** A name space of instances and profiles. */
export interface Project {
  readonly id: number;
  /** projects are in none themselves */
  readonly project: '';
  readonly name: string;
  readonly description: string;
  readonly config: Config;
}

/** Where an instance is that is looked at from a fleet's endpoint, and not from its own host. */
export interface Placement {
  readonly host: string;
  /** what its host says of it now */
  statusOf(project: string, name: string): InstanceStatus;
}

/** An instance, never changed in place: each change makes a new one. */
export interface Instance {
  /** row in the store; never given to another instance */
  readonly id: number;
  readonly project: string;
  readonly name: string;
  readonly type: InstanceType;
  readonly description: string;
  /** ISO 8601 */
  readonly createdAt: string;
  /** in order, each in the version that holds for this version of the instance */
  readonly profiles: readonly Profile[];
  readonly config: Config;
  readonly devices: Devices;
  readonly guestState: GuestState;
  /** undefined: stopped */
  readonly run: Run | undefined;
  /** what it belongs to; left out: our own. Config and devices of a peer's instance are already expanded */
  readonly source?: SourceName;
  /** left out: on this host */
  readonly placement?: Placement;
}

/** The description of an instance that is deleted with its container; one with any other stays. */
export const temporaryDescription = 'Made for a container by devlxd-hook; deleted with it';

/** The same on a host of a fleet, where the fleet may describe it while it runs. */
export const standInDescription = 'Made for a container by devlxd-hook, until the fleet describes it; deleted with it';

export function isTemporary({ description, source }: Instance): boolean {
  return source === undefined && [temporaryDescription, standInDescription].includes(description);
}

/** The daemon in whose words guests of this instance are answered; undefined: our own, which are LXD's. */
export function peerOf({ source }: Instance): PeerName | undefined {
  return source === 'etcd' ? undefined : source;
}

/**
 * As LXD's API names it: Ready runs, and has said of itself that it has come up. Error, as in LXD's clusters: its host
 * is away, and nobody knows
 */
export type InstanceStatus = 'Running' | 'Ready' | 'Stopped' | 'Error';

export function statusOf({ run, guestState, placement, project, name }: Instance): InstanceStatus {
  if (placement !== undefined) return placement.statusOf(project, name);
  if (run === undefined) return 'Stopped';
  return guestState === 'Ready' ? 'Ready' : 'Running';
}

/** The project that is meant when none is named, and the profile that every project has. */
export const defaultProject = 'default';
export const defaultProfile = 'default';

/** What profiles and something of an instance's own expand to. */
interface Expanded<Value> {
  readonly profiles: readonly Profile[];
  readonly made: Value;
}

// By what is the instance's own: that stays the same when the guest says how far it is. Most need no map of their own.
const expandedConfigs = new WeakMap<Config, Expanded<Config>>();
const expandedDeviceMaps = new WeakMap<Devices, Expanded<Devices>>();

/**
 * What the guest sees: the profiles' configuration, in order, and then the instance's own. While it runs, the same map
 * as long as both are; a list of a hundred thousand that are stopped leaves nothing behind.
 */
export function expandedConfig(instance: Instance): Config {
  const { profiles, config } = instance;
  if (profiles.every((profile) => profile.config.size === 0)) return config;
  const make = () => merged(profiles.map((profile) => profile.config).concat(config));
  return instance.run === undefined ? make() : remembered(expandedConfigs, config, profiles, make);
}

/** The same where it has been asked for before; undefined: it has not. */
export function knownExpandedConfig({ profiles, config }: Instance): Config | undefined {
  if (profiles.every((profile) => profile.config.size === 0)) return config;
  const found = expandedConfigs.get(config);
  return found?.profiles === profiles ? found.made : undefined;
}

/** The same for devices; one of the same name replaces the other as a whole. */
export function expandedDevices(instance: Instance): Devices {
  const { profiles, devices } = instance;
  if (profiles.every((profile) => profile.devices.size === 0)) return devices;
  const make = () => merged(profiles.map((profile) => profile.devices).concat(devices));
  return instance.run === undefined ? make() : remembered(expandedDeviceMaps, devices, profiles, make);
}

function merged<Value>(maps: readonly ReadonlyMap<string, Value>[]): ReadonlyMap<string, Value> {
  const [first, ...others] = maps;
  const result = new Map(first);
  for (const map of others) for (const [name, value] of map) result.set(name, value);
  return result;
}

function remembered<Own extends object, Value>(
  known: WeakMap<Own, Expanded<Value>>,
  own: Own,
  profiles: readonly Profile[],
  make: () => Value,
): Value {
  const found = known.get(own);
  if (found?.profiles === profiles) return found.made;
  const made = make();
  known.set(own, { profiles, made });
  return made;
}

/**
 * Is this boolean key of the configuration on? A key has LXD's name and Incus' name: where both are set, both must be
 * on. byDefault: what an unset key means.
 */
export function flag(instance: Instance, key: string, byDefault: boolean): boolean {
  const config = expandedConfig(instance);
  const [lxd, incus] = [config.get(key), config.get(incusKeyOf(key))];
  return lxd || incus ? isTrue(lxd || 'true') && isTrue(incus || 'true') : byDefault;
}

/** Are its users other than root served? */
export function servesNonroot(instance: Instance): boolean {
  return flag(instance, 'security.devlxd.nonroot', false);
}

/** Are the containers inside it served as the instance? devlxd's own key; LXD serves them. */
export function servesNested(instance: Instance): boolean {
  return flag(instance, 'security.devlxd.nested', true);
}

/** By LXD's name: a flag is asked for with each request of a guest. */
const incusKeys = new Map<string, string>();

/** security.devlxd.images -> security.guestapi.images. key: one of the few that the code names */
export function incusKeyOf(key: string): string {
  const known = incusKeys.get(key);
  if (known !== undefined) return known;
  const made = key.replace(/^security\.devlxd/, 'security.guestapi');
  incusKeys.set(key, made);
  return made;
}

/** Where LXD and Incus keep what a guest has said of itself to them. */
export const readyKey = 'volatile.last_state.ready';

/** Where LXD keeps whether it runs, by which clients choose (Ansible's inventory). */
export const powerKey = 'volatile.last_state.power';

/** Where LXD keeps the context id of a virtual machine. */
export const cidKey = 'volatile.vsock_id';

/** How far the guest of an instance is that starts: where it runs already, it has told its source. */
export function firstGuestState(instance: Instance): GuestState {
  return peerOf(instance) !== undefined && flag(instance, readyKey, false) ? 'Ready' : 'Started';
}

/** The words that LXD takes for true (shared/util.go, IsTrue). */
export function isTrue(value: string): boolean {
  return ['true', '1', 'yes', 'on'].includes(value.toLowerCase());
}

/** A map with its keys in order, as a plain object for JSON. */
export function sortedObject(map: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...map].sort(byName));
}

/** For sorting the entries of a map by key, in the order of their UTF-16 code units. */
export function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
