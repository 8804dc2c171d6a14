import { Fault } from '../errors.js';
import { withDerivedKeys } from '../instances/derived-keys.js';
import type { Transaction } from '../instances/draft.js';
import { forgetProfile, replaceProfile } from '../instances/profile-table.js';
import { removeProject } from '../instances/project-table.js';
import type { Limits } from '../limits/limits.js';
import { defaultProfile, type Instance, type Profile } from '../model/instance.js';
import { type DesiredInstance, instanceIn, profileIn, projectIn } from './desired.js';
import { isSame, isSameInstance, mergeProject, needProject } from './fleet-merge.js';
import type { SeenHosts } from './seen-hosts.js';
import type { Described, SeenKey } from './seen-keys.js';

/** Makes records of an endpoint what the keys of the fleet say, in one transaction. */
export class ViewMerge {
  readonly #transaction: Transaction;
  readonly #hosts: SeenHosts;
  readonly #limits: Limits;

  constructor(transaction: Transaction, hosts: SeenHosts, limits: Limits) {
    this.#transaction = transaction;
    this.#hosts = hosts;
    this.#limits = limits;
  }

  /** @returns why it is not as the key says; undefined: it is */
  async merge(described: Described, seen: SeenKey): Promise<string | undefined> {
    if (described.kind === 'project') return this.#project(described, seen);
    if (described.kind === 'profile') return await this.#profile(described, seen);
    return this.#instance(described, seen);
  }

  #project({ name }: Described, { kv, isGone }: SeenKey): string | undefined {
    if (isGone) {
      const there = this.#transaction.projects.get('', name);
      try {
        if (there !== undefined) removeProject(this.#transaction, there);
      } catch (error) {
        if (!(error instanceof Fault)) throw error; // it is not empty, and stays as a name space
      }
      return undefined;
    }
    const read = projectIn(name, kv.value);
    if ('why' in read) return read.why;
    needProject(this.#transaction, name);
    mergeProject(this.#transaction, name, read.value);
    return undefined;
  }

  async #profile({ project, name }: Described, { kv, isGone }: SeenKey): Promise<string | undefined> {
    const { profiles } = this.#transaction;
    const before = profiles.get(project, name);
    if (isGone) {
      if (before !== undefined) await forgetProfile(this.#transaction, before);
      return undefined;
    }
    const read = profileIn(project, name, kv.value, this.#limits);
    if ('why' in read) return read.why;
    needProject(this.#transaction, project);
    const there = profiles.get(project, name); // "default" comes with its project
    const wanted = read.value;
    if (there === undefined) profiles.create({ id: profiles.newId(), project, name, ...wanted, changedAt: '' });
    else if (!isSame(there, wanted) || JSON.stringify(there.rollout) !== JSON.stringify(wanted.rollout)) {
      const { rollout: _, ...rest } = there;
      const changed = { ...wanted, changedAt: this.#transaction.timestamp() };
      await replaceProfile(this.#transaction, there, { ...rest, ...changed });
    }
    return undefined;
  }

  #instance({ project, name, host }: Described, { kv, isGone }: SeenKey): string | undefined {
    const before = this.#transaction.get(project, name);
    if (isGone) {
      if (before?.placement?.host === host) this.#transaction.remove(before);
      return undefined;
    }
    if (before !== undefined && before.placement?.host !== host)
      return `there is one on ${before.placement?.host} as well`;
    const read = instanceIn(project, name, kv.value, this.#limits);
    if ('why' in read) return read.why;
    return this.#describe(project, name, host, read.value, before);
  }

  #describe(
    project: string,
    name: string,
    host: string,
    { uuid, type, description, createdAt, profiles: names, config, devices }: DesiredInstance,
    there: Instance | undefined,
  ): string | undefined {
    needProject(this.#transaction, project);
    const profiles = names.map((each) => this.#transaction.profiles.get(project, each));
    const missing = names.find((each, index) => profiles[index] === undefined && each !== defaultProfile);
    if (missing !== undefined) return `there is no profile "${missing}"`;
    const before = there?.type === type ? there : undefined;
    if (there !== undefined && before === undefined) this.#transaction.remove(there);
    const made = { id: before?.id ?? this.#transaction.newId(), project, name, type, description, createdAt };
    const rest = { config, devices, guestState: 'Started', run: undefined, source: 'etcd' } as const;
    const used = profiles.filter((profile): profile is Profile => profile !== undefined);
    const placement = this.#hosts.get(host);
    const after = withDerivedKeys({ ...made, profiles: used, ...rest, placement }, uuid);
    if (before === undefined) this.#transaction.create(after);
    else if (!isSameInstance(before, after)) this.#transaction.replace(before, after);
    return undefined;
  }
}
