import { Refusal } from './refusal.js';
import type { UserKeys } from './ssh-keys.js';
import { isMergeKey, isNull, type List, type Mapping, type Text, type Value, type Values } from './values.js';

/** What one field of one user is to have besides what it has. */
export interface FieldPlan {
  /** the key that it has, or is to have */
  readonly key: Text;
  readonly isNew: boolean;
  /** what it has now, in the user or by a merge key */
  readonly present: readonly Value[];
  readonly added: readonly string[];
}

export interface UserPlan {
  readonly user: string;
  /** in the list; undefined: a new one */
  readonly index: number | undefined;
  readonly fields: readonly FieldPlan[];
}

/** Their names in every cloud-init; the ones with hyphens are obsolete, and mean the same. */
const publicKeyField = 'ssh_authorized_keys';
const importIdField = 'ssh_import_id';

/** The value of `users`; undefined: there is none. @throws Refusal where that is not certain */
export function usersOf(top: Value): Value | undefined {
  if (isNull(top)) return undefined;
  if (top.kind !== 'map') throw new Refusal('no YAML');
  return fieldOf(top, (key) => key === 'users')?.value;
}

/** The users as a list: nothing is an empty one, and a name a list of one. */
export function listOf(users: Value | undefined, values: Values): List {
  if (users === undefined || isNull(users)) return values.list([]);
  if (users.kind === 'text' && /^[^\s,]+$/.test(users.text)) return values.list([users]);
  if (users.kind !== 'list') throw new Refusal('users is no list');
  return users;
}

/** @throws Refusal where cloud-init would not take it as it is meant */
export function planFor(users: List, places: Places, wanted: UserKeys, values: Values): UserPlan {
  const { user, publicKeys, importIds } = wanted;
  const index = indexOf(places, user);
  const found = index === undefined ? undefined : users.items[index];
  const map = found?.kind === 'map' ? found : undefined;
  const fields = [fieldPlan(map, publicKeyField, publicKeys, values), fieldPlan(map, importIdField, importIds, values)];
  return { user, index, fields: fields.filter(({ added }) => added.length > 0) };
}

/** Where in a list something new goes: behind its last item is what people expect, before its first is always certain. */
export type Side = 'last' | 'first';

/** What the document is to mean in the end. */
export function expected(top: Value, users: List, plans: readonly UserPlan[], values: Values, side: Side): Value {
  const items = [...users.items];
  const fresh: Value[] = [];
  for (const { user, index, fields } of plans) {
    const found = index === undefined ? undefined : items[index];
    const before = found?.kind === 'map' ? found : values.map([[values.text('name'), values.text(user)]]);
    const after = fields.reduce((map, field) => withField(map, field, values, side), before);
    if (index === undefined) fresh.push(after);
    else items[index] = after;
  }
  const pairs = top.kind === 'map' ? top.pairs.filter(([key]) => !isText(key, 'users')) : [];
  return values.map([...pairs, [values.text('users'), values.list(joined(items, fresh, side))]]);
}

function withField(map: Mapping, { key, present, added }: FieldPlan, values: Values, side: Side): Mapping {
  const texts = added.map((one) => values.text(one));
  const list = values.list(joined(present, texts, side));
  return values.map([...map.pairs.filter(([other]) => other !== key), [key, list]]);
}

function joined<Item>(present: readonly Item[], added: readonly Item[], side: Side): Item[] {
  return side === 'last' ? [...present, ...added] : [...added, ...present];
}

function fieldPlan(map: Mapping | undefined, name: string, wanted: readonly string[], values: Values): FieldPlan {
  const found = map && fieldOf(map, (key) => key.replaceAll('-', '_').trim() === name);
  const present = found === undefined ? [] : itemsOf(found.value);
  const added = wanted.filter((one) => !present.some((item) => isText(item, one)));
  return { key: found?.key ?? values.text(name), isNew: found?.isOwn !== true, present, added };
}

function itemsOf(value: Value): readonly Value[] {
  if (value.kind === 'list') return value.items;
  if (value.kind === 'text') return [value];
  if (isNull(value)) return [];
  throw new Refusal('the keys are no list');
}

/** Where in a list which user is. */
export interface Places {
  readonly of: ReadonlyMap<string, number>;
  /** names of which cannot be said what cloud-init does with them */
  readonly uncertain: ReadonlySet<string>;
  readonly twice: ReadonlySet<string>;
}

/** @throws Refusal where cloud-init finds users in another way */
export function placesIn({ items }: List): Places {
  const [of, uncertain, twice] = [new Map<string, number>(), new Set<string>(), new Set<string>()];
  for (const [index, item] of items.entries()) {
    const name = item.kind === 'map' ? fieldOf(item, (key) => key === 'name')?.value : item;
    // A user without a name is the default one, and a name that is no string is no user that could have keys.
    if (name === undefined) uncertain.add('default');
    else if (item.kind === 'map' && name.kind === 'other') uncertain.add(name.source);
    else if (of.has(nameIn(name))) twice.add(nameIn(name));
    else of.set(nameIn(name), index);
  }
  return { of, uncertain, twice };
}

function indexOf({ of, uncertain, twice }: Places, user: string): number | undefined {
  if (uncertain.has(user)) throw new Refusal('not certain');
  if (twice.has(user)) throw new Refusal('the user is there more than once');
  return of.get(user);
}

/** cloud-init divides such strings at commas, and takes lists of them. */
function nameIn(item: Value): string {
  if (item.kind !== 'text' || /[\s,]/.test(item.text)) throw new Refusal('users is no list');
  return item.text;
}

interface Field {
  readonly key: Text;
  readonly value: Value;
  /** not by a merge key */
  readonly isOwn: boolean;
}

/** The one pair with such a key: the mapping's own, or else one that is merged into it. */
function fieldOf(map: Mapping, matches: (key: string) => boolean): Field | undefined {
  const own = map.pairs.filter(([key]) => key.kind === 'text' && matches(key.text));
  if (own.length > 1) throw new Refusal('not certain');
  const [pair] = own;
  if (pair !== undefined) return { key: pair[0] as Text, value: pair[1], isOwn: true };
  const merged = mergedInto(map).flatMap((each) => fieldOf(each, matches) ?? []);
  if (new Set(merged.map(({ key }) => key)).size > 1) throw new Refusal('not certain');
  // The first mapping of several wins.
  return merged[0] && { ...merged[0], isOwn: false };
}

function mergedInto(map: Mapping): Mapping[] {
  const merged = map.pairs.filter(([key]) => isMergeKey(key));
  if (merged.length > 1) throw new Refusal('not certain');
  const mappings = merged.flatMap(([, value]) => (value.kind === 'list' ? value.items : [value]));
  return mappings.filter((each): each is Mapping => each.kind === 'map');
}

function isText(value: Value, text: string): boolean {
  return value.kind === 'text' && value.text === text;
}
