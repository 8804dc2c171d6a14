import { createHash, hash } from 'node:crypto';
import { type Config, expandedConfig, expandedDevices, type Instance } from '../model/instance.js';
import { haveSameSeed, isCloudInitKey, isNic, seedOf } from '../model/seed.js';

/** Where cloud-init's name of an instance is kept, by which it knows that it has run for it. */
export const instanceIdKey = 'volatile.cloud-init.instance-id';
export const uuidKey = 'volatile.uuid';

const hwaddrKey = /^volatile\..+\.hwaddr$/;

/** The key of the address of a nic that is given none. */
export function hwaddrKeyOf(nic: string): string {
  return `volatile.${nic}.hwaddr`;
}

/**
 * An instance of a fleet with the keys that are the daemon's own. They follow from what the fleet says of it, so that
 * each host that gets it finds the same ones, and nothing has to be written back.
 */
export function withDerivedKeys(instance: Instance, uuid: string): Instance {
  const result = new Map([...instance.config].filter(([key]) => !key.startsWith('volatile.')));
  const bare: Instance = { ...instance, config: new Map(result) };
  const nics = [...expandedDevices(bare)].filter(([, device]) => isNic(device));
  const read = [...expandedConfig(bare)].filter(([key]) => isCloudInitKey(key)).sort();
  const names = nics.map(([name]) => name).sort();
  result.set(uuidKey, uuid);
  result.set(instanceIdKey, uuidFrom(JSON.stringify([uuid, instance.name, read, names])));
  for (const [name, device] of nics) if (!device.get('hwaddr')) result.set(hwaddrKeyOf(name), hwaddrFrom(uuid, name));
  return { ...instance, config: result };
}

/**
 * The configuration of an instance with other versions of its profiles than it was written with. Its own keys follow
 * from what is written and from those versions, so that they are the same whenever somebody looks, and nothing has to be
 * written for it.
 */
export function configWith(stored: Instance, profiles: Instance['profiles']): Config {
  const now: Instance = { ...stored, profiles };
  const uuid = stored.config.get(uuidKey) ?? '';
  const config = stored.source === 'etcd' ? withDerivedKeys(now, uuid).config : renewedConfig(stored, now, uuid);
  if (config.size !== stored.config.size) return config;
  for (const [key, value] of config) if (stored.config.get(key) !== value) return config;
  return stored.config;
}

function renewedConfig(stored: Instance, now: Instance, uuid: string): Config {
  const config = new Map<string, string>();
  for (const [key, value] of stored.config) if (!hwaddrKey.test(key)) config.set(key, value);
  if (!haveSameSeed(stored, now)) {
    const known = stored.config.get(instanceIdKey) ?? '';
    config.set(instanceIdKey, uuidFrom(JSON.stringify([known, seedOf(now)])));
  }
  for (const name of nicsWithoutAddress(now)) {
    const key = hwaddrKeyOf(name);
    config.set(key, stored.config.get(key) ?? hostHwaddrFrom(uuid, name));
  }
  return config;
}

/** The names of those of its nics that are given no address. */
export function nicsWithoutAddress(instance: Instance): string[] {
  const devices = expandedDevices(instance);
  if (devices.size === 0) return [];
  return [...devices].flatMap(([name, device]) => (isNic(device) && !device.get('hwaddr') ? [name] : []));
}

/** In the range of the Xen project, as LXD's are (lxd/instance/instance_utils.go), and not likely to be another's on a host. */
function hostHwaddrFrom(uuid: string, nic: string): string {
  const hex = hash('sha256', JSON.stringify([uuid, nic]), 'hex');
  return `00:16:3e:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}`;
}

/** A UUID that is always the same for a text: version 8 (RFC 9562). */
export function uuidFrom(text: string): string {
  const hex = hash('sha256', text, 'hex');
  const variant = '89ab'.charAt(Number.parseInt(hex.charAt(16), 16) & 3);
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `${variant}${hex.slice(17, 20)}`];
  return [...parts, hex.slice(20, 32)].join('-');
}

/**
 * Locally administered: the 24 bits below 00:16:3e are too few for a fleet in which nobody asks whether an address is
 * taken (5,000 nics would have one twice in every second fleet).
 */
function hwaddrFrom(uuid: string, nic: string): string {
  const bytes = createHash('sha256')
    .update(JSON.stringify([uuid, nic]))
    .digest()
    .subarray(0, 6);
  bytes[0] = ((bytes[0] as number) & 0xfc) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
