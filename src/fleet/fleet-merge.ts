import { withDerivedKeys } from '../instances/derived-keys.js';
import type { Transaction } from '../instances/draft.js';
import { forgetProfile, replaceProfile } from '../instances/profile-table.js';
import { addProject } from '../instances/project-table.js';
import { keyOf } from '../instances/record-table.js';
import { differenceOf, sameDevice } from '../model/changes.js';
import { defaultProfile, type Instance, type Profile, standInDescription } from '../model/instance.js';
import type { DesiredInstance, DesiredProject } from './desired.js';
import type { Mirror, Subject } from './mirror.js';
import type { Waves } from './waves.js';

/** Why something is not as the fleet says; undefined: it is. */
type Refusal = string | undefined;

type Described = Pick<Profile, 'description' | 'config' | 'devices'>;

/** Makes what is stored what the mirror says, one subject at a time, in one transaction. What runs is never removed. */
export class FleetMerge {
  readonly #transaction: Transaction;
  readonly #mirror: Mirror;
  readonly #waves: Waves;
  #byUuid: Map<string, Instance> | undefined;

  constructor(transaction: Transaction, mirror: Mirror, waves: Waves) {
    this.#transaction = transaction;
    this.#mirror = mirror;
    this.#waves = waves;
  }

  async merge({ kind, project, name }: Subject): Promise<Refusal> {
    if (kind === 'project') return this.#project(name);
    if (kind === 'image') return this.#image(name);
    return kind === 'profile' ? await this.#profile(project, name) : this.#instance(project, name);
  }

  /** Profiles that the fleet has no more are kept until no instance uses them. */
  async sweep(): Promise<void> {
    const { profiles } = this.#transaction;
    const gone = profiles
      .list()
      .filter((profile) => profile.source === 'etcd' && !this.#mirror.profiles.has(keyIn(profile)));
    for (const profile of gone) await forgetProfile(this.#transaction, profile);
  }

  /** A project that the fleet has no more stays: as a name space it does no harm. */
  #project(name: string): Refusal {
    const found = this.#mirror.projects.get(keyOf('', name));
    if (found === undefined) return undefined;
    if ('why' in found) return found.why;
    this.#needProject(name);
    mergeProject(this.#transaction, name, found.value);
    return undefined;
  }

  /** Images are no part of the records; what is wrong with one is told as of anything else. */
  #image(fingerprint: string): Refusal {
    const found = this.#mirror.images.get(keyOf('', fingerprint));
    return found !== undefined && 'why' in found ? found.why : undefined;
  }

  async #profile(project: string, name: string): Promise<Refusal> {
    const found = this.#mirror.profiles.get(keyOf(project, name));
    const subject = { kind: 'profile', project, name } as const;
    if (found === undefined) this.#waves.done(subject);
    if (found === undefined) return undefined; // sweep() removes it
    if ('why' in found) return found.why;
    this.#needProject(project);
    const { profiles } = this.#transaction;
    const before = profiles.get(project, name);
    const { rollout, ...wanted } = found.value;
    if (before === undefined) {
      profiles.create({ id: profiles.newId(), project, name, ...wanted, changedAt: '', source: 'etcd' });
      return undefined;
    }
    if (before.source === undefined && name !== defaultProfile) return `this host has a profile "${name}" of its own`;
    if (before.source === undefined || !isSame(before, wanted)) {
      const revision = this.#mirror.profileRevisions.get(keyOf(project, name)) ?? '0';
      if (before.source !== undefined && this.#waves.postpones(subject, rollout, revision)) return undefined;
      const changed = { ...wanted, changedAt: this.#transaction.timestamp(), source: 'etcd' } as const;
      await replaceProfile(this.#transaction, before, { ...before, ...changed });
    } else this.#waves.done(subject);
    return undefined;
  }

  #instance(project: string, name: string): Refusal {
    const found = this.#mirror.instances.get(keyOf(project, name));
    const before = this.#transaction.get(project, name);
    if (found === undefined) {
      // What runs stays as it was last described, until its init exits.
      if (before?.source === 'etcd' && before.run === undefined) this.#remove(before);
      return undefined;
    }
    if ('why' in found) return found.why;
    return this.#describe(project, name, found.value, before);
  }

  #describe(project: string, name: string, desired: DesiredInstance, there: Instance | undefined): Refusal {
    const profiles = this.#profilesOf(project, desired.profiles);
    if (typeof profiles === 'string') return profiles;
    const before = this.#replaceable(there, desired);
    if (typeof before === 'string') return before;
    const other = this.#withUuid(desired.uuid);
    if (other !== undefined && other.id !== before?.id) return `its uuid is that of ${keyIn(other)}`;
    this.#needProject(project);
    const { type, description, createdAt, config, devices } = desired;
    const said = { project, name, description, profiles, config, devices, source: 'etcd' } as const;
    const stopped = { type, createdAt, guestState: 'Started', run: undefined } as const;
    const known = before ?? { id: this.#transaction.newId(), ...stopped };
    const after = withDerivedKeys({ ...known, ...said }, desired.uuid);
    if (before === undefined) this.#transaction.create(after);
    else if (!isSameInstance(before, after)) this.#transaction.replace(before, after);
    this.#byUuid?.set(desired.uuid, after);
    return undefined;
  }

  /** What becomes the desired instance; undefined: nothing is there (any more) */
  #replaceable(before: Instance | undefined, { uuid, type }: DesiredInstance): Instance | undefined | string {
    if (before === undefined) return undefined;
    if (before.source === undefined) {
      return before.description === standInDescription && before.type === type
        ? before
        : 'this host has an instance of that name of its own';
    }
    if (uuidOf(before) === uuid && before.type === type) return before;
    if (before.run !== undefined) return 'another instance of that name, with another uuid or type, still runs';
    this.#remove(before);
    return undefined;
  }

  #profilesOf(project: string, names: readonly string[]): Profile[] | string {
    const profiles: Profile[] = [];
    for (const name of names) {
      const isThere = this.#mirror.profiles.has(keyOf(project, name));
      if (!isThere && name === defaultProfile) continue; // every project has one, if an empty one
      const profile = isThere ? this.#transaction.profiles.get(project, name) : undefined;
      if (profile?.source !== 'etcd') return `there is no profile "${name}"`;
      profiles.push(profile);
    }
    return profiles;
  }

  #withUuid(uuid: string): Instance | undefined {
    if (this.#byUuid === undefined) {
      this.#byUuid = new Map();
      for (const instance of this.#transaction.values()) this.#byUuid.set(uuidOf(instance), instance);
    }
    return this.#byUuid.get(uuid);
  }

  #remove(instance: Instance): void {
    this.#transaction.remove(instance);
    this.#byUuid?.delete(uuidOf(instance));
  }

  #needProject(name: string): void {
    needProject(this.#transaction, name);
  }
}

/** Projects are there as soon as something is in them. */
export function needProject(transaction: Transaction, name: string): void {
  if (transaction.projects.get('', name) !== undefined) return;
  addProject(transaction, name, { description: '', config: new Map() });
}

export function mergeProject(transaction: Transaction, name: string, wanted: DesiredProject): void {
  const before = transaction.projects.need('', name);
  const { set, removed } = differenceOf(before.config, wanted.config);
  if (before.description === wanted.description && set.length + removed.length === 0) return;
  transaction.projects.replace(before, { ...before, ...wanted });
}

function uuidOf({ config }: Instance): string {
  return config.get('volatile.uuid') ?? '';
}

function keyIn({ project, name }: { readonly project: string; readonly name: string }): string {
  return keyOf(project, name);
}

export function isSameInstance(before: Instance, after: Instance): boolean {
  const sameProfiles =
    before.profiles.length === after.profiles.length &&
    before.profiles.every(({ id }, index) => id === after.profiles[index]?.id);
  return sameProfiles && before.source === after.source && isSame(before, after);
}

export function isSame(before: Described, after: Described): boolean {
  if (before.description !== after.description) return false;
  const keys = differenceOf(before.config, after.config);
  const devices = differenceOf(before.devices, after.devices, sameDevice);
  return keys.set.length + keys.removed.length + devices.set.length + devices.removed.length === 0;
}
