import type { Random } from '../fuzz/random.js';

/**
 * Deals kinds out, so many at a time, in an order that nobody knows: none comes again before each has come once, but to
 * fill up the last of a round.
 */
export function* dealt(kinds: readonly string[], atOnce: number, random: Random): Generator<readonly string[], never> {
  let left: string[] = [];
  for (;;) {
    const set = new Set<string>();
    while (set.size < Math.min(atOnce, kinds.length)) {
      if (left.length === 0) left = [...kinds];
      const [kind = ''] = left.splice(random.below(left.length), 1);
      set.add(kind);
    }
    yield [...set];
  }
}
