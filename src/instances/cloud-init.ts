import { createRequire } from 'node:module';
import type { Document, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { type Config, expandedConfig, type Instance } from './model.js';

const require = createRequire(import.meta.url);
let loaded: typeof import('yaml') | undefined;

/** Loaded with the first key that is to be merged: it takes 4 MB, which most hosts have no need of. */
function yaml(): typeof import('yaml') {
  loaded ??= require('yaml') as typeof import('yaml');
  return loaded;
}

/** The values that differ from what the operator wrote, by key. */
type Merged = ReadonlyMap<string, string>;

interface UserKeys {
  readonly user: string;
  readonly publicKeys: string[];
  readonly importIds: string[];
}

const sshKeyPrefix = 'cloud-init.ssh-keys.';
const header = '#cloud-config';
/** Marks what was merged in; LXD's mark. */
const mark = 'lxd:cloud-init.ssh-keys';

const nothingMerged: Merged = new Map();
const mergedOf = new WeakMap<Instance, Merged>();

/** The value of a key as the guest sees it: ssh keys are merged into vendor-data, and into user-data where need be. */
export function guestValue(instance: Instance, key: string): string | undefined {
  return merged(instance).get(key) ?? expandedConfig(instance).get(key);
}

/** Keys that have a value for the guest only because ssh keys were merged into nothing. */
export function mergedKeys(instance: Instance): Iterable<string> {
  return merged(instance).keys();
}

function merged(instance: Instance): Merged {
  const known = mergedOf.get(instance);
  if (known !== undefined) return known;
  const made = merge(expandedConfig(instance));
  mergedOf.set(instance, made);
  return made;
}

/**
 * cloud-init lets `users` of user-data win over those of vendor-data. So the keys go into vendor-data, and into
 * user-data as well where that has `users`, or where there is no vendor-data that they could go into.
 */
function merge(config: Config): Merged {
  const keys = sshKeysOf(config);
  if (keys.length === 0) return nothingMerged;
  const result = new Map<string, string>();
  const vendor = mergeInto(config, 'vendor-data', keys, () => true, result);
  const everywhere = vendor === 'unset' || vendor === 'impossible';
  mergeInto(config, 'user-data', keys, (document) => everywhere || document.has('users'), result);
  return result;
}

type Outcome = 'merged' | 'unset' | 'impossible';

/** Both names of a value, `cloud-init.` and `user.`: each one that is set, or both when neither is. */
function mergeInto(
  config: Config,
  name: string,
  keys: readonly UserKeys[],
  wanted: (document: Document) => boolean,
  result: Map<string, string>,
): Outcome {
  const names = [`cloud-init.${name}`, `user.${name}`];
  const set = names.filter((key) => config.get(key));
  const outcomes = (set.length > 0 ? set : names).map((key) => {
    const value = withKeys(config.get(key) ?? '', keys, wanted);
    if (value !== undefined) result.set(key, value);
    return value !== undefined;
  });
  if (set.length === 0) return 'unset';
  return outcomes[0] ? 'merged' : 'impossible';
}

/** undefined: stays as it is, being a script, an include, MIME, broken YAML, or not to be merged. */
function withKeys(
  text: string,
  keys: readonly UserKeys[],
  wanted: (document: Document) => boolean,
): string | undefined {
  const parts = splitHeader(text);
  if (parts === undefined) return undefined;
  try {
    const document: Document = yaml().parseDocument(parts.body);
    if (document.errors.length > 0) return undefined;
    if (document.contents === null) document.contents = document.createNode({}) as never;
    if (!yaml().isMap(document.contents) || !wanted(document)) return undefined;
    const users = listIn(document.contents, 'users');
    if (users === undefined || !keys.every((one) => addUser(document, users, one))) return undefined;
    document.contents.set('users', users);
    return `${parts.head}\n${document.toString({ lineWidth: 0, indentSeq: false })}`;
  } catch {
    return undefined; // whatever the library cannot print stays as the operator wrote it
  }
}

/** The lines up to #cloud-config, which is the first or the second, and the rest. */
function splitHeader(text: string): { head: string; body: string } | undefined {
  if (text === '') return { head: header, body: '' };
  const lines = text.split('\n');
  const at = lines.slice(0, 2).findIndex((line) => line.trim() === header);
  if (at < 0) return undefined;
  return { head: lines.slice(0, at + 1).join('\n'), body: lines.slice(at + 1).join('\n') };
}

function addUser(document: Document, users: YAMLSeq, { user, publicKeys, importIds }: UserKeys): boolean {
  if (users.items.some((item) => !yaml().isMap(item) && !isNamed(item))) return false;
  const index = users.items.findIndex(
    (item) => (yaml().isMap(item) ? item.get('name') : (item as Scalar).value) === user,
  );
  const found = users.items[index];
  const target = yaml().isMap(found) ? found : (document.createNode({ name: user }) as YAMLMap);
  if (index < 0) users.add(target);
  else users.items[index] = target;
  // cloud-init has called these both, one after the other; which one the guest's knows, nobody can say here.
  return [
    ['ssh-authorized-keys', publicKeys],
    ['ssh-import-id', importIds],
    ['ssh_authorized_keys', publicKeys],
    ['ssh_import_id', importIds],
  ].every(([field, values]) => addValues(target, field as string, values as string[]));
}

function isNamed(item: unknown): boolean {
  return yaml().isScalar(item) && typeof item.value === 'string';
}

function addValues(target: YAMLMap, field: string, values: readonly string[]): boolean {
  if (values.length === 0) return true;
  const list = listIn(target, field);
  if (list === undefined) return false;
  const present = new Set(list.items.map((item) => (yaml().isScalar(item) ? item.value : undefined)));
  for (const value of values.filter((one) => !present.has(one))) {
    const scalar = new (yaml().Scalar)(value);
    scalar.comment = mark;
    list.add(scalar);
  }
  target.set(field, list);
  return true;
}

/** The list under a key; a string becomes a list of one, nothing an empty one; anything else cannot be extended. */
function listIn(map: YAMLMap, key: string): YAMLSeq | undefined {
  const value = map.get(key, true);
  if (yaml().isSeq(value)) return value;
  const list = new (yaml().YAMLSeq)();
  if (value === undefined) return list;
  if (!isNamed(value)) return undefined;
  list.add(value);
  return list;
}

/** cloud-init.ssh-keys.NAME = USER:KEY. A key without a space is the id of one to import, as gh:somebody. */
function sshKeysOf(config: Config): UserKeys[] {
  const users = new Map<string, UserKeys>();
  for (const key of [...config.keys()].filter((name) => name.startsWith(sshKeyPrefix)).sort()) {
    const value = config.get(key) ?? '';
    const colon = value.indexOf(':');
    if (colon < 0) continue;
    const user = value.slice(0, colon);
    const sshKey = value.slice(colon + 1);
    const keys = users.get(user) ?? { user, publicKeys: [], importIds: [] };
    users.set(user, keys);
    (sshKey.includes(' ') ? keys.publicKeys : keys.importIds).push(sshKey);
  }
  return [...users.values()];
}
