import type { BatchLine, Config, InstanceType, InstanceWritten, ProfileWritten } from '../api/types.js';
import { ApiError } from '../client/client-errors.js';
import type { Collection, Writable } from '../client/collection.js';
import type { HostClient } from '../client/host-client.js';
import { OptionError } from '../config/options.js';
import { changesTo, type Described, differs, type FieldChange, own } from './difference.js';
import { instanceIdKey } from './foreign.js';
import type { Wanted } from './wanted.js';

/** What is to be done with one instance or profile. */
export interface Item {
  readonly kind: 'profile' | 'instance';
  readonly name: string;
  readonly isNew: boolean;
  readonly changes: readonly FieldChange[];
  readonly line: BatchLine;
}

/** What of a file is compared. */
type Targets = Pick<Wanted, 'profiles' | 'instances'>;

/** What makes a daemon what a file wants, profiles first; what is so already is only counted. */
export interface Plan {
  readonly items: readonly Item[];
  readonly unchanged: number;
}

interface Kind {
  readonly kind: Item['kind'];
  readonly path: string;
  /** with its question mark; '': none */
  readonly query: string;
}

type Named = { readonly name: string } & Described;
type Known = Writable<Described>;
/** The JSON of what there is, some at a time. */
type Rows = AsyncIterable<readonly string[]>;

/** So few are asked for by name, however many there are; and what is known of many comes with a list of all. */
const fewest = 64;
const notFound = 404;

/** Compares what is wanted with what there is, however much that is. project: of the client; target: host of new instances */
export async function planOf(
  client: HostClient,
  { profiles, instances }: Targets,
  project: string,
  target?: string,
): Promise<Plan> {
  const items: Item[] = [];
  const add = async (kind: Kind, wanted: readonly Named[], known: Rows): Promise<void> => {
    if (wanted.length > 0) for (const item of await itemsOf(kind, wanted, known)) items.push(item);
  };
  const query = { etags: true };
  const profileKind: Kind = { kind: 'profile', path: '/1.0/profiles', query: queryOf(project) };
  await add(profileKind, profiles, client.profiles.writableLines(query));
  const known = instances.length > fewest ? client.instances.writableLines(query) : eachOf(client.instances, instances);
  const instanceKind: Kind = { kind: 'instance', path: '/1.0/instances', query: queryOf(project, target) };
  await add(instanceKind, instances, known);
  return { items, unchanged: profiles.length + instances.length - items.length };
}

async function* eachOf(
  collection: Collection<Named, Described>,
  wanted: readonly Named[],
): AsyncGenerator<string[], void, void> {
  for (const { name } of wanted)
    try {
      const { value, etag } = await collection.tagged(name);
      yield [JSON.stringify({ ...value, etag })];
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== notFound) throw error;
    }
}

function queryOf(project: string, target?: string): string {
  const query = new URLSearchParams({
    ...(project === 'default' ? {} : { project }),
    ...(target === undefined ? {} : { target }),
  }).toString();
  return query === '' ? '' : `?${query}`;
}

/** In the order in which they are wanted. */
async function itemsOf(kind: Kind, wanted: readonly Named[], known: Rows): Promise<Item[]> {
  const byName = new Map<string, Named>();
  for (const each of wanted) byName.set(each.name, each);
  const found = new Map<Named, Item | undefined>();
  for await (const some of known)
    for (const row of some) {
      const now = knownOf(row);
      const each = byName.get(now.name);
      if (each !== undefined) found.set(each, changeOf(kind, each, now, row));
    }
  const items: Item[] = [];
  for (const each of wanted) {
    const item = found.has(each) ? found.get(each) : new Creation(kind, each);
    if (item !== undefined) items.push(item);
  }
  return items;
}

function knownOf(row: string): Known {
  return JSON.parse(row) as Known;
}

/** undefined: it is so already. row: the JSON of what there is now */
function changeOf(kind: Kind, wanted: Named, now: Known, row: string): Item | undefined {
  checkType(wanted.name, wanted.type, now.type);
  return differs(wanted, now) ? new Change(kind, wanted, row) : undefined;
}

/** @throws OptionError when an instance is of another type than the file says */
function checkType(name: string, wanted: InstanceType | undefined, is: InstanceType | undefined): void {
  if (wanted === undefined || wanted === is) return;
  const advice = 'it stays what it was created as: delete it first, or leave its type out of the file';
  throw new OptionError(`The instance "${name}" is a ${is}, and the file says ${wanted}; ${advice}.`);
}

// What is told of one, and sent, is made where it is asked for: it may be a hundred thousand, and for the numbers alone
// nobody has to be told.

/** What is to change. It is held to the version that the changes are shown against. */
class Change implements Item {
  readonly isNew = false;
  readonly #kind: Kind;
  readonly #wanted: Named;
  /** read again when it is needed: the collector would move what is in it, and text is one thing to it */
  readonly #row: string;

  constructor(kind: Kind, wanted: Named, row: string) {
    this.#kind = kind;
    this.#wanted = wanted;
    this.#row = row;
  }

  get kind(): Item['kind'] {
    return this.#kind.kind;
  }

  get name(): string {
    return this.#wanted.name;
  }

  get changes(): readonly FieldChange[] {
    return changesTo(this.#wanted, knownOf(this.#row));
  }

  get line(): BatchLine {
    const now = knownOf(this.#row);
    const path = `${this.#kind.path}/${encodeURIComponent(this.name)}${this.#kind.query}`;
    const body = { ...written(this.kind, now), ...given(this.#wanted) };
    return { method: 'PUT', path, ...(now.etag === undefined ? {} : { etag: now.etag }), body };
  }
}

/** What is new. */
class Creation implements Item {
  readonly isNew = true;
  readonly #kind: Kind;
  readonly #wanted: Named;

  constructor(kind: Kind, wanted: Named) {
    this.#kind = kind;
    this.#wanted = wanted;
  }

  get kind(): Item['kind'] {
    return this.#kind.kind;
  }

  get name(): string {
    return this.#wanted.name;
  }

  get changes(): readonly FieldChange[] {
    return changesTo(this.#wanted, {});
  }

  get line(): BatchLine {
    const { name, type } = this.#wanted;
    const more = given(this.#wanted, broughtId(this.kind, this.#wanted));
    const body = { name, ...(type === undefined ? {} : { type }), ...more };
    return { method: 'POST', path: `${this.#kind.path}${this.#kind.query}`, body };
  }
}

/** All that a PUT replaces. */
function written(kind: Item['kind'], now: Described): Partial<InstanceWritten & ProfileWritten> {
  const { description = '', config = {}, devices = {}, profiles = [] } = now;
  return { description, config, devices, ...(kind === 'instance' ? { profiles } : {}) };
}

/** What the file says of it, without what it does not name. brought: further keys of its configuration */
function given({ description, profiles, config, devices }: Described, brought?: Config): Described {
  return {
    ...(description === undefined ? {} : { description }),
    ...(profiles === undefined ? {} : { profiles }),
    ...(config === undefined ? {} : { config: brought === undefined ? own(config) : { ...own(config), ...brought } }),
    ...(devices === undefined ? {} : { devices }),
  };
}

/** By which cloud-init knows an instance that comes from another host. */
function broughtId(kind: Item['kind'], { config }: Described): Config | undefined {
  const id = kind === 'instance' ? config?.[instanceIdKey] : undefined;
  return id === undefined ? undefined : { [instanceIdKey]: id };
}
