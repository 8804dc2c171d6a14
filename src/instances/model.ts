/** Configuration keys and their values. */
export type Config = ReadonlyMap<string, string>;

/** The options of one device; `type` is always among them. */
export type Device = ReadonlyMap<string, string>;

export type Devices = ReadonlyMap<string, Device>;

/** The process that an instance runs as. The three together name one process for ever. */
export interface Run {
  /** pid of its init, in the daemon's pid namespace */
  readonly pid: number;
  /** start of init, clock ticks since boot */
  readonly startTicks: number;
  /** /proc/sys/kernel/random/boot_id at that time */
  readonly bootId: string;
}

/** What the guest says of itself with PATCH /1.0. */
export type GuestState = 'Started' | 'Ready';

/** An instance, never changed in place: each change makes a new one. */
export interface Instance {
  /** row in the store; never given to another instance */
  readonly id: number;
  readonly project: string;
  readonly name: string;
  /** ISO 8601 */
  readonly createdAt: string;
  readonly config: Config;
  readonly devices: Devices;
  readonly guestState: GuestState;
  /** undefined: stopped */
  readonly run: Run | undefined;
}

export const defaultProject = 'default';

/** What the guest sees: the profiles' configuration, in order, and then the instance's own. */
export function expandedConfig(instance: Instance): Config {
  return instance.config;
}

/** The same for devices. */
export function expandedDevices(instance: Instance): Devices {
  return instance.devices;
}

/** Is this boolean key of the configuration on? byDefault: what an unset key means. */
export function flag(instance: Instance, key: string, byDefault: boolean): boolean {
  const value = expandedConfig(instance).get(key);
  return value === undefined || value === '' ? byDefault : isTrue(value);
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
