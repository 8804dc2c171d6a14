import type { Config, Devices, InstanceType } from '../api/types.js';

/** What a file may say of a thing; what it leaves out is not looked at. */
export interface Described {
  readonly description?: string | undefined;
  /** of an instance; it cannot be changed */
  readonly type?: InstanceType | undefined;
  readonly profiles?: readonly string[] | undefined;
  readonly config?: Config | undefined;
  readonly devices?: Devices | undefined;
}

/** One thing that is to change; before undefined: it is new; after undefined: it goes. */
export interface FieldChange {
  /** config.user.role, devices.eth0, profiles, description */
  readonly field: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Whether anything has to change; asked of each thing of a file, most of which are mostly as they should be. */
export function differs(wanted: Described, now: Described): boolean {
  return (
    (wanted.description !== undefined && wanted.description !== (now.description ?? '')) ||
    (wanted.profiles !== undefined && wanted.profiles.join(', ') !== (now.profiles ?? []).join(', ')) ||
    (wanted.config !== undefined && configDiffers(wanted.config, now.config ?? {})) ||
    (wanted.devices !== undefined && mapChanges('', now.devices, wanted.devices, deviceText).length > 0)
  );
}

function configDiffers(wanted: Config, now: Config): boolean {
  let own = 0;
  for (const key in now) if (!isDaemons(key)) own++;
  for (const key in wanted) {
    if (wanted[key] === '' || isDaemons(key)) continue;
    if (!Object.hasOwn(now, key) || now[key] !== wanted[key]) return true;
    own--;
  }
  return own !== 0;
}

/** The changes that make now what is wanted; none: it is so already. */
export function changesTo(wanted: Described, now: Described): FieldChange[] {
  return [
    ...textChange('description', now.description, wanted.description),
    ...textChange('profiles', now.profiles?.join(', '), wanted.profiles?.join(', ')),
    ...mapChanges('config', own(now.config), wanted.config === undefined ? undefined : set(wanted.config), same),
    ...mapChanges('devices', now.devices, wanted.devices, deviceText),
  ];
}

function textChange(field: string, before = '', after = before): FieldChange[] {
  return before === after ? [] : [{ field, before: before || undefined, after: after || undefined }];
}

function mapChanges<Value>(
  field: string,
  before: Readonly<Record<string, Value>> = {},
  after: Readonly<Record<string, Value>> = before,
  textOf: (value: Value) => string,
): FieldChange[] {
  if (before === after) return [];
  const changes: FieldChange[] = [];
  for (const [name, value] of Object.entries(before)) {
    const was = textOf(value);
    const is = Object.hasOwn(after, name) ? textOf(after[name] as Value) : undefined;
    if (was !== is) changes.push({ field: `${field}.${name}`, before: was, after: is });
  }
  for (const [name, value] of Object.entries(after))
    if (!Object.hasOwn(before, name))
      changes.push({ field: `${field}.${name}`, before: undefined, after: textOf(value) });
  return changes.sort((a, b) => (a.field < b.field ? -1 : 1));
}

/** Without the keys that are the daemon's. */
export function own(config: Config = {}): Config {
  return without(config, isDaemons);
}

function isDaemons(key: string): boolean {
  return key.startsWith('volatile.');
}

/** An empty value means that a key is not set. */
function set(config: Config): Config {
  return without(config, (key, value) => value === '' || isDaemons(key));
}

/** The same object where there is nothing to leave out, as in most. */
function without(config: Config, isOut: (key: string, value: string) => boolean): Config {
  for (const key in config)
    if (isOut(key, config[key] as string))
      return Object.fromEntries(Object.entries(config).filter(([key, value]) => !isOut(key, value)));
  return config;
}

function same(text: string): string {
  return text;
}

function deviceText(device: Readonly<Record<string, string>>): string {
  const options = Object.entries(device).filter(([, value]) => value !== '');
  return options
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}
