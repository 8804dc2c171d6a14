import type { IdentityKey } from '../model/identity-key.js';

/**
 * Which key does what, and when. All times are milliseconds since 1970; life is the longest life of a document.
 *
 * There is always one key that signs and one that waits for its turn. The waiting one is published from its creation
 * on, so that verifiers which cache the list know it before the first document that it signs. A key that has signed
 * stays published until the last document that it has signed is over.
 */

/** The key that signs at this time; undefined: there is none yet. */
export function signingKey(keys: readonly IdentityKey[], now: number): IdentityKey | undefined {
  let found: IdentityKey | undefined;
  for (const key of keys) {
    if (key.signsFrom === undefined || key.signsFrom > now) continue;
    if (found === undefined || key.signsFrom > (found.signsFrom ?? 0)) found = key;
  }
  return found;
}

/** The key that signs next: it waits for a rotation, or a rotation has given it a time that is still to come. */
export function nextKey(keys: readonly IdentityKey[], now: number): IdentityKey | undefined {
  return keys.find(({ signsFrom }) => signsFrom === undefined || signsFrom > now);
}

/** When the next key begins to sign, if the keys are rotated now: not before it has been published for one life. */
export function rotationTime(next: IdentityKey, now: number, life: number): number {
  return Math.max(now, next.createdAt + life);
}

/** The keys whose documents can still be valid, or will be: the list for verifiers, in the order of their creation. */
export function publishedKeys(keys: readonly IdentityKey[], now: number, life: number): IdentityKey[] {
  return keys.filter((key) => !isOver(key, keys, now, life)).sort(byAge);
}

/** The keys that no valid document names any more: they can be forgotten. */
export function expiredKeys(keys: readonly IdentityKey[], now: number, life: number): IdentityKey[] {
  return keys.filter((key) => isOver(key, keys, now, life));
}

function byAge(a: IdentityKey, b: IdentityKey): number {
  return a.createdAt - b.createdAt || (a.signsFrom ?? Number.MAX_VALUE) - (b.signsFrom ?? Number.MAX_VALUE);
}

function isOver(key: IdentityKey, keys: readonly IdentityKey[], now: number, life: number): boolean {
  const from = key.signsFrom;
  if (from === undefined) return false;
  const successors = keys.flatMap(({ signsFrom = Number.POSITIVE_INFINITY }) => (signsFrom > from ? [signsFrom] : []));
  return Math.min(...successors) + life < now;
}
