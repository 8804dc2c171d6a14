import { isVolatile } from '../instances/edit.js';
import { differenceOf, sameDevice } from '../model/changes.js';
import type { Config, Devices } from '../model/instance.js';

/** What instances, profiles and projects have in common. */
export interface Described {
  readonly name: string;
  readonly description: string;
  readonly config: Config;
  readonly devices?: Devices;
  readonly profiles?: readonly { readonly name: string }[];
}

/** The most changes that an event describes, and the most characters of a value: both may be large. */
const mostChanges = 20;
const longestValue = 60;

/** Which fields an edit has changed, and from what to what: `{"config.user.role": "db -> web"}`. */
export function changesOf(before: Described, after: Described): Record<string, string> {
  const changes = [
    ...fieldChange('description', before.description, after.description),
    ...fieldChange('profiles', namesIn(before), namesIn(after)),
    ...configChanges(before.config, after.config),
    ...deviceChanges(before.devices ?? new Map(), after.devices ?? new Map()),
  ];
  const more = changes.length - mostChanges;
  return Object.fromEntries([
    ...changes.slice(0, mostChanges),
    ...(more > 0 ? [['more', `${more} other changes`] as const] : []),
  ]);
}

type FieldChange = readonly [field: string, change: string];

function* fieldChange(field: string, before: string, after: string): Iterable<FieldChange> {
  if (before !== after) yield [field, `${short(before)} -> ${short(after)}`];
}

function configChanges(before: Config, after: Config): FieldChange[] {
  const { set, removed } = differenceOf(before, after);
  return [...set.map(([key]) => key), ...removed]
    .filter((key) => !isVolatile(key))
    .sort()
    .flatMap((key) => [...fieldChange(`config.${key}`, before.get(key) ?? '', after.get(key) ?? '')]);
}

function deviceChanges(before: Devices, after: Devices): FieldChange[] {
  const { set, removed } = differenceOf(before, after, sameDevice);
  const names = [...set.map(([name]) => name), ...removed].sort();
  return names.flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)];
    if (old === undefined || now === undefined) return [[`devices.${name}`, now ? 'added' : 'removed'] as const];
    const options = [...new Set([...old.keys(), ...now.keys()])].sort();
    return options.flatMap((option) => [
      ...fieldChange(`devices.${name}.${option}`, old.get(option) ?? '', now.get(option) ?? ''),
    ]);
  });
}

function namesIn({ profiles = [] }: Described): string {
  return profiles.map(({ name }) => name).join(',');
}

/** Nothing for a key that is not set. */
function short(value: string): string {
  if (value === '') return '(unset)';
  return value.length <= longestValue ? value : `${value.slice(0, longestValue)}... (${value.length} characters)`;
}
