import { type Config, expandedConfig, type Instance, knownExpandedConfig } from '../../model/instance.js';
import { storedVersionOf } from '../../model/seed.js';
import { isScript } from './cloud-config.js';
import { longestDocument } from './read-yaml.js';
import { type Reason, Refusal } from './refusal.js';
import { sshKeysOf, type UserKeys } from './ssh-keys.js';
import { withKeys } from './with-keys.js';

/** What ssh keys make of the values of an instance. */
interface Merged {
  /** the values that differ from what the operator wrote, by key */
  readonly values: ReadonlyMap<string, string>;
  /** the keys whose values were to have ssh keys and stay as they are */
  readonly unmerged: ReadonlyMap<string, Reason>;
}

const nothingMerged: Merged = { values: new Map(), unmerged: new Map() };
/** By expanded configuration. */
const mergedOf = new WeakMap<Config, Merged>();

/** The value of a key as the guest sees it: ssh keys are merged into vendor-data, and into user-data where need be. */
export function guestValue(instance: Instance, key: string): string | undefined {
  return merged(instance).values.get(key) ?? expandedConfig(instance).get(key);
}

/** Keys that have a value for the guest only because ssh keys were merged into nothing. */
export function mergedKeys(instance: Instance): Iterable<string> {
  return merged(instance).values.keys();
}

/** The keys whose values should have ssh keys in them and have not, and why. */
export function unmergedKeys(instance: Instance): ReadonlyMap<string, Reason> {
  return merged(instance).unmerged;
}

/** The same as far as it is known: nothing is looked at for the question. */
export function knownUnmergedKeys(instance: Instance): ReadonlyMap<string, Reason> {
  // Its profiles have changed since it ran: its configuration would have to be worked out first.
  if (instance.run === undefined && storedVersionOf(instance) !== instance) return nothingMerged.unmerged;
  const config = knownExpandedConfig(instance);
  return ((config && mergedOf.get(config)) ?? nothingMerged).unmerged;
}

/** Is it known? The guest has read, or the question was asked. */
export function hasKnownMerge(instance: Instance): boolean {
  const config = knownExpandedConfig(instance);
  return config !== undefined && mergedOf.has(config);
}

function merged(instance: Instance): Merged {
  const config = expandedConfig(instance);
  const known = mergedOf.get(config);
  if (known !== undefined) return known;
  const keys = sshKeysOf(config);
  const made = keys.length === 0 ? nothingMerged : merge(config, keys);
  mergedOf.set(config, made);
  return made;
}

/** What has become of vendor-data or of user-data. */
interface Outcome {
  readonly values: readonly (readonly [key: string, value: string])[];
  /** the key that cloud-init reads, with what the operator wrote */
  readonly key: string;
  readonly written: string;
  /** why the keys are not in it, although they were to be */
  readonly reason: Reason | undefined;
}

/**
 * cloud-init lets `users` of user-data win over `users` of vendor-data. So the keys go into vendor-data, and into
 * user-data as well where that has `users`, or where there is no vendor-data that they could go into.
 */
function merge(config: Config, keys: readonly UserKeys[]): Merged {
  const vendor = mergeInto(config, 'vendor-data', keys, false);
  const inVendor = vendor.written !== '' && vendor.reason === undefined;
  const user = mergeInto(config, 'user-data', keys, inVendor || mayHaveUsers(vendor));
  const outcomes = [vendor, user];
  return {
    values: new Map(outcomes.flatMap(({ values }) => values)),
    unmerged: haveArrived(vendor, user)
      ? new Map()
      : new Map(outcomes.flatMap(({ key, reason }) => (reason === undefined ? [] : [[key, reason]]))),
  };
}

/** Each of both names of a value that is set, or the one that cloud-init prefers when neither is. */
function mergeInto(config: Config, name: string, keys: readonly UserKeys[], onlyWithUsers: boolean): Outcome {
  const preferred = `cloud-init.${name}`;
  const set = [preferred, `user.${name}`].filter((key) => config.get(key));
  const merged = (set.length > 0 ? set : [preferred]).map((key) => {
    const written = config.get(key) ?? '';
    return { key, written, ...attempt(written, keys, onlyWithUsers) };
  });
  const [{ key, written, reason } = { key: preferred, written: '', reason: undefined }] = merged;
  const values = merged.flatMap((each) => (each.value === undefined ? [] : [[each.key, each.value] as const]));
  return { values, key, written, reason };
}

/** What a document becomes, or why it stays. */
interface Attempt {
  readonly value: string | undefined;
  readonly reason: Reason | undefined;
}

/** Instances of one profile start together, and have the same documents. */
const mostRemembered = 16;
const remembered = new Map<string, Attempt>();

function attempt(written: string, keys: readonly UserKeys[], onlyWithUsers: boolean): Attempt {
  if (written.length > longestDocument) return made(written, keys, onlyWithUsers);
  const asked = `${onlyWithUsers} ${JSON.stringify(keys)} ${written}`;
  const known = remembered.get(asked) ?? made(written, keys, onlyWithUsers);
  remembered.delete(asked);
  remembered.set(asked, known);
  for (const oldest of remembered.keys()) if (remembered.size > mostRemembered) remembered.delete(oldest);
  return known;
}

function made(written: string, keys: readonly UserKeys[], onlyWithUsers: boolean): Attempt {
  try {
    return { value: withKeys(written, keys, onlyWithUsers), reason: undefined };
  } catch (error) {
    // Whatever goes wrong here, the value stays as the operator wrote it.
    return { value: undefined, reason: error instanceof Refusal ? error.reason : 'not certain' };
  }
}

/** Users of our own in user-data would take the place of the users in such vendor-data. */
function mayHaveUsers({ reason, written }: Outcome): boolean {
  if (reason === undefined || reason === 'no cloud-config' || reason === 'no YAML') return false;
  return written.includes('users');
}

/** Does the document that cloud-init takes the users from have the keys? */
function haveArrived(vendor: Outcome, user: Outcome): boolean {
  if (user.values.length > 0 && user.reason === undefined) return true;
  if (vendor.values.length === 0 || vendor.reason !== undefined) return false;
  return user.reason === undefined || isScript(user.written);
}
