import { hash } from 'node:crypto';
import { type Config, type Device, expandedConfig, expandedDevices, type Instance, type Profile } from './instance.js';

/** What cloud-init reads: when one of them changes, it is to run again. */
export const cloudInitKey = /^(?:cloud-init|user)\.(?:vendor-data|user-data|network-config)$|^cloud-init\.ssh-keys\./;

export function isNic(device: Device): boolean {
  return device.get('type') === 'nic';
}

/** Of an instance that is read: its profiles may have changed since it was written. They are versions that never hold. */
export interface ReadProfiles extends ReadonlyArray<Profile> {
  readonly seed: string;
}

/** Of the last texts: most instances have the same, before and after a change of their profile. */
const seeds = new Map<string, string>();
const mostSeeds = 4;

/** What of an instance, as it is written, an instance id of cloud-init stands for: another seed, another id. */
export function seedOf(instance: Instance): string {
  if (areRead(instance.profiles)) return instance.profiles.seed;
  const text = seedText(instance);
  const known = seeds.get(text);
  if (known !== undefined) return known;
  if (seeds.size === mostSeeds) seeds.clear();
  const seed = hash('sha256', text, 'base64').slice(0, 22);
  seeds.set(text, seed);
  return seed;
}

export function haveSameSeed(one: Instance, other: Instance): boolean {
  if (areRead(one.profiles) || areRead(other.profiles)) return seedOf(one) === seedOf(other);
  return seedText(one) === seedText(other);
}

export function readWith(seed: string, profiles: readonly Profile[]): ReadProfiles {
  return Object.assign([...profiles], { seed });
}

export function areRead(profiles: readonly Profile[]): profiles is ReadProfiles {
  return 'seed' in profiles;
}

/** Its own name is not in it: a rename writes the instance. */
function seedText(instance: Instance): string {
  const read: [string, string][] = [];
  for (const [key, value] of expandedConfig(instance)) if (cloudInitKey.test(key)) read.push([key, value]);
  const nics: string[] = [];
  for (const [name, device] of expandedDevices(instance)) if (isNic(device)) nics.push(name);
  return JSON.stringify([read.sort(), nics.sort()]);
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
