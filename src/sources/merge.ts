import type { Transaction } from '../instances/draft.js';
import { addProject } from '../instances/project-table.js';
import { keyOf } from '../instances/record-table.js';
import { differenceOf, sameDevice } from '../model/changes.js';
import { firstGuestState, type Instance, readyKey, type SourceName } from '../model/instance.js';
import type { Listed, SourcedInstance } from './source.js';

/** Does the source say what we have told it of this instance? */
type IsEcho = (instance: Instance) => boolean;

/** What has become of one that the source has told of. */
export type Merged =
  | 'merged'
  /** an instance of our own has its name */
  | 'refused'
  /** only the list of all says what has become of the one that had its name, or its identity */
  | 'unclear';

/**
 * Makes the source's instances in the store what the source says: all of them, so what it does not name is gone.
 * @returns the instances that are left out because one of our own has the name
 */
export function mergeAll(
  transaction: Transaction,
  source: SourceName,
  { instances: all, unread }: Listed,
  isEcho: IsEcho,
): SourcedInstance[] {
  const stored = transaction.list().filter((instance) => instance.source === source);
  const identity = identities(stored, all);
  const byIdentity = new Map(stored.map((instance) => [identity(instance), instance]));
  const named = new Set(all.map(identity));
  const kept = new Set(unread.map(({ project, name }) => keyOf(project, name)));
  for (const instance of stored) {
    if (!named.has(identity(instance)) && !kept.has(keyOf(instance.project, instance.name)))
      transaction.remove(instance);
  }
  // Two may have changed names with each other: all let go of theirs before any gets another.
  const renamed = new Map<string, Instance>();
  for (const found of all) {
    const before = byIdentity.get(identity(found));
    if (before === undefined || (before.name === found.name && before.project === found.project)) continue;
    const nameless = { ...before, name: `.${before.id}` };
    transaction.replace(before, nameless);
    renamed.set(identity(found), nameless);
  }
  return all.filter((found) => {
    const before = renamed.get(identity(found)) ?? byIdentity.get(identity(found));
    const isIn = mergeOne(transaction, source, found, before, isEcho);
    if (!isIn && before !== undefined) transaction.remove(before);
    return !isIn;
  });
}

/** The same for one, of which nothing is said but what it is now. */
export function mergeFound(
  transaction: Transaction,
  source: SourceName,
  found: SourcedInstance,
  isEcho: IsEcho,
): Merged {
  const there = transaction.get(found.project, found.name);
  if (there !== undefined && there.source !== source) return 'refused';
  const isOther =
    there === undefined ? transaction.list().some((other) => isSameOne(other, found)) : !isSameOne(there, found);
  if (isOther) return 'unclear';
  mergeOne(transaction, source, found, there, isEcho);
  return 'merged';
}

/** @returns is it there now? */
function mergeOne(
  transaction: Transaction,
  source: SourceName,
  found: SourcedInstance,
  before: Instance | undefined,
  isEcho: IsEcho,
): boolean {
  const other = transaction.get(found.project, found.name);
  if (other !== undefined && other.id !== before?.id) return false;
  if (transaction.projects.get('', found.project) === undefined) {
    addProject(transaction, found.project, { description: '', config: new Map() });
  }
  const { project, name, description, createdAt, config, devices } = found;
  const said = { project, name, description, config, devices };
  if (before === undefined) {
    const rest = { type: 'container', profiles: [], guestState: 'Started', run: undefined, source } as const;
    transaction.create({ id: transaction.newId(), createdAt, ...said, ...rest });
  } else {
    const isOurs = isEcho(before);
    const after = { ...before, ...said };
    if (!isSame(before, found)) transaction.replace(before, isOurs ? after : following(before, after));
  }
  return true;
}

/**
 * Its guest speaks to us, but may have spoken to the source while we were away; then the source's word changes.
 */
function following(before: Instance, after: Instance): Instance {
  if (after.config.get(readyKey) === before.config.get(readyKey)) return after;
  return { ...after, guestState: firstGuestState(after) };
}

type Identified = Pick<Instance, 'project' | 'name' | 'config'>;

/** Stable when an instance is renamed; different for a new instance of the same name. */
export function identityOf({ project, name, config }: Identified): string {
  return config.get('volatile.uuid') || keyOf(project, name);
}

function isSameOne(a: Identified, b: Identified): boolean {
  return identityOf(a) === identityOf(b);
}

/** As identityOf, but falls back to project/name where an identity is not unique. */
function identities(...lists: readonly (readonly Identified[])[]): (instance: Identified) => string {
  const shared = new Set(lists.flatMap(twice));
  return (instance) => {
    const identity = identityOf(instance);
    return shared.has(identity) ? keyOf(instance.project, instance.name) : identity;
  };
}

/** The identities that several have. */
function twice(instances: readonly Identified[]): string[] {
  const seen = new Set<string>();
  return instances.map(identityOf).filter((identity) => seen.size === seen.add(identity).size);
}

function isSame(before: Instance, { project, name, description, config, devices }: SourcedInstance): boolean {
  if (before.project !== project || before.name !== name || before.description !== description) return false;
  const keys = differenceOf(before.config, config);
  const others = differenceOf(before.devices, devices, sameDevice);
  return keys.set.length + keys.removed.length + others.set.length + others.removed.length === 0;
}
