import { Fault } from '../errors.js';
import type { AnyChange, Change } from '../model/changes.js';
import type { Instance, Profile, Project } from '../model/instance.js';
import { storedVersionOf } from '../model/seed.js';
import { Layer } from './layer.js';
import { ProfileVersions } from './profile-versions.js';
import { type Keyed, keyOf, list, need, type Table } from './record-table.js';
import type { Layers, Tables } from './tables.js';

/** What a transaction can do with one kind of records: it sees them as they will be once all before it is durable. */
export interface Drafted<R extends Keyed> {
  get(project: string, name: string): R | undefined;
  /** @throws Fault not-found */
  need(project: string, name: string): R;
  byId(id: R['id']): R | undefined;
  /** All there are, in no order. */
  values(): Iterable<R>;
  /** All of a project, or all there are, by name. */
  list(project?: string): R[];
  /** A number for a new one. */
  newId(): number;
  /** @throws Fault already-exists */
  create(record: R): void;
  /**
   * Puts another version in the place of what `get` gave; a changed name renames it.
   * @throws Fault already-exists, when the new name is taken
   */
  replace(before: R, after: R): void;
  remove(before: R): void;
}

/** What a transaction sees and changes. Instances are what most are about, so they need not be named. */
export interface Transaction extends Drafted<Instance> {
  readonly profiles: Drafted<Profile>;
  readonly projects: Drafted<Project>;
  /** Those that run, in no order. */
  running(): Instance[];
  /** Those whose own keys do not follow from their profiles by themselves, in no order. */
  seedless(): Instance[];
  /** Of now, and before that of every event that the transaction makes. */
  timestamp(): string;
}

/** What a transaction gave, and what it wants written. */
export interface Drawn<Result> {
  readonly value: Result;
  readonly changes: AnyChange[];
}

/** Changes of a transaction that are copied to those before it, since layers on layers are slow to look through. */
const copiedAtMost = 500;

/** The records as several transactions, one after the other, leave them. */
export class Draft {
  readonly #tables: Tables;
  readonly #timestamp: () => string;
  #base: Layers;

  constructor(tables: Tables, timestamp: () => string) {
    this.#tables = tables;
    this.#timestamp = timestamp;
    this.#base = layersOn(tables);
  }

  /** What the transactions have changed, over the tables. */
  get layers(): Layers {
    return this.#base;
  }

  /**
   * Runs one transaction; when it throws, it has changed nothing. What takes long waits for its turns; nothing else
   * changes the records meanwhile.
   */
  async run<Result>(work: (transaction: Transaction) => Result | Promise<Result>): Promise<Drawn<Result>> {
    const changes: AnyChange[] = [];
    const layers = layersOn(this.#base);
    const given = work(this.#transaction(layers, changes));
    const value = given instanceof Promise ? await given : given;
    this.#keep(layers, changes.length);
    return { value, changes };
  }

  /** Many changes stay the layer that they are: to copy them would keep the event loop. */
  #keep(layers: Layers, changes: number): void {
    if (changes > copiedAtMost) {
      this.#base = layers;
      return;
    }
    this.#base.instances.absorb(layers.instances);
    this.#base.profiles.absorb(layers.profiles);
    this.#base.projects.absorb(layers.projects);
  }

  #transaction({ instances, profiles, projects }: Layers, changes: AnyChange[]): Transaction {
    const versions = new ProfileVersions((id) => profiles.byId(id));
    const shown = (instance: Instance): Instance => versions.shown(instance);
    const tables = this.#tables;
    const drafts = drafted(
      instances,
      tables.instances,
      (change) => changes.push({ kind: 'instance', ...change }),
      shown,
      storedVersionOf,
    );
    return {
      ...drafts,
      running: () => this.#running(instances).map(shown),
      seedless: () => [...tables.instances.seedless()].flatMap((id) => instances.byId(id) ?? []).map(shown),
      timestamp: this.#timestamp,
      profiles: drafted(profiles, tables.profiles, (change) => changes.push({ kind: 'profile', ...change })),
      projects: drafted(projects, tables.projects, (change) => changes.push({ kind: 'project', ...change })),
    };
  }

  #running(instances: Layer<Instance>): Instance[] {
    const ids = new Set([...this.#tables.instances.running(), ...instances.changed()]);
    return [...ids].flatMap((id) => instances.byId(id) ?? []).filter(({ run }) => run !== undefined);
  }
}

function layersOn({ instances, profiles, projects }: Tables | Layers): Layers {
  return { instances: new Layer(instances), profiles: new Layer(profiles), projects: new Layer(projects) };
}

/** shown: gives what a transaction sees of a record; stored: what is written of that */
function drafted<R extends Keyed>(
  layer: Layer<R>,
  table: Table<R>,
  changed: (change: Change<R>) => void,
  shown: (record: R) => R = (record) => record,
  stored: (record: R) => R = (record) => record,
): Drafted<R> {
  const seen = (record: R | undefined): R | undefined => record && shown(record);
  const leave = (before: R): void => {
    if (!isSameVersion(layer.get(keyOf(before.project, before.name)), before, stored))
      throw new Error(`${before.name} is not the latest version`);
    layer.remove(before);
  };
  const enter = (after: R): void => {
    if (layer.get(keyOf(after.project, after.name)) !== undefined)
      throw new Fault('already-exists', `${layer.noun} "${after.name}" already exists`);
    layer.put(after);
  };
  return {
    get: (project, name) => seen(layer.get(keyOf(project, name))),
    need: (project, name) => shown(need(layer, project, name)),
    byId: (id) => seen(layer.byId(id)),
    *values() {
      for (const record of layer.values()) yield shown(record);
    },
    list: (project) => list(layer, project).map(shown),
    newId: () => table.newId(),
    create: (after) => {
      enter(after);
      changed({ before: undefined, after });
    },
    replace: (before, after) => {
      leave(before);
      enter(after);
      changed({ before, after });
    },
    remove: (before) => {
      leave(before);
      changed({ before, after: undefined });
    },
  };
}

/** One may have been seen with other versions of its profiles; what is its own has to be the same. */
function isSameVersion<R extends Keyed>(latest: R | undefined, before: R, stored: (record: R) => R): boolean {
  if (latest === undefined || latest === before) return latest === before;
  const [one, other] = [stored(latest), stored(before)];
  return (Object.keys(one) as (keyof R | 'profiles')[]).every(
    (field) => field === 'profiles' || one[field] === other[field],
  );
}
