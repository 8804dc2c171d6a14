import { createRequire } from 'node:module';
import type { Document, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { type Config, expandedConfig, type Instance } from '../model/instance.js';

const require = createRequire(import.meta.url);
let loaded: typeof import('yaml') | undefined;

/** Loaded with the first key that is to be merged: it takes 4 MB, which most hosts have no need of. */
function yaml(): typeof import('yaml') {
  loaded ??= require('yaml') as typeof import('yaml');
  return loaded;
}

/** The values that differ from what the operator wrote, by key, and the keys of those that are too long for it. */
interface Merged {
  readonly values: ReadonlyMap<string, string>;
  readonly tooLong: ReadonlySet<string>;
}

interface UserKeys {
  readonly user: string;
  readonly publicKeys: string[];
  readonly importIds: string[];
}

const sshKeyPrefix = 'cloud-init.ssh-keys.';
const header = '#cloud-config';
/** Marks what was merged in; LXD's mark. */
const mark = 'lxd:cloud-init.ssh-keys';

/** Characters of a document that keys are merged into. It is parsed on the event loop, 1 ms or more for each thousand. */
const longestMerged = 64 * 1024;

const nothingMerged: Merged = { values: new Map(), tooLong: new Set() };
/** By expanded configuration. */
const mergedOf = new WeakMap<Config, Merged>();

/** The value of a key as the guest sees it: ssh keys are merged into vendor-data, and into user-data where need be. */
export function guestValue(instance: Instance, key: string): string | undefined {
  return merged(instance).values.get(key) ?? expandedConfig(instance).get(key);
}

/** Keys that have a value for the guest only because ssh keys were merged into nothing. */
export function mergedKeys(instance: Instance): Iterable<string> {
  return merged(instance).values.keys();
}

/** Is the value given as it was written only because it is too long? */
export function isTooLongToMerge(instance: Instance, key: string): boolean {
  return merged(instance).tooLong.has(key);
}

function merged(instance: Instance): Merged {
  const config = expandedConfig(instance);
  const known = mergedOf.get(config);
  if (known !== undefined) return known;
  const made = merge(config);
  mergedOf.set(config, made);
  return made;
}

/**
 * cloud-init lets `users` of user-data win over those of vendor-data. So the keys go into vendor-data, and into
 * user-data as well where that has `users`, or where there is no vendor-data that they could go into.
 */
function merge(config: Config): Merged {
  const keys = sshKeysOf(config);
  if (keys.length === 0) return nothingMerged;
  const result = { values: new Map<string, string>(), tooLong: new Set<string>() };
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
  { values, tooLong }: { values: Map<string, string>; tooLong: Set<string> },
): Outcome {
  const names = [`cloud-init.${name}`, `user.${name}`];
  const set = names.filter((key) => config.get(key));
  const outcomes = (set.length > 0 ? set : names).map((key) => {
    const written = config.get(key) ?? '';
    if (written.length > longestMerged && splitHeader(written) !== undefined) {
      tooLong.add(key);
      return false;
    }
    const value = withKeys(written, keys, wanted);
    if (value !== undefined) values.set(key, value);
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
    // The library itself compares each key with all before it.
    const document: Document = yaml().parseDocument(parts.body, { uniqueKeys: false, prettyErrors: false });
    if (document.errors.length > 0 || repeatsKeys(document)) return undefined;
    if (document.contents === null) document.contents = document.createNode({}) as never;
    if (!yaml().isMap(document.contents) || !wanted(document)) return undefined;
    const users = listIn(document.contents, 'users');
    const places = users && placesOf(users);
    if (places === undefined || !keys.every((one) => addUser(document, users as YAMLSeq, places, one)))
      return undefined;
    document.contents.set('users', users);
    return `${parts.head}\n${document.toString({ lineWidth: 0, indentSeq: false })}`;
  } catch {
    return undefined; // whatever the library cannot print stays as the operator wrote it
  }
}

function repeatsKeys(document: Document): boolean {
  let repeated = false;
  yaml().visit(document, {
    Map(_, { items }) {
      const keys = items.map(({ key }) => key).filter(yaml().isScalar);
      repeated = new Set(keys.map(({ value }) => value)).size < keys.length;
      return repeated ? yaml().visit.BREAK : undefined;
    },
  });
  return repeated;
}

/** The lines up to #cloud-config, which is the first or the second, and the rest. */
function splitHeader(text: string): { head: string; body: string } | undefined {
  if (text === '') return { head: header, body: '' };
  const lines = text.split('\n', 2);
  const at = lines.findIndex((line) => line.trim() === header);
  if (at < 0) return undefined;
  const head = lines.slice(0, at + 1).join('\n');
  return { head, body: text.slice(head.length + 1) };
}

/** Where in the list a user of this name is first; undefined: not all of them have one. */
function placesOf(users: YAMLSeq): Map<unknown, number> | undefined {
  const places = new Map<unknown, number>();
  for (const [index, item] of users.items.entries()) {
    if (!yaml().isMap(item) && !isNamed(item)) return undefined;
    const name = yaml().isMap(item) ? item.get('name') : (item as Scalar).value;
    if (!places.has(name)) places.set(name, index);
  }
  return places;
}

function addUser(
  document: Document,
  users: YAMLSeq,
  places: Map<unknown, number>,
  { user, publicKeys, importIds }: UserKeys,
): boolean {
  const index = places.get(user) ?? users.items.length;
  const found = users.items[index];
  const target = yaml().isMap(found) ? found : (document.createNode({ name: user }) as YAMLMap);
  users.items[index] = target;
  places.set(user, index);
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
