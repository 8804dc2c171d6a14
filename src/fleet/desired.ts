import { Fault, invalid } from '../errors.js';
import { uuidFrom } from '../instances/derived-keys.js';
import { withoutEmpty } from '../instances/edit.js';
import { checkedRollout } from '../instances/profile-table.js';
import { checkedProject } from '../instances/project-table.js';
import { checkConfig, checkDevices, checkName, checkProfileName, checkProjectName } from '../instances/validate.js';
import type { Limits } from '../limits/limits.js';
import {
  type Config,
  type Device,
  type Devices,
  type InstanceType,
  instanceTypes,
  type Rollout,
} from '../model/instance.js';

/** What the fleet says of an instance. */
export interface DesiredInstance {
  readonly uuid: string;
  readonly type: InstanceType;
  readonly description: string;
  /** ISO 8601 */
  readonly createdAt: string;
  /** in order */
  readonly profiles: readonly string[];
  readonly config: Config;
  readonly devices: Devices;
}

export interface DesiredProfile {
  readonly description: string;
  readonly config: Config;
  readonly devices: Devices;
  readonly rollout?: Rollout;
}

export interface DesiredProject {
  readonly description: string;
  readonly config: Config;
}

/** A value that was understood, or why not. */
export type Read<Value> = { readonly value: Value } | { readonly why: string };

export type Fields = Readonly<Record<string, unknown>>;

const uuidForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** RFC 3339, in UTC, which is what clients of the host API parse. */
const dateForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
const unknownDate = '1970-01-01T00:00:00Z';

/** The same checks as of what an operator sends to the host itself. */
export function instanceIn(project: string, name: string, bytes: Buffer, limits: Limits): Read<DesiredInstance> {
  return read(bytes, (fields) => {
    checkProjectName(project);
    checkName(name);
    const { description, config, devices } = describedIn(fields, limits);
    const uuid = textIn(fields, 'uuid', uuidFrom(JSON.stringify([project, name])));
    if (!uuidForm.test(uuid)) throw invalid('uuid', `"${uuid}" is not a UUID in lower case`);
    const createdAt = textIn(fields, 'created_at', unknownDate);
    if (!isDate(createdAt)) throw invalid('created_at', `"${createdAt}" is no time such as 2026-01-31T12:00:00Z`);
    const type = instanceTypes.find((known) => known === textIn(fields, 'type', 'container'));
    if (type === undefined) throw invalid('type', 'is neither container nor virtual-machine');
    return { uuid, type, description, createdAt, profiles: profilesIn(fields), config, devices };
  });
}

export function profileIn(project: string, name: string, bytes: Buffer, limits: Limits): Read<DesiredProfile> {
  return read(bytes, (fields) => {
    checkProjectName(project);
    checkProfileName(name);
    const { rollout } = fields;
    const described = describedIn(fields, limits);
    return rollout === undefined ? described : { ...described, rollout: rolloutIn(rollout) };
  });
}

export function projectIn(name: string, bytes: Buffer): Read<DesiredProject> {
  return read(bytes, (fields) => {
    checkProjectName(name);
    return checkedProject({
      description: textIn(fields, 'description', ''),
      config: optionsIn('config', fields['config']),
    });
  });
}

export function read<Value>(bytes: Buffer, understand: (fields: Fields) => Value): Read<Value> {
  try {
    const fields: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (!isFields(fields)) return { why: 'it is no JSON object' };
    return { value: understand(fields) };
  } catch (error) {
    if (error instanceof Fault) return { why: error.message };
    return { why: error instanceof SyntaxError || error instanceof TypeError ? 'it is no JSON' : String(error) };
  }
}

function describedIn(fields: Fields, limits: Limits): DesiredProfile {
  const config = withoutEmpty(optionsIn('config', fields['config']));
  checkConfig(config, undefined, limits);
  const given = fields['devices'] ?? {};
  if (!isFields(given)) throw invalid('devices', 'is no object');
  const devices = new Map<string, Device>(
    Object.entries(given).map(([name, device]) => [name, withoutEmpty(optionsIn(`devices.${name}`, device))]),
  );
  checkDevices(devices);
  return { description: textIn(fields, 'description', ''), config, devices };
}

function rolloutIn(given: unknown): Rollout {
  if (!isFields(given)) throw invalid('rollout', 'is no object');
  const { waves, seconds, stopped = false } = given;
  if (typeof stopped !== 'boolean') throw invalid('rollout.stopped', 'is neither true nor false');
  return checkedRollout({ waves: Number(waves), seconds: Number(seconds), stopped });
}

function profilesIn(fields: Fields): string[] {
  const names = fields['profiles'] ?? [];
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) {
    throw invalid('profiles', 'is no list of names');
  }
  for (const name of names) checkProfileName(name);
  if (new Set(names).size < names.length) throw invalid('profiles', 'has a name twice');
  return names;
}

export function optionsIn(field: string, given: unknown): Map<string, string> {
  if (given === undefined || given === null) return new Map();
  if (!isFields(given)) throw invalid(field, 'is no object');
  const entries = Object.entries(given);
  const odd = entries.find(([, value]) => typeof value !== 'string');
  if (odd !== undefined) throw invalid(`${field}.${odd[0]}`, 'is not text: write "1", not 1');
  return new Map(entries as [string, string][]);
}

export function textIn(fields: Fields, name: string, byDefault: string): string {
  const value = fields[name] ?? byDefault;
  if (typeof value !== 'string') throw invalid(name, 'is not text');
  if (!value.isWellFormed()) throw invalid(name, 'is not Unicode');
  return value;
}

/** Date takes the 31st of February for the 3rd of March; others refuse a whole list for it. */
function isDate(text: string): boolean {
  const at = new Date(text);
  return dateForm.test(text) && !Number.isNaN(at.getTime()) && at.toISOString().slice(0, 10) === text.slice(0, 10);
}

export function isFields(found: unknown): found is Fields {
  return typeof found === 'object' && found !== null && !Array.isArray(found);
}
