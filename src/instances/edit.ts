import { randomBytes, randomUUID } from 'node:crypto';
import type { Limits } from '../limits.js';
import { differenceOf } from './changes.js';
import type { Config, Device, Devices, Instance } from './model.js';
import { checkConfig, checkDevices, checkName } from './validate.js';

const instanceIdKey = 'volatile.cloud-init.instance-id';

/** What an operator says of an instance. */
export interface Wanted {
  readonly config: Config;
  readonly devices: Devices;
}

/**
 * A new instance, stopped.
 * @throws Fault invalid-value, naming the field
 */
export function newInstance(id: number, project: string, name: string, wanted: Wanted, limits: Limits): Instance {
  checkName(name);
  checkConfig(wanted.config, undefined, limits);
  checkDevices(wanted.devices);
  const config = withVolatile(wanted, new Map(), true);
  const createdAt = new Date().toISOString();
  return { id, project, name, createdAt, config, devices: wanted.devices, guestState: 'Started', run: undefined };
}

/**
 * The instance with another configuration and other devices. `volatile.` keys stay what they are; the daemon
 * changes its own.
 * @throws Fault invalid-value, naming the field
 */
export function edited(before: Instance, wanted: Wanted, limits: Limits): Instance {
  checkConfig(wanted.config, before.config, limits);
  checkDevices(wanted.devices);
  const renewed = restartsCloudInit(before, wanted);
  return { ...before, config: withVolatile(wanted, before.config, renewed), devices: wanted.devices };
}

/** Empty values mean that a key is not set, as in LXD. */
export function withoutEmpty(config: Config): Config {
  return new Map([...config].filter(([, value]) => value !== ''));
}

function withVolatile({ config, devices }: Wanted, before: Config, newId: boolean): Config {
  const result = new Map([...withoutEmpty(config)].filter(([key]) => !key.startsWith('volatile.')));
  result.set(instanceIdKey, (!newId && before.get(instanceIdKey)) || randomUUID());
  for (const [name, device] of devices) {
    if (!isNic(device) || device.get('hwaddr')) continue;
    const key = `volatile.${name}.hwaddr`;
    result.set(key, before.get(key) ?? randomHwaddr());
  }
  return result;
}

const cloudInitKey = /^(?:cloud-init|user)\.(?:vendor-data|user-data|network-config)$|^cloud-init\.ssh-keys\./;

/** cloud-init runs anew for a new instance id, which it should when what it reads, or the set of nics, has changed. */
function restartsCloudInit(before: Instance, after: Wanted): boolean {
  const { set, removed } = differenceOf(before.config, withoutEmpty(after.config));
  if ([...set.map(([key]) => key), ...removed].some((key) => cloudInitKey.test(key))) return true;
  return nicNames(before.devices) !== nicNames(after.devices);
}

function nicNames(devices: Devices): string {
  return [...devices]
    .filter(([, device]) => isNic(device))
    .map(([name]) => name)
    .sort()
    .join();
}

function isNic(device: Device): boolean {
  return device.get('type') === 'nic';
}

/** In the range of the Xen project, as LXD's are (lxd/instance/instance_utils.go). */
function randomHwaddr(): string {
  return `00:16:3e:${[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
}
