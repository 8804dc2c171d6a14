import { Turn } from '../concurrency/turn.js';
import { Fault, invalid } from '../errors.js';
import type { Limits } from '../limits/limits.js';
import {
  type Config,
  type Devices,
  defaultProfile,
  type Instance,
  type Profile,
  type Rollout,
} from '../model/instance.js';
import type { Transaction } from './draft.js';
import { changesVolatile, withoutEmpty, withProfile } from './edit.js';
import { checkOther } from './record-table.js';
import { checkConfig, checkDevices, checkProfileName } from './validate.js';

/** What an operator says of a profile. */
export interface WantedProfile {
  readonly description: string;
  readonly config: Config;
  readonly devices: Devices;
}

/**
 * @throws Fault invalid-value, naming the field, or already-exists
 */
export function createProfile(
  transaction: Transaction,
  project: string,
  name: string,
  wanted: WantedProfile,
  limits: Limits,
): void {
  checkProfileName(name);
  transaction.projects.need('', project);
  const { description, config, devices } = checked(wanted, undefined, limits);
  transaction.profiles.create({
    id: transaction.profiles.newId(),
    project,
    name,
    description,
    config,
    devices,
    changedAt: '',
  });
}

/**
 * The profile with what is wanted, and every instance that uses it with that. rollout: how a fleet's hosts take it; left
 * out: at once
 * @throws Fault invalid-value, naming the field
 */
export async function editProfile(
  transaction: Transaction,
  before: Profile,
  wanted: WantedProfile,
  limits: Limits,
  rollout?: Rollout,
): Promise<void> {
  const { rollout: _, ...rest } = before;
  const after = { ...rest, ...checked(wanted, before, limits), changedAt: transaction.timestamp() };
  await replaceProfile(transaction, before, rollout === undefined ? after : { ...after, rollout });
}

const most = { waves: 1000, seconds: 7 * 86_400 } as const;
/** No timer of Node is longer than 24 days. */
const mostSeconds = 14 * 86_400;

/** @throws Fault invalid-value, naming the field */
export function checkedRollout(rollout: Rollout): Rollout {
  for (const field of ['waves', 'seconds'] as const) {
    const value = rollout[field];
    if (!Number.isInteger(value) || value < 1 || value > most[field])
      throw invalid(`rollout.${field}`, `takes a whole number from 1 to ${most[field]}`);
  }
  if (rollout.waves * rollout.seconds > mostSeconds)
    throw invalid('rollout.seconds', 'all waves together take at most 14 days');
  return rollout;
}

/** @throws Fault invalid-value, already-exists or forbidden */
export async function renameProfile(transaction: Transaction, before: Profile, name: string): Promise<void> {
  if (before.name === defaultProfile) throw new Fault('forbidden', `The "${before.name}" profile cannot be renamed`);
  checkProfileName(name);
  checkOther('Profile', before.name, name);
  await replaceProfile(transaction, before, { ...before, name });
}

/** @throws Fault in-use or forbidden */
export function removeProfile(transaction: Transaction, profile: Profile): void {
  if (profile.name === defaultProfile) throw new Fault('forbidden', `The "${profile.name}" profile cannot be deleted`);
  for (const user of transaction.values()) {
    if (!uses(user, profile)) continue;
    throw new Fault('in-use', `The profile "${profile.name}" is in use, by the instance "${user.name}" at least`);
  }
  transaction.profiles.remove(profile);
}

/** A profile that the fleet has no more: it is removed once no instance uses it. The one that every project has is emptied. */
export async function forgetProfile(transaction: Transaction, profile: Profile): Promise<void> {
  if (profile.name === defaultProfile) {
    const { source: _, ...ours } = profile;
    const empty = { description: '', config: new Map(), devices: new Map(), changedAt: transaction.timestamp() };
    await replaceProfile(transaction, profile, { ...ours, ...empty });
    return;
  }
  for (const user of transaction.values()) if (uses(user, profile)) return;
  transaction.profiles.remove(profile);
}

/** What was asked for last: most instances have the same profiles, and so the same list. */
let lastNamed: readonly Profile[] = [];

/**
 * The profiles of these names.
 * @throws Fault invalid-value, naming the first that there is not
 */
export function profilesNamed(transaction: Transaction, project: string, names: readonly string[]): readonly Profile[] {
  const { profiles } = transaction;
  const isLast = names.every((name, index) => profiles.get(project, name) === lastNamed[index]);
  if (isLast && names.length === lastNamed.length) return lastNamed;
  lastNamed = names.map((name, index) => {
    const found = profiles.get(project, name);
    if (found === undefined) throw invalid('profiles', `Profile "${name}" not found`);
    if (names.indexOf(name) !== index) throw invalid('profiles', `"${name}" is there twice`);
    return found;
  });
  return lastNamed;
}

/**
 * Instances that run have the new version at once, with the events that it makes; others have it when somebody looks at
 * them. Those that an older version of devlxd has written are changed here where their own keys change with it.
 */
export async function replaceProfile(transaction: Transaction, before: Profile, after: Profile): Promise<void> {
  const touchesVolatile = changesVolatile(before, after);
  const turn = new Turn();
  const users: Instance[] = [];
  for (const instance of [...transaction.running(), ...(touchesVolatile ? transaction.seedless() : [])]) {
    if (uses(instance, before)) users.push(instance);
    await turn.end();
  }
  transaction.profiles.replace(before, after);
  for (const instance of users) {
    const edited = withProfile(instance, after, touchesVolatile);
    if (edited.run !== undefined || edited.config !== instance.config) transaction.replace(instance, edited);
    await turn.end();
  }
}

function uses({ profiles }: Instance, { id }: Profile): boolean {
  return profiles.some((profile) => profile.id === id);
}

function checked(
  { description, config, devices }: WantedProfile,
  before: Profile | undefined,
  limits: Limits,
): WantedProfile {
  checkConfig(config, before?.config, limits);
  checkDevices(devices);
  return { description, config: withoutEmpty(config), devices };
}
