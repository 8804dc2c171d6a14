import type { Instance, Profile } from '../model/instance.js';

/**
 * Which version of each profile holds. A change of a profile that a hundred thousand instances use is one change: an
 * instance is given the profile's new version when somebody looks at it.
 */
export class ProfileVersions {
  readonly #latest: (id: Profile['id']) => Profile | undefined;
  /** by the profiles that an instance was last seen with, so that many have one list */
  readonly #known = new WeakMap<readonly Profile[], readonly Profile[]>();

  constructor(latest: (id: Profile['id']) => Profile | undefined) {
    this.#latest = latest;
  }

  /** The instance with the versions that hold; the same object where it has them. */
  shown(instance: Instance): Instance {
    const profiles = this.#latestOf(instance.profiles);
    return profiles === instance.profiles ? instance : { ...instance, profiles };
  }

  #latestOf(used: readonly Profile[]): readonly Profile[] {
    if (this.#areLatest(used)) return used;
    const known = this.#known.get(used);
    if (known !== undefined && this.#areLatest(known)) return known;
    const made = used.map((profile) => this.#latest(profile.id) ?? profile);
    this.#known.set(used, made);
    return made;
  }

  #areLatest(used: readonly Profile[]): boolean {
    return used.every((profile) => (this.#latest(profile.id) ?? profile) === profile);
  }
}
