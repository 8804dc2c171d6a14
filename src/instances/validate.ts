import { closestMatch } from '../closest-match.js';
import { invalid } from '../errors.js';
import { LimitFault } from '../limits/limit-fault.js';
import { exceeds, type Limits } from '../limits/limits.js';
import { type Config, type Device, type Devices, incusKeyOf } from '../model/instance.js';
import { isLostName } from '../text/lost-names.js';

/** LXD's rule: an RFC 1123 label, up to 63 characters, that does not start with a digit. */
const namePattern = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const profilePattern = /^[a-z0-9][a-z0-9_.-]{0,63}$/i;
/** LXD's rule: no underscores. */
const projectPattern = /^[a-z0-9][a-z0-9.-]{0,62}$/i;
/** LXD's rule (lxd/device/config). */
const devicePattern = /^[a-z0-9/:_-][a-z0-9/.:_-]{0,62}$/i;
const optionPattern = /^[a-z][a-z0-9_.-]{0,127}$/i;

/** Name spaces whose keys may have any name. */
const freeNamespaces = ['user.', 'environment.', 'image.', 'cloud-init.ssh-keys.'];
/** Namespaces of LXD whose keys have no effect here; they are stored and shown unchanged. */
const keptNamespaces = [
  'agent.',
  'boot.',
  'limits.',
  'linux.',
  'migration.',
  'nvidia.',
  'oci.',
  'placement.',
  'raw.',
  'smbios11.',
  'snapshots.',
  'systemd.',
  'cluster.',
  'security.',
];
const cloudInitKeys = ['cloud-init.user-data', 'cloud-init.vendor-data', 'cloud-init.network-config'];
const guestApiKeys = ['security.devlxd', 'security.devlxd.images', 'security.devlxd.nested', 'security.devlxd.nonroot'];
const booleanKeys = [...guestApiKeys.flatMap((key) => [key, incusKeyOf(key)]), 'security.devlxd.identity'];
/** Of newer LXD, in a namespace that is otherwise ours. */
const othersKeys = ['security.devlxd.management.volumes'];
const booleans = ['true', 'false', '1', '0', 'yes', 'no', 'on', 'off', ''];
const notUnicode = 'not Unicode: it has a byte that is no UTF-8, or half of a surrogate pair';
const guestAttachKey = 'ubuntu_pro.guest_attach';
const guestAttach = ['', 'off', 'on', 'available'];

export function isInstanceName(name: string): boolean {
  return namePattern.test(name);
}

/** @throws Fault invalid-value */
export function checkName(name: string): void {
  if (isInstanceName(name)) return;
  throw invalid(
    'name',
    `"${name}" is not an instance name: letters, digits and hyphens, at most 63, beginning with a letter and not ending with a hyphen`,
  );
}

/** @throws Fault invalid-value */
export function checkProfileName(name: string): void {
  if (profilePattern.test(name)) return;
  throw invalid('name', `"${name}" is not a profile name: letters, digits, dots, hyphens and underscores, at most 64`);
}

/** @throws Fault invalid-value */
export function checkProjectName(name: string): void {
  if (projectPattern.test(name)) return;
  throw invalid('name', `"${name}" is not a project name: letters, digits, dots and hyphens, at most 63`);
}

/**
 * What an operator may set. Keys under `volatile.` belong to the daemon: they may only stay as they are.
 * @throws Fault invalid-value, naming the key
 */
export function checkConfig(config: Config, before: Config | undefined, limits: Limits): void {
  if (exceeds(limits['config-keys'], config.size)) {
    const sentence = `config: more than ${limits['config-keys']} keys (--limit-config-keys)`;
    throw new LimitFault('config-keys', 'invalid-value', sentence);
  }
  for (const [key, value] of config) {
    if (before?.get(key) === value) continue;
    const isKnown = anyTextKeys.has(key) && !isLonger(key, limits['config-key']);
    if (!isKnown || isLonger(value, limits['config-value']) || !value.isWellFormed()) checkKey(key, value, limits);
  }
}

/** Some that have been checked and may have any text as their value: most instances have the same. */
const anyTextKeys = new Set<string>();
const most = { keys: 1000, length: 200 };

/** In UTF-8. most: 0: any length */
function isLonger(text: string, most: number): boolean {
  // A character of UTF-16 has three bytes at most.
  return exceeds(most, text.length * 3) && exceeds(most, Buffer.byteLength(text));
}

function checkKey(key: string, value: string, limits: Limits): void {
  const field = `config.${key}`;
  if (isLonger(key, limits['config-key'])) {
    const sentence = `${field}: a key has more than ${limits['config-key']} bytes (--limit-config-key)`;
    throw new LimitFault('config-key', 'invalid-value', sentence);
  }
  if (isLonger(value, limits['config-value'])) {
    const sentence = `${field}: longer than ${limits['config-value']} bytes (--limit-config-value)`;
    throw new LimitFault('config-value', 'invalid-value', sentence);
  }
  if (!value.isWellFormed() || !key.isWellFormed()) throw invalid(field, notUnicode);
  if (key.startsWith('volatile.')) throw invalid(field, 'keys under volatile. belong to devlxd');
  if (/\s/.test(key) && !key.startsWith('user.')) throw invalid(field, 'a key has no white space');
  if (booleanKeys.includes(key)) {
    if (!booleans.includes(value.toLowerCase())) throw invalid(field, `"${value}" is neither true nor false`);
    return;
  }
  if (key === guestAttachKey) {
    if (!guestAttach.includes(value)) throw invalid(field, `"${value}" is none of off, on, available`);
    return;
  }
  if (!isKnown(key)) throw invalid(field, `Unknown configuration key${suggestion(key)}`);
  remember(key);
}

function remember(anyTextKey: string): void {
  if (anyTextKey.length <= most.length && anyTextKeys.size < most.keys) anyTextKeys.add(anyTextKey);
}

function isKnown(key: string): boolean {
  const isFree = freeNamespaces.some((space) => key.startsWith(space) && key.length > space.length);
  const isKept = keptNamespaces.some((space) => key.startsWith(space)) && !isMisspelt(key);
  return isFree || isKept || cloudInitKeys.includes(key);
}

/** LXD's keys are kept whatever they are, but a key that is almost one of ours was meant to be it. */
function isMisspelt(key: string): boolean {
  if (othersKeys.includes(key)) return false;
  return /^security\.(?:devlxd|guestapi)\./.test(key) || closestMatch(key, booleanKeys) !== undefined;
}

function suggestion(key: string): string {
  const near =
    closestMatch(key, [...cloudInitKeys, ...booleanKeys, guestAttachKey]) ?? withNearSpace(key) ?? withTail(key);
  return near === undefined ? '' : `; do you mean ${near}?`;
}

/** usr.role -> user.role */
function withNearSpace(key: string): string | undefined {
  const dot = key.indexOf('.');
  if (dot < 0) return undefined;
  const spaces = [...freeNamespaces, ...keptNamespaces].map((space) => space.slice(0, -1));
  const space = closestMatch(key.slice(0, dot), spaces);
  const near = `${space}${key.slice(dot)}`;
  return space !== undefined && isKnown(near) ? near : undefined;
}

/** user-data -> cloud-init.user-data, role -> user.role */
function withTail(key: string): string | undefined {
  const tail = key.slice(key.indexOf('.') + 1);
  if (tail === '') return undefined;
  const known = [...cloudInitKeys, ...booleanKeys].find((each) => each.endsWith(tail) || each.includes(tail));
  return known ?? (key.includes('.') ? undefined : `user.${key}`);
}

/** @throws Fault invalid-value, naming the device */
export function checkDevices(devices: Devices): void {
  for (const [name, device] of devices) checkDevice(name, device);
}

function checkDevice(name: string, device: Device): void {
  const field = `devices.${name}`;
  if (!devicePattern.test(name) || isLostName(name)) {
    throw invalid(field, 'a device name has letters, digits, / . : _ and -, at most 63, and does not begin with a dot');
  }
  if (!device.get('type')) throw invalid(`${field}.type`, 'a device needs a type, such as disk, nic or unix-char');
  for (const [option, value] of device) {
    if (!optionPattern.test(option)) throw invalid(`${field}.${option}`, 'not the name of a device option');
    if (!value.isWellFormed()) throw invalid(`${field}.${option}`, notUnicode);
  }
}
