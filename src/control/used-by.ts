import { filterInTurns } from '../concurrency/filter-in-turns.js';
import { sortInTurns } from '../concurrency/sort-in-turns.js';
import { Turn } from '../concurrency/turn.js';
import { byName } from '../instances/record-table.js';
import type { Instance } from '../model/instance.js';

/** Instances by name, for each thing that they use. keysOf: what one uses; project: of the instances; undefined: any */
export async function usersOfEach<Key>(
  instances: Instance[],
  keysOf: (instance: Instance) => readonly Key[],
  project?: string,
): Promise<ReadonlyMap<Key, readonly Instance[]>> {
  const turn = new Turn();
  const users = new Map<Key, Instance[]>();
  const isOfProject = (instance: Instance): boolean => project === undefined || instance.project === project;
  const chosen = await filterInTurns(instances, isOfProject, turn);
  for (const instance of await sortInTurns(chosen, byName)) {
    for (const key of keysOf(instance)) {
      const known = users.get(key);
      if (known === undefined) users.set(key, [instance]);
      else known.push(instance);
    }
    const pause = turn.end();
    if (pause !== undefined) await pause;
  }
  return users;
}

/** Characters that are given away at once. */
const partLength = 4096;

/** The JSON of something whose last field is an empty `used_by`, with the urls in it. */
export function* withUsers(shown: object, urls: Iterable<string>): Generator<string, void, void> {
  let part = JSON.stringify(shown).slice(0, -']}'.length);
  let between = '';
  for (const url of urls) {
    part += `${between}${JSON.stringify(url)}`;
    between = ',';
    if (part.length < partLength) continue;
    yield part;
    part = '';
  }
  yield `${part}]}`;
}
