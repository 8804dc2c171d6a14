import { createHash } from 'node:crypto';
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
  const seed = createHash('sha256').update(text).digest('base64url').slice(0, 22);
  seeds.set(text, seed);
  return seed;
}

export function readWith(seed: string, profiles: readonly Profile[]): ReadProfiles {
  return Object.assign([...profiles], { seed });
}

export function areRead(profiles: readonly Profile[]): profiles is ReadProfiles {
  return 'seed' in profiles;
}

/** Its own name is not in it: a rename writes the instance. */
function seedText(instance: Instance): string {
  const read = [...expandedConfig(instance)].filter(([key]) => cloudInitKey.test(key)).sort();
  const nics = [...expandedDevices(instance)].flatMap(([name, device]) => (isNic(device) ? [name] : [])).sort();
  return JSON.stringify([read, nics]);
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
