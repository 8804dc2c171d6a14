import { randomBytes } from 'node:crypto';
import { invalid } from '../errors.js';
import type { Limits } from '../limits/limits.js';
import { differenceOf, sameDevice } from '../model/changes.js';
import type { Config, Devices, Instance, InstanceType, Placement, Profile } from '../model/instance.js';
import { haveSameSeed, isCloudInitKey } from '../model/seed.js';
import { randomUuid } from '../text/uuid.js';
import { hwaddrKeyOf, instanceIdKey, nicsWithoutAddress, uuidKey, withDerivedKeys } from './derived-keys.js';
import { checkOther } from './record-table.js';
import { checkConfig, checkDevices, checkName } from './validate.js';

/** What an operator says of an instance. */
export interface Wanted {
  readonly config: Config;
  readonly devices: Devices;
  /** undefined: unchanged */
  readonly profiles?: readonly Profile[];
  /** undefined: the one that it has */
  readonly description?: string;
}

/** The same of a new one. */
export interface NewInstance extends Wanted {
  /** left out: a container */
  readonly type?: InstanceType | undefined;
  /** of the fleet, and on which of its hosts; left out: this host's own */
  readonly placement?: Placement | undefined;
}

const uuidPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * A new instance, stopped. It may bring the id that cloud-init knew it by on another host.
 * @throws Fault invalid-value, naming the field
 */
export function newInstance(
  row: number,
  project: string,
  name: string,
  { type = 'container', placement, config: given, devices, profiles = [], description = '' }: NewInstance,
  limits: Limits,
): Instance {
  checkName(name);
  const id = given.get(instanceIdKey);
  const config = id === undefined ? given : without(given, instanceIdKey);
  if (id && !uuidPattern.test(id)) throw invalid(`config.${instanceIdKey}`, `"${id}" is not a UUID`);
  checkConfig(config, undefined, limits);
  checkDevices(devices);
  // Without a spread, which costs more than all the rest of it.
  const made: Instance = {
    id: row,
    project,
    name,
    type,
    description,
    createdAt: now(),
    profiles,
    guestState: 'Started',
    config,
    devices,
    run: undefined,
  };
  return settled(undefined, placement === undefined ? made : { ...made, source: 'etcd', placement }, id);
}

let [nowMilliseconds, nowText] = [0, ''];

/** ISO 8601; of a thousand instances that are made at once many have the same. */
function now(): string {
  const milliseconds = Date.now();
  if (milliseconds !== nowMilliseconds)
    [nowMilliseconds, nowText] = [milliseconds, new Date(milliseconds).toISOString()];
  return nowText;
}

/**
 * The instance with another configuration and other devices. `volatile.` keys stay what they are; the daemon
 * changes its own.
 * @throws Fault invalid-value, naming the field
 */
export function edited(before: Instance, wanted: Wanted, limits: Limits): Instance {
  checkConfig(wanted.config, before.config, limits);
  checkDevices(wanted.devices);
  return settled(before, version(before, wanted));
}

/** As a new one, without a spread. */
function version(before: Instance, wanted: Wanted): Instance {
  const { id, project, name, type, createdAt, guestState, run, source, placement } = before;
  const { config, devices, profiles = before.profiles, description = before.description } = wanted;
  const made = { id, project, name, type, description, createdAt, profiles, guestState, config, devices, run };
  if (source === undefined && placement === undefined) return made;
  return { ...before, config, devices, profiles, description };
}

/** The instance with another version of a profile. changes: that may change its own keys; they stay the same map where not */
export function withProfile(instance: Instance, profile: Profile, changes: boolean): Instance {
  const profiles = instance.profiles.map((used) => (used.id === profile.id ? profile : used));
  const after = { ...instance, profiles };
  if (!changes) return after;
  const { config } = settled(instance, after);
  const { set, removed } = differenceOf(instance.config, config);
  return set.length + removed.length === 0 ? after : { ...after, config };
}

/** Can the change of a profile change keys that are the daemon's own? Asked once, and not for each of the instances. */
export function changesVolatile(before: Profile, after: Profile): boolean {
  const keys = differenceOf(before.config, after.config);
  const devices = differenceOf(before.devices, after.devices, sameDevice);
  if (devices.set.length + devices.removed.length > 0) return true;
  return [...keys.set.map(([key]) => key), ...keys.removed].some((key) => isCloudInitKey(key));
}

/**
 * The instance under a new name; cloud-init treats it as a new instance.
 * @throws Fault invalid-value or already-exists
 */
export function renamed(before: Instance, name: string): Instance {
  checkName(name);
  checkOther('Instance', before.name, name);
  return settled(before, { ...before, name });
}

/** Empty values mean that a key is not set, as in LXD. The same map where it has none. */
export function withoutEmpty(config: Config): Config {
  for (const value of config.values()) if (value === '') return filtered(config, (_, value) => value !== '');
  return config;
}

function without(config: Config, left: string): Config {
  return filtered(config, (key) => key !== left);
}

function filtered(config: Config, isIn: (key: string, value: string) => boolean): Map<string, string> {
  const result = new Map<string, string>();
  for (const [key, value] of config) if (isIn(key, value)) result.set(key, value);
  return result;
}

/** after with the keys that are the daemon's: the instance id, the lasting identity and the addresses of its nics. */
function settled(before: Instance | undefined, after: Instance, givenId?: string): Instance {
  if (after.source === 'etcd') return withDerivedKeys(after, before?.config.get(uuidKey) ?? randomUuid());
  const config = new Map<string, string>();
  for (const [key, value] of after.config) if (value !== '' && !isVolatile(key)) config.set(key, value);
  const known: Config = before?.config ?? none;
  const id = before === undefined ? givenId : known.get(instanceIdKey);
  config.set(instanceIdKey, id || randomUuid());
  config.set(uuidKey, known.get(uuidKey) ?? randomUuid());
  for (const name of nicsWithoutAddress(after)) {
    const key = hwaddrKeyOf(name);
    config.set(key, known.get(key) ?? randomHwaddr());
  }
  const { devices, profiles, description } = after;
  const made = version(after, { config, devices, profiles, description });
  // As one that does not run, since what one that does expands to is remembered by its map.
  const compared = made.run === undefined ? made : { ...made, run: undefined };
  if (before !== undefined && id && restartsCloudInit(before, compared)) config.set(instanceIdKey, randomUuid());
  return made;
}

const none: Config = new Map();

/** A new instance id makes cloud-init run again, as it should when its data, the name or a nic changes. */
function restartsCloudInit(before: Instance, after: Instance): boolean {
  return before.name !== after.name || !haveSameSeed(before, after);
}

/** Keys that are the daemon's own. */
export function isVolatile(key: string): boolean {
  return key.startsWith('volatile.');
}

/** In the range of the Xen project, as LXD's are (lxd/instance/instance_utils.go). */
function randomHwaddr(): string {
  return `00:16:3e:${[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
}
