import { hash } from 'node:crypto';
import {
  type Config,
  type Device,
  type Devices,
  expandedConfig,
  expandedDevices,
  type Instance,
  type Profile,
} from './instance.js';

const documents = ['vendor-data', 'user-data', 'network-config'];
const documentKeys = new Set(documents.flatMap((name) => [`cloud-init.${name}`, `user.${name}`]));

/** Is it what cloud-init reads? When one of them changes, it is to run again. */
export function isCloudInitKey(key: string): boolean {
  return documentKeys.has(key) || key.startsWith('cloud-init.ssh-keys.');
}

export function isNic(device: Device): boolean {
  return device.get('type') === 'nic';
}

/** Of an instance that is read: its profiles may have changed since it was written. They are versions that never hold. */
export interface ReadProfiles extends ReadonlyArray<Profile> {
  readonly seed: string;
}

/** What a seed is made of. */
interface Known {
  readonly config: Config;
  readonly devices: Devices;
  readonly seed: string;
}

/** The last ones: most instances have the same, before and after a change of their profile. */
const known: Known[] = [];
const mostKnown = 4;

/** What of an instance, as it is written, an instance id of cloud-init stands for: another seed, another id. */
export function seedOf(instance: Instance): string {
  if (areRead(instance.profiles)) return instance.profiles.seed;
  const [config, devices] = [expandedConfig(instance), expandedDevices(instance)];
  for (const each of known) if (saysTheSame(config, devices, each.config, each.devices)) return each.seed;
  const read = [...config].filter(([key]) => isCloudInitKey(key)).sort();
  const nics = [...devices].filter(([, device]) => isNic(device));
  const text = JSON.stringify([read, nics.map(([name]) => name).sort()]);
  const seed = hash('sha256', text, 'base64').slice(0, 22);
  if (known.length === mostKnown) known.shift();
  known.push({ config: new Map(read), devices: new Map(nics), seed });
  return seed;
}

export function haveSameSeed(one: Instance, other: Instance): boolean {
  if (areRead(one.profiles) || areRead(other.profiles)) return seedOf(one) === seedOf(other);
  return saysTheSame(expandedConfig(one), expandedDevices(one), expandedConfig(other), expandedDevices(other));
}

/** Have both the same of what a seed is made of? Its own name is not in it: a rename writes the instance. */
function saysTheSame(config: Config, devices: Devices, otherConfig: Config, otherDevices: Devices): boolean {
  let more = 0;
  for (const key of config.keys()) {
    if (!isCloudInitKey(key)) continue;
    if (otherConfig.get(key) !== config.get(key)) return false;
    more++;
  }
  for (const key of otherConfig.keys()) if (isCloudInitKey(key)) more--;
  return more === 0 && haveSameNics(devices, otherDevices);
}

function haveSameNics(devices: Devices, others: Devices): boolean {
  if (devices === others) return true;
  let more = 0;
  for (const [name, device] of devices) {
    if (!isNic(device)) continue;
    const other = others.get(name);
    if (other === undefined || !isNic(other)) return false;
    more++;
  }
  for (const other of others.values()) if (isNic(other)) more--;
  return more === 0;
}

export function readWith(seed: string, profiles: readonly Profile[]): ReadProfiles {
  return Object.assign([...profiles], { seed });
}

export function areRead(profiles: readonly Profile[]): profiles is ReadProfiles {
  return 'seed' in profiles;
}

// By what is shown of it.
const storedVersions = new WeakMap<Instance, Instance>();

/** The instance as it is written, where it is shown with what a later version of its profiles makes of its own keys. */
export function storedVersionOf(shown: Instance): Instance {
  return storedVersions.get(shown) ?? shown;
}

/** The instance with other versions of its profiles; its configuration is worked out when somebody reads it. */
export function shownWith(
  stored: Instance,
  profiles: Instance['profiles'],
  configOf: (stored: Instance, profiles: Instance['profiles']) => Config,
): Instance {
  let config: Config | undefined;
  const shown: Instance = {
    ...stored,
    profiles,
    get config() {
      config ??= configOf(stored, profiles);
      return config;
    },
  };
  storedVersions.set(shown, stored);
  return shown;
}
