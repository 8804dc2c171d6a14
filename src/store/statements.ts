import {
  differenceOf,
  type ProfileChange,
  type ProjectChange,
  sameDevice,
  type Written,
  type WrittenChange,
} from '../model/changes.js';
import { lastOf } from '../model/guest-events.js';
import type { Config, Devices, Instance } from '../model/instance.js';
import { haveSameSeed, seedOf, storedVersionOf } from '../model/seed.js';
import type { StatementList } from './writer.js';

/** Adds what is to be written for one change. */
export function addStatements(list: StatementList, change: Written): void {
  if (change.kind === 'instance') addInstance(list, change);
  else if (change.kind === 'profile') addProfile(list, change);
  else addProject(list, change);
}

function addInstance(list: StatementList, { before, after, events }: WrittenChange): void {
  if (after === undefined) {
    if (before !== undefined) list.add('deleteInstance', before.id);
    return;
  }
  if (before === undefined) addNew(list, after);
  else addDifference(list, before, after);
  const { id } = after;
  const gap = gapBefore(before, after);
  if (gap !== undefined) list.add('putGap', id, gap);
  for (const { timestamp, type, text } of events) list.begin('putEvent').put(id).put(timestamp).put(type).put(text);
}

function addNew(list: StatementList, instance: Instance): void {
  const { id, config, devices } = instance;
  addRow(list, 'addInstance', instance);
  for (const [key, value] of config) list.begin('addKey').put(id).put(key).put(value);
  for (const [name, device] of devices) list.add('addDevice', id, name, JSON.stringify([...device]));
}

function addDifference(list: StatementList, before: Instance, after: Instance): void {
  const { id } = after;
  const stored = storedVersionOf(before);
  const keys = differenceOf(stored.config, after.config);
  const devices = differenceOf(before.devices, after.devices, sameDevice);
  if (!isSameRow(stored, after)) addRow(list, 'putInstance', after);
  for (const key of keys.removed) list.add('deleteKey', id, key);
  for (const [key, value] of keys.set) list.begin('putKey').put(id).put(key).put(value);
  for (const name of devices.removed) list.add('deleteDevice', id, name);
  for (const [name, device] of devices.set) list.add('putDevice', id, name, JSON.stringify([...device]));
}

/**
 * A change of a profile is no event of the instances that do not run: one that is started, or loses the profile, knows
 * up to when it may have missed some.
 */
function gapBefore(before: Instance | undefined, { run, profiles, createdAt }: Instance): string | undefined {
  if (before?.run !== undefined) return undefined;
  if (run === undefined && (before === undefined || before.profiles === profiles)) return undefined;
  const lost = (before?.profiles ?? []).filter((was) => !profiles.some((used) => used.id === was.id));
  const last = lastOf([...lost, ...(run === undefined ? [] : profiles)].map(({ changedAt }) => changedAt));
  // The one has milliseconds, the other nanoseconds.
  return last === undefined || last < createdAt.slice(0, -1) ? undefined : last;
}

const columns = ['project', 'name', 'description', 'guestState', 'run', 'source'] as const;

function isSameRow(before: Instance, after: Instance): boolean {
  if (columns.some((column) => before[column] !== after[column])) return false;
  const ids = after.profiles.map(({ id }) => id);
  if (before.profiles.length !== ids.length || before.profiles.some(({ id }, index) => id !== ids[index])) return false;
  const isSame = before.config === after.config && before.profiles === after.profiles;
  return isSame || after.profiles.length === 0 || haveSameSeed(before, after);
}

/** Nothing of its own follows from profiles where it has none. */
function seedIn(instance: Instance): string {
  return instance.profiles.length === 0 ? '' : seedOf(instance);
}

function addRow(list: StatementList, name: 'addInstance' | 'putInstance', instance: Instance): void {
  const { id, project, description, createdAt, profiles, guestState, run, source = '', type } = instance;
  list.begin(name).put(id).put(project).put(instance.name).put(description).put(createdAt);
  list.put(idsText(profiles)).put(guestState);
  list
    .put(run?.pid ?? null)
    .put(run?.startTicks ?? null)
    .put(run?.bootId ?? null);
  list
    .put(source)
    .put(type)
    .put(run?.cid ?? null)
    .put(seedIn(instance));
}

/** Of the last list: most instances have the same. */
let lastIds: { readonly profiles: Instance['profiles']; readonly text: string } | undefined;

function idsText(profiles: Instance['profiles']): string {
  if (lastIds?.profiles !== profiles) lastIds = { profiles, text: JSON.stringify(profiles.map(({ id }) => id)) };
  return lastIds.text;
}

function addProfile(list: StatementList, { before, after }: ProfileChange): void {
  if (after === undefined) {
    if (before !== undefined) list.add('deleteProfile', before.id);
    return;
  }
  const { id, project, name, description, config, devices, changedAt, source = '' } = after;
  const texts = [configText(config), devicesText(devices), changedAt, source];
  list.add('putProfile', id, project, name, description, ...texts);
}

function addProject(list: StatementList, { before, after }: ProjectChange): void {
  if (after !== undefined) list.add('putProject', after.id, after.name, after.description, configText(after.config));
  else if (before !== undefined) list.add('deleteProject', before.id);
}

function configText(config: Config): string {
  return JSON.stringify([...config]);
}

function devicesText(devices: Devices): string {
  return JSON.stringify([...devices].map(([name, device]) => [name, [...device]]));
}
