import type { Instance, Profile } from '../model/instance.js';
import { areRead, shownWith, storedVersionOf } from '../model/seed.js';
import { configWith } from './derived-keys.js';
import { changesVolatile } from './edit.js';

interface Latest {
  readonly profiles: readonly Profile[];
  /** keys that are the daemon's own may follow from it */
  readonly touchesVolatile: boolean;
}

/**
 * Which version of each profile holds. A change of a profile that a hundred thousand instances use is one change: an
 * instance is given the profile's new version when somebody looks at it.
 */
export class ProfileVersions {
  readonly #latest: (id: Profile['id']) => Profile | undefined;
  /** by the profiles that an instance was last seen with, so that many have one list */
  #known: WeakMap<readonly Profile[], Latest> | undefined;

  constructor(latest: (id: Profile['id']) => Profile | undefined) {
    this.#latest = latest;
  }

  /** The instance with the versions that hold; the same object where it has them. */
  shown(instance: Instance): Instance {
    if (this.#areLatest(instance.profiles)) return instance;
    const stored = storedVersionOf(instance);
    const { profiles, touchesVolatile } = this.#latestOf(stored.profiles);
    if (touchesVolatile || areRead(stored.profiles)) return shownWith(stored, profiles, configWith);
    return { ...stored, profiles };
  }

  #latestOf(used: readonly Profile[]): Latest {
    const known = this.#known?.get(used);
    if (known !== undefined && this.#areLatest(known.profiles)) return known;
    const pairs = used.map((profile) => [profile, this.#latest(profile.id) ?? profile] as const);
    const made = {
      profiles: pairs.map(([, latest]) => latest),
      touchesVolatile: pairs.some(([before, after]) => changesVolatile(before, after)),
    };
    this.#known ??= new WeakMap();
    this.#known.set(used, made);
    return made;
  }

  #areLatest(used: readonly Profile[]): boolean {
    for (const profile of used) if ((this.#latest(profile.id) ?? profile) !== profile) return false;
    return true;
  }
}
