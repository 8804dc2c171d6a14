import type { BatchLine, Config, InstanceType, InstanceWritten, ProfileWritten } from '../api/types.js';
import type { HostClient } from '../client/host-client.js';
import { OptionError } from '../config/options.js';
import { changesTo, type Described, type FieldChange, own } from './difference.js';
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

interface Kind<Each extends Named = Named> {
  readonly kind: Item['kind'];
  readonly path: string;
  readonly wanted: readonly Each[];
  /** what there is, one by one, each with its entity tag */
  readonly known: AsyncIterable<Named & { readonly etag?: string }>;
}

type Named = { readonly name: string } & Described;

/** Compares what is wanted with what there is, however much that is. project: of the client; target: host of new instances */
export async function planOf(
  client: HostClient,
  { profiles, instances }: Targets,
  project: string,
  target?: string,
): Promise<Plan> {
  const query = { etags: true };
  const kinds: Kind[] = [
    { kind: 'profile', path: pathIn('profiles', project), wanted: profiles, known: client.profiles.each(query) },
    {
      kind: 'instance',
      path: pathIn('instances', project, target),
      wanted: instances,
      known: client.instances.each(query),
    },
  ];
  const items: Item[] = [];
  for (const kind of kinds) if (kind.wanted.length > 0) for (const item of await itemsOf(kind)) items.push(item);
  return { items, unchanged: profiles.length + instances.length - items.length };
}

function pathIn(collection: string, project: string, target?: string): string {
  const query = new URLSearchParams({
    ...(project === 'default' ? {} : { project }),
    ...(target === undefined ? {} : { target }),
  }).toString();
  return `/1.0/${collection}{}${query === '' ? '' : `?${query}`}`;
}

/** In the order in which they are wanted. */
async function itemsOf(kind: Kind): Promise<Item[]> {
  const wanted = new Map(kind.wanted.map((each) => [each.name, each]));
  const found = new Map<string, Item | undefined>();
  for await (const now of kind.known) {
    const each = wanted.get(now.name);
    if (each !== undefined) found.set(now.name, changeOf(kind, each, now));
  }
  const items: Item[] = [];
  for (const each of kind.wanted) {
    const item = found.has(each.name) ? found.get(each.name) : new Creation(kind, each);
    if (item !== undefined) items.push(item);
  }
  return items;
}

/** undefined: it is so already. It is held to the version that the changes are shown against. */
function changeOf(
  kind: Kind,
  { name, ...wanted }: Named,
  now: Described & { readonly etag?: string },
): Item | undefined {
  checkType(name, wanted.type, now.type);
  const changes = changesTo(wanted, now);
  if (changes.length === 0) return undefined;
  const path = kind.path.replace('{}', `/${encodeURIComponent(name)}`);
  const body = { ...written(kind.kind, now), ...given(wanted) };
  const tag = now.etag === undefined ? {} : { etag: now.etag };
  return { kind: kind.kind, name, isNew: false, changes, line: { method: 'PUT', path, ...tag, body } };
}

/** @throws OptionError when an instance is of another type than the file says */
function checkType(name: string, wanted: InstanceType | undefined, is: InstanceType | undefined): void {
  if (wanted === undefined || wanted === is) return;
  const advice = 'it stays what it was created as: delete it first, or leave its type out of the file';
  throw new OptionError(`The instance "${name}" is a ${is}, and the file says ${wanted}; ${advice}.`);
}

/** What is new. That all of it is is told only where it is asked for: it may be a hundred thousand. */
class Creation implements Item {
  readonly kind: Item['kind'];
  readonly name: string;
  readonly isNew = true;
  readonly line: BatchLine;
  readonly #wanted: Described;

  constructor({ kind, path }: Kind, wanted: Named) {
    const { name, type } = wanted;
    this.kind = kind;
    this.name = name;
    const body = { name, ...(type === undefined ? {} : { type }), ...given(wanted, broughtId(kind, wanted)) };
    this.line = { method: 'POST', path: path.replace('{}', ''), body };
    this.#wanted = wanted;
  }

  get changes(): readonly FieldChange[] {
    return changesTo(this.#wanted, {});
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
