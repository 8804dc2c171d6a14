import { Fault, invalid } from '../errors.js';
import type { Limits } from '../limits/limits.js';
import { type Config, type Devices, defaultProfile, type Instance, type Profile } from '../model/instance.js';
import type { Transaction } from './draft.js';
import { profileEdit, withoutEmpty } from './edit.js';
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
  transaction.profiles.create({ id: transaction.profiles.newId(), project, name, description, config, devices });
}

/**
 * The profile with what is wanted, and every instance that uses it with that.
 * @throws Fault invalid-value, naming the field
 */
export function editProfile(transaction: Transaction, before: Profile, wanted: WantedProfile, limits: Limits): void {
  replace(transaction, before, { ...before, ...checked(wanted, before, limits) });
}

/** @throws Fault invalid-value, already-exists or forbidden */
export function renameProfile(transaction: Transaction, before: Profile, name: string): void {
  if (before.name === defaultProfile) throw new Fault('forbidden', `The "${before.name}" profile cannot be renamed`);
  checkProfileName(name);
  checkOther('Profile', before.name, name);
  replace(transaction, before, { ...before, name });
}

/** @throws Fault in-use or forbidden */
export function removeProfile(transaction: Transaction, profile: Profile): void {
  if (profile.name === defaultProfile) throw new Fault('forbidden', `The "${profile.name}" profile cannot be deleted`);
  const [user] = usersOf(transaction.list(profile.project), profile);
  if (user !== undefined) {
    throw new Fault('in-use', `The profile "${profile.name}" is in use, by the instance "${user.name}" at least`);
  }
  transaction.profiles.remove(profile);
}

/** The instances that use a profile. */
export function usersOf(instances: readonly Instance[], profile: Profile): Instance[] {
  return instances.filter(({ profiles }) => profiles.some(({ id }) => id === profile.id));
}

/**
 * The profiles of these names.
 * @throws Fault invalid-value, naming the first that there is not
 */
export function profilesNamed(transaction: Transaction, project: string, names: readonly string[]): Profile[] {
  return names.map((name, index) => {
    const found = transaction.profiles.get(project, name);
    if (found === undefined) throw invalid('profiles', `Profile "${name}" not found`);
    if (names.indexOf(name) !== index) throw invalid('profiles', `"${name}" is there twice`);
    return found;
  });
}

function replace(transaction: Transaction, before: Profile, after: Profile): void {
  transaction.profiles.replace(before, after);
  const edit = profileEdit(before, after);
  for (const instance of usersOf(transaction.list(before.project), before)) {
    transaction.replace(instance, edit(instance));
  }
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
