import type { Change } from '../model/changes.js';
import type { Instance, Profile } from '../model/instance.js';
import { storedVersionOf } from '../model/seed.js';
import { ProfileVersions } from './profile-versions.js';
import { Table } from './record-table.js';

/** All instances, in memory. Each is shown with the versions of its profiles that hold. */
export class InstanceTable extends Table<Instance> {
  readonly #profiles: Table<Profile>;
  readonly #versions: ProfileVersions;
  readonly #running = new Set<Instance['id']>();
  /** ids of those that an older version of devlxd has written: their keys stand for no seed yet */
  readonly #seedless = new Set<Instance['id']>();
  #size = 0;

  constructor(profiles: Table<Profile>) {
    super('Instance');
    this.#profiles = profiles;
    this.#versions = new ProfileVersions((id) => profiles.byId(id));
  }

  override get(key: string): Instance | undefined {
    return this.#shown(super.get(key));
  }

  override byId(id: number): Instance | undefined {
    return this.#shown(super.byId(id));
  }

  override *values(): Generator<Instance, void, void> {
    for (const kept of super.values()) yield this.#shown(kept) as Instance;
  }

  get size(): number {
    return this.#size;
  }

  /** The ids of those that run. */
  running(): Iterable<Instance['id']> {
    return this.#running.values();
  }

  override load(instance: Instance, hasSeed = true): void {
    super.load(instance);
    if (!hasSeed) this.#seedless.add(instance.id);
    this.#size++;
    if (instance.run !== undefined) this.#running.add(instance.id);
  }

  /** Those whose own keys do not follow from their profiles by themselves. */
  seedless(): Iterable<Instance['id']> {
    return this.#seedless.values();
  }

  protected override put(id: Instance['id'], after: Instance | undefined): void {
    super.put(id, after);
    this.#seedless.delete(id);
  }

  /** Takes note of what has entered. runs: what has started or ended; growth: by how many there are more */
  count(runs: readonly Change[], growth: number): void {
    this.#size += growth;
    for (const { before, after } of runs) {
      if (after?.run !== undefined) this.#running.add(after.id);
      else if (before !== undefined) this.#running.delete(before.id);
    }
  }

  /**
   * All there are, in no order and as they are now, whatever is written afterwards.
   * shown: gives what is to be looked at of one of them
   */
  snapshot(): { readonly kept: Instance[]; readonly shown: (kept: Instance) => Instance } {
    const kept = [...super.values()];
    const profiles = new Map([...this.#profiles.values()].map((profile) => [profile.id, profile]));
    const versions = new ProfileVersions((id) => profiles.get(id));
    return { kept, shown: (instance) => versions.shown(instance) };
  }

  #shown(kept: Instance | undefined): Instance | undefined {
    if (kept === undefined) return undefined;
    const shown = this.#versions.shown(kept);
    if (shown !== kept && storedVersionOf(shown) === shown) this.keep(shown);
    return shown;
  }
}
