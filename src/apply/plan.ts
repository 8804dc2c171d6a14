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
  return kind.wanted.flatMap(({ name, ...each }) =>
    found.has(name) ? (found.get(name) ?? []) : creation(kind, name, each),
  );
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

function creation({ kind, path }: Kind, name: string, wanted: Described): Item {
  const { type } = wanted;
  const body = { name, ...(type === undefined ? {} : { type }), ...given(wanted, broughtId(kind, wanted)) };
  return {
    kind,
    name,
    isNew: true,
    changes: changesTo(wanted, {}),
    line: { method: 'POST', path: path.replace('{}', ''), body },
  };
}

/** All that a PUT replaces. */
function written(kind: Item['kind'], now: Described): Partial<InstanceWritten & ProfileWritten> {
  const { description = '', config = {}, devices = {}, profiles = [] } = now;
  return { description, config, devices, ...(kind === 'instance' ? { profiles } : {}) };
}

function given({ config, type, ...wanted }: Described, brought: Config = {}): object {
  const others = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  return config === undefined ? others : { ...others, config: { ...own(config), ...brought } };
}

/** By which cloud-init knows an instance that comes from another host. */
function broughtId(kind: Item['kind'], { config }: Described): Config {
  const id = kind === 'instance' ? config?.[instanceIdKey] : undefined;
  return id === undefined ? {} : { [instanceIdKey]: id };
}
