import {
  type Config,
  cidKey,
  type Device,
  type Devices,
  expandedConfig,
  expandedDevices,
  type Instance,
  powerKey,
  readyKey,
  statusOf,
} from '../model/instance.js';
import { etagOfText } from './control-reply.js';
import { architecture, codedStatus, renderState } from './render.js';

// As text at once: objects in between, with all their keys, would be most of what a list of a hundred thousand costs.

const architectureText = JSON.stringify(architecture);

/** An instance as LXD's API describes it (api.Instance), or with its state (api.InstanceFull). etag: to be with it */
export function instanceText(instance: Instance, isFull = false, etag?: string): string {
  const { name, project, type, createdAt, placement, source } = instance;
  const { status, status_code } = codedStatus(instance);
  const expanded = expandedConfig(instance);
  const config = mapText(withRun(instance, instance.config));
  const expandedText = expanded === instance.config ? config : mapText(withRun(instance, expanded));
  let text = `{${writableText(instance, config)},"stateful":false,"created_at":${JSON.stringify(createdAt)}`;
  text += `,"expanded_config":${expandedText},"expanded_devices":${expandedDevicesText(instance)}`;
  text += `,"name":${JSON.stringify(name)},"status":"${status}","status_code":${status_code}`;
  text += `,"last_used_at":"1970-01-01T00:00:00Z","location":${JSON.stringify(placement?.host ?? 'none')}`;
  text += `,"type":"${type}","project":${JSON.stringify(project)}`;
  if (source !== undefined) text += `,"source":"${source}"`;
  if (isFull) text += `,"backups":null,"state":${JSON.stringify(renderState(instance))},"snapshots":null`;
  return etag === undefined ? `${text}}` : `${text},"etag":"${etag}"}`;
}

/** Of an instance what a PUT may change, and what cannot be changed of what a POST may say. isTagged: with its entity tag */
export function writableInstanceText(instance: Instance, isTagged: boolean): string {
  const writable = writableText(instance, mapText(instance.config));
  const text = `{"name":${JSON.stringify(instance.name)},"type":"${instance.type}",${writable}`;
  return isTagged ? `${text},"etag":"${etagOfText(`{${writable}}`)}"}` : `${text}}`;
}

/** The tag that a change of anything a PUT may change changes. */
export function instanceEtag(instance: Instance): string {
  return etagOfText(`{${writableText(instance, mapText(instance.config))}}`);
}

/** What a PUT may change. config: its JSON */
function writableText({ devices, profiles, description }: Instance, config: string): string {
  const names = JSON.stringify(profiles.map(({ name }) => name));
  const text = `"architecture":${architectureText},"config":${config},"description":${JSON.stringify(description)}`;
  return `${text},"devices":${devicesText(devices)},"ephemeral":false,"profiles":${names}`;
}

/** The keys of a map, in its order, and in the order of their names, each with the JSON in front of its value. */
interface Keys {
  readonly given: readonly string[];
  readonly sorted: readonly (readonly [key: string, before: string])[];
}

/** Of the last maps: most have the same keys in the same order, so they need not be sorted again. */
const known: Keys[] = [];
const mostKnown = 4;
const mostKeys = 100;

function mapText(map: ReadonlyMap<string, string>): string {
  if (map.size === 0) return '{}';
  let text = '';
  for (const [key, before] of keysOf(map)) text += `${before}${JSON.stringify(map.get(key))}`;
  return `${text}}`;
}

function keysOf(map: ReadonlyMap<string, string>): Keys['sorted'] {
  for (const each of known) if (hasKeys(map, each.given)) return each.sorted;
  const sorted = sortedKeys(map).map(
    (key, index) => [key, `${index === 0 ? '{' : ','}${JSON.stringify(key)}:`] as const,
  );
  if (map.size > mostKeys) return sorted;
  if (known.length === mostKnown) known.shift();
  known.push({ given: [...map.keys()], sorted });
  return sorted;
}

function hasKeys(map: ReadonlyMap<string, string>, keys: readonly string[]): boolean {
  if (map.size !== keys.length) return false;
  let index = 0;
  for (const key of map.keys()) if (key !== keys[index++]) return false;
  return true;
}

function devicesText(devices: Devices): string {
  let text = '';
  for (const name of sortedKeys(devices))
    text += `${text === '' ? '{' : ','}${JSON.stringify(name)}:${mapText(devices.get(name) as Device)}`;
  return text === '' ? '{}' : `${text}}`;
}

/** Of profiles, which many instances have. */
const deviceTexts = new WeakMap<Devices, string>();

function expandedDevicesText(instance: Instance): string {
  const expanded = expandedDevices(instance);
  const isShared = instance.profiles.some(({ devices }) => devices === expanded);
  if (!isShared) return devicesText(expanded);
  const known = deviceTexts.get(expanded) ?? devicesText(expanded);
  deviceTexts.set(expanded, known);
  return known;
}

function sortedKeys(map: ReadonlyMap<string, unknown>): string[] {
  return [...map.keys()].sort();
}

/** What is known of a run is shown where LXD keeps it. It is no part of what a PUT may change. */
function withRun(instance: Instance, config: Config): Config {
  const status = statusOf(instance);
  if (status === 'Stopped' || status === 'Error') return config;
  const shown = new Map([...config, [powerKey, 'RUNNING'], [readyKey, String(status === 'Ready')]]);
  const cid = instance.run?.cid;
  return cid === undefined ? shown : shown.set(cidKey, String(cid));
}
