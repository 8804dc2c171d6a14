import {
  differenceOf,
  type ProfileChange,
  type ProjectChange,
  sameDevice,
  type Written,
  type WrittenChange,
} from '../model/changes.js';
import { lastOf } from '../model/guest-events.js';
import type { Config, Device, Devices, Instance } from '../model/instance.js';
import { haveSameSeed, seedOf, storedVersionOf } from '../model/seed.js';
import type { Statement } from './store-worker.js';

/** What is to be written for one change. */
export function statementsOf(change: Written): Statement[] {
  if (change.kind === 'instance') return instanceStatements(change);
  if (change.kind === 'profile') return profileStatements(change);
  return projectStatements(change);
}

function instanceStatements({ before, after, events }: WrittenChange): Statement[] {
  if (after === undefined) return before === undefined ? [] : [['deleteInstance', [before.id]]];
  const { id } = after;
  const stored = before && storedVersionOf(before);
  const keys = differenceOf(stored?.config ?? new Map(), after.config);
  const devices = differenceOf(before?.devices ?? new Map<string, Device>(), after.devices, sameDevice);
  return [
    ...(stored !== undefined && isSameRow(stored, after)
      ? []
      : [['putInstance', instanceRow(after)] satisfies Statement]),
    ...keys.removed.map((key): Statement => ['deleteKey', [id, key]]),
    ...keys.set.map(([key, value]): Statement => ['putKey', [id, key, value]]),
    ...devices.removed.map((name): Statement => ['deleteDevice', [id, name]]),
    ...devices.set.map(([name, device]): Statement => ['putDevice', [id, name, JSON.stringify([...device])]]),
    ...gapBefore(before, after),
    ...events.map(({ timestamp, type, text }): Statement => ['putEvent', [id, timestamp, type, text]]),
  ];
}

/**
 * A change of a profile is no event of the instances that do not run: one that is started, or loses the profile, knows
 * up to when it may have missed some.
 */
function gapBefore(before: Instance | undefined, { id, run, profiles, createdAt }: Instance): Statement[] {
  if (before?.run !== undefined) return [];
  const lost = (before?.profiles ?? []).filter((was) => !profiles.some((used) => used.id === was.id));
  const last = lastOf([...lost, ...(run === undefined ? [] : profiles)].map(({ changedAt }) => changedAt));
  // The one has milliseconds, the other nanoseconds.
  return last === undefined || last < createdAt.slice(0, -1) ? [] : [['putGap', [id, last]]];
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

function instanceRow(instance: Instance): Statement[1] {
  const { id, project, name, description, createdAt, profiles, guestState, run, source = '', type } = instance;
  const used = JSON.stringify(profiles.map((profile) => profile.id));
  const ran = run === undefined ? [null, null, null] : [run.pid, run.startTicks, run.bootId];
  return [
    id,
    project,
    name,
    description,
    createdAt,
    used,
    guestState,
    ...ran,
    source,
    type,
    run?.cid ?? null,
    seedIn(instance),
  ];
}

function profileStatements({ before, after }: ProfileChange): Statement[] {
  if (after === undefined) return before === undefined ? [] : [['deleteProfile', [before.id]]];
  const { id, project, name, description, config, devices, changedAt, source = '' } = after;
  const texts = [configText(config), devicesText(devices), changedAt, source];
  return [['putProfile', [id, project, name, description, ...texts]]];
}

function projectStatements({ before, after }: ProjectChange): Statement[] {
  if (after === undefined) return before === undefined ? [] : [['deleteProject', [before.id]]];
  return [['putProject', [after.id, after.name, after.description, configText(after.config)]]];
}

function configText(config: Config): string {
  return JSON.stringify([...config]);
}

function devicesText(devices: Devices): string {
  return JSON.stringify([...devices].map(([name, device]) => [name, [...device]]));
}
