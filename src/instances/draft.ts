import { Fault } from '../errors.js';
import type { AnyChange, Change } from '../model/changes.js';
import type { Instance, Profile, Project } from '../model/instance.js';
import { type Keyed, keyOf, list, need, type Records, type Table } from './record-table.js';

/** What a transaction can do with one kind of records: it sees them as they will be once all before it is durable. */
export interface Drafted<R extends Keyed> {
  get(project: string, name: string): R | undefined;
  /** @throws Fault not-found */
  need(project: string, name: string): R;
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
}

interface Tables {
  readonly instances: Table<Instance>;
  readonly profiles: Table<Profile>;
  readonly projects: Table<Project>;
}

/** The records as several transactions, one after the other, leave them. */
export class Draft {
  readonly #tables: Tables;
  readonly #instances: Layer<Instance>;
  readonly #profiles: Layer<Profile>;
  readonly #projects: Layer<Project>;

  constructor(tables: Tables) {
    this.#tables = tables;
    this.#instances = new Layer(tables.instances);
    this.#profiles = new Layer(tables.profiles);
    this.#projects = new Layer(tables.projects);
  }

  /** Runs one transaction; when it throws, it has changed nothing. */
  run<Result>(work: (transaction: Transaction) => Result): { value: Result; changes: AnyChange[] } {
    const changes: AnyChange[] = [];
    const instances = new Layer(this.#instances);
    const profiles = new Layer(this.#profiles);
    const projects = new Layer(this.#projects);
    const value = work({
      ...drafted(instances, this.#tables.instances, (change) => changes.push({ kind: 'instance', ...change })),
      profiles: drafted(profiles, this.#tables.profiles, (change) => changes.push({ kind: 'profile', ...change })),
      projects: drafted(projects, this.#tables.projects, (change) => changes.push({ kind: 'project', ...change })),
    });
    this.#instances.absorb(instances);
    this.#profiles.absorb(profiles);
    this.#projects.absorb(projects);
    return { value, changes };
  }
}

/** Changes on top of records that stay as they are. */
class Layer<R extends Keyed> implements Records<R> {
  readonly noun: string;
  readonly #below: Records<R>;
  /** by key; undefined: removed or renamed away */
  readonly #over = new Map<string, R | undefined>();

  constructor(below: Records<R>) {
    this.noun = below.noun;
    this.#below = below;
  }

  get(key: string): R | undefined {
    return this.#over.has(key) ? this.#over.get(key) : this.#below.get(key);
  }

  *values(): Iterable<R> {
    for (const record of this.#below.values()) {
      if (!this.#over.has(keyOf(record.project, record.name))) yield record;
    }
    for (const record of this.#over.values()) if (record !== undefined) yield record;
  }

  set(key: string, record: R | undefined): void {
    this.#over.set(key, record);
  }

  /** Takes over what a layer above has changed. */
  absorb(above: Layer<R>): void {
    for (const [key, record] of above.#over) this.#over.set(key, record);
  }
}

function drafted<R extends Keyed>(layer: Layer<R>, table: Table<R>, changed: (change: Change<R>) => void): Drafted<R> {
  const leave = (before: R): void => {
    const key = keyOf(before.project, before.name);
    if (layer.get(key) !== before) throw new Error(`${before.name} is not the latest version`);
    layer.set(key, undefined);
  };
  const enter = (after: R): void => {
    const key = keyOf(after.project, after.name);
    if (layer.get(key) !== undefined) {
      throw new Fault('already-exists', `${layer.noun} "${after.name}" already exists`);
    }
    layer.set(key, after);
  };
  return {
    get: (project, name) => layer.get(keyOf(project, name)),
    need: (project, name) => need(layer, project, name),
    list: (project) => list(layer, project),
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
