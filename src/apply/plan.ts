import type { BatchLine, Config, InstanceType, InstanceWritten, ProfileWritten } from '../api/types.js';
import { ApiError } from '../client/client-errors.js';
import type { HostClient } from '../client/host-client.js';
import { OptionError } from '../config/options.js';
import { changesTo, type Described, type FieldChange, own } from './difference.js';
import type { Wanted } from './wanted.js';

/** What is to be done with one instance or profile. */
export interface Item {
  readonly kind: 'profile' | 'instance';
  readonly name: string;
  readonly isNew: boolean;
  readonly changes: readonly FieldChange[];
  readonly line: BatchLine;
}

/** What makes a daemon what a file wants, profiles first; what is so already is only counted. */
export interface Plan {
  readonly items: readonly Item[];
  readonly unchanged: number;
}

interface Kind {
  readonly kind: Item['kind'];
  readonly path: string;
  readonly known: ReadonlyMap<string, Described>;
  /** the latest version and its entity tag; undefined: it has gone meanwhile */
  readonly latest: (name: string) => Promise<{ value: Described; etag: string } | undefined>;
}

/** Compares what is wanted with what there is. project: of the client */
export async function planOf(client: HostClient, { profiles, instances }: Wanted, project: string): Promise<Plan> {
  const items: Item[] = [];
  for (const [kind, wanted] of [
    [await profileKind(client, project), profiles],
    [await instanceKind(client, project), instances],
  ] as const) {
    for (const each of wanted) items.push(...(await itemsOf(kind, each)));
  }
  return { items, unchanged: profiles.length + instances.length - items.length };
}

async function profileKind(client: HostClient, project: string): Promise<Kind> {
  const known = new Map((await client.profiles.list()).map((profile) => [profile.name, profile]));
  const latest = unlessGone((name) => client.profiles.tagged(name));
  return { kind: 'profile', path: pathIn('profiles', project), known, latest };
}

async function instanceKind(client: HostClient, project: string): Promise<Kind> {
  const known = new Map((await client.instances.list()).map((instance) => [instance.name, instance]));
  const latest = unlessGone((name) => client.instances.tagged(name));
  return { kind: 'instance', path: pathIn('instances', project), known, latest };
}

function pathIn(collection: string, project: string): string {
  return `/1.0/${collection}{}${project === 'default' ? '' : `?project=${encodeURIComponent(project)}`}`;
}

async function itemsOf(kind: Kind, { name, ...wanted }: { name: string } & Described): Promise<Item[]> {
  const known = kind.known.get(name);
  if (known !== undefined) checkType(name, wanted.type, known.type);
  if (known !== undefined && changesTo(wanted, known).length === 0) return [];
  // What differs is read once more, with the tag that holds it to what is shown here.
  const latest = known === undefined ? undefined : await kind.latest(name);
  if (latest === undefined) return [creation(kind, name, wanted)];
  const changes = changesTo(wanted, latest.value);
  if (changes.length === 0) return [];
  const path = kind.path.replace('{}', `/${encodeURIComponent(name)}`);
  const body = { ...written(kind.kind, latest.value), ...given(wanted) };
  return [{ kind: kind.kind, name, isNew: false, changes, line: { method: 'PUT', path, etag: latest.etag, body } }];
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

const instanceIdKey = 'volatile.cloud-init.instance-id';

/** By which cloud-init knows an instance that comes from another host. */
function broughtId(kind: Item['kind'], { config }: Described): Config {
  const id = kind === 'instance' ? config?.[instanceIdKey] : undefined;
  return id === undefined ? {} : { [instanceIdKey]: id };
}

function unlessGone<Tagged>(read: (name: string) => Promise<Tagged>): (name: string) => Promise<Tagged | undefined> {
  return (name) =>
    read(name).catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    });
}
