import { differenceOf, sameDevice } from '../instances/changes.js';
import type { Transaction } from '../instances/draft.js';
import { firstGuestState, type Instance, readyKey, type SourceName } from '../instances/model.js';
import { createProject } from '../instances/projects.js';
import { keyOf } from '../instances/table.js';
import type { SourcedInstance } from './source.js';

/**
 * Makes the source's instances in the store what the source says: all of them, so what it does not name is gone.
 * @returns those that are not taken in, since an instance of our own has their name
 */
export function mergeAll(
  transaction: Transaction,
  source: SourceName,
  all: readonly SourcedInstance[],
): SourcedInstance[] {
  const stored = transaction.list().filter((instance) => instance.source === source);
  const byIdentity = new Map(stored.map((instance) => [identityOf(instance), instance]));
  const named = new Set(all.map(identityOf));
  for (const instance of stored) if (!named.has(identityOf(instance))) transaction.remove(instance);
  // Two may have changed names with each other: all let go of theirs before any gets another.
  const renamed = new Map<string, Instance>();
  for (const found of all) {
    const before = byIdentity.get(identityOf(found));
    if (before === undefined || (before.name === found.name && before.project === found.project)) continue;
    const nameless = { ...before, name: `.${before.id}` };
    transaction.replace(before, nameless);
    renamed.set(identityOf(found), nameless);
  }
  return all.filter((found) => {
    const before = renamed.get(identityOf(found)) ?? byIdentity.get(identityOf(found));
    return !mergeOne(transaction, source, found, before);
  });
}

/**
 * The same for one.
 * @returns is it there now?
 */
export function mergeOne(
  transaction: Transaction,
  source: SourceName,
  found: SourcedInstance,
  before: Instance | undefined,
): boolean {
  const other = transaction.get(found.project, found.name);
  if (other !== undefined && other.id !== before?.id) return false;
  if (transaction.projects.get('', found.project) === undefined) {
    createProject(transaction, found.project, { description: '', config: new Map() });
  }
  const { project, name, description, createdAt, config, devices } = found;
  const said = { project, name, description, config, devices };
  if (before === undefined) {
    const rest = { profiles: [], guestState: 'Started', run: undefined, source } as const;
    transaction.create({ id: transaction.newId(), createdAt, ...said, ...rest });
  } else if (!isSame(before, found)) {
    transaction.replace(before, following(before, { ...before, ...said }));
  }
  return true;
}

/** Its guest speaks to us, but may have spoken to the source while we were away; then the source's word changes. */
function following(before: Instance, after: Instance): Instance {
  if (after.config.get(readyKey) === before.config.get(readyKey)) return after;
  return { ...after, guestState: firstGuestState(after) };
}

/** What stays when an instance is renamed, and is another for one that is made anew under its name. */
export function identityOf({ project, name, config }: Pick<Instance, 'project' | 'name' | 'config'>): string {
  return config.get('volatile.uuid') || keyOf(project, name);
}

function isSame(before: Instance, { project, name, description, config, devices }: SourcedInstance): boolean {
  if (before.project !== project || before.name !== name || before.description !== description) return false;
  const keys = differenceOf(before.config, config);
  const others = differenceOf(before.devices, devices, sameDevice);
  return keys.set.length + keys.removed.length + others.set.length + others.removed.length === 0;
}
