import { availableParallelism } from 'node:os';

/** Runs over all items, as many at once as there are cores, in their order; the results are in that order too. */
export async function inParallel(items, run) {
  const left = [...items.entries()];
  const results = [];
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) results[next[0]] = await run(next[1]);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  return results;
}
