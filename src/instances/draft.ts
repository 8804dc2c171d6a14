import type { AnyChange } from '../model/changes.js';
import type { GuestEvent } from '../model/guest-events.js';
import type { Instance, Profile, Project } from '../model/instance.js';
import { storedVersionOf } from '../model/seed.js';
import { type Drafted, DraftedRecords } from './drafted.js';
import { Layer } from './layer.js';
import { ProfileVersions } from './profile-versions.js';
import { need } from './record-table.js';
import type { Layers, Tables } from './tables.js';

/** What a transaction sees and changes. Instances are what most are about, so they need not be named. */
export interface Transaction extends Drafted<Instance> {
  readonly profiles: Drafted<Profile>;
  readonly projects: Drafted<Project>;
  readonly before: Before;
  /** Those that run, in no order. */
  running(): Instance[];
  /** Those whose own keys do not follow from their profiles by themselves, in no order. */
  seedless(): Instance[];
  /** Of now, and before that of every event that what follows makes. */
  timestamp(): string;
}

/** What there was before the first step of a transaction. */
export interface Before {
  /** @throws Fault not-found */
  instance(project: string, name: string): Instance;
  /** @throws Fault not-found */
  profile(project: string, name: string): Profile;
}

type Work<Result> = (transaction: Transaction) => Result | Promise<Result>;

type Changed = (change: AnyChange) => void;

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
   * Runs one transaction, and gives each change that it makes; when it throws, it has changed nothing. What takes long waits for its turns; nothing else
   * changes the records meanwhile.
   */
  async run<Result>(work: Work<Result>, changed: Changed): Promise<Result> {
    let changes = 0;
    const layers = layersOn(this.#base);
    const count: Changed = (change) => {
      changes++;
      changed(change);
    };
    const given = work(new DraftTransaction(this.#tables, this.#base, layers, count, this.#timestamp));
    const value = given instanceof Promise ? await given : given;
    this.#keep(layers, changes);
    return value;
  }

  /** The same, and nothing of it is kept. */
  async rehearse(work: Work<unknown>): Promise<void> {
    await work(new DraftTransaction(this.#tables, this.#base, layersOn(this.#base), () => undefined, this.#timestamp));
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
}

const noEvents: readonly GuestEvent[] = [];

/** Most are about instances alone: the rest is made when it is asked for. */
class DraftTransaction extends DraftedRecords<Instance> implements Transaction {
  readonly timestamp: () => string;
  readonly #tables: Tables;
  readonly #below: Layers;
  readonly #layers: Layers;
  readonly #changed: Changed;
  readonly #versions: ProfileVersions;
  /** by what is written of them */
  #derived: Map<Instance, Instance> | undefined;
  #before: Before | undefined;
  #profiles: Drafted<Profile> | undefined;
  #projects: Drafted<Project> | undefined;

  /** below: what there was before, which layers lie on */
  constructor(tables: Tables, below: Layers, layers: Layers, changed: Changed, timestamp: () => string) {
    super(layers.instances, tables.instances, (before, after) =>
      changed({ kind: 'instance', before, after, events: noEvents }),
    );
    this.timestamp = timestamp;
    this.#tables = tables;
    this.#below = below;
    this.#layers = layers;
    this.#changed = changed;
    this.#versions = new ProfileVersions((id) => layers.profiles.byId(id));
  }

  get before(): Before {
    this.#before ??= new Untouched(this.#below);
    return this.#before;
  }

  get profiles(): Drafted<Profile> {
    this.#profiles ??= new DraftedRecords(this.#layers.profiles, this.#tables.profiles, (before, after) =>
      this.#changed({ kind: 'profile', before, after }),
    );
    return this.#profiles;
  }

  get projects(): Drafted<Project> {
    this.#projects ??= new DraftedRecords(this.#layers.projects, this.#tables.projects, (before, after) =>
      this.#changed({ kind: 'project', before, after }),
    );
    return this.#projects;
  }

  running(): Instance[] {
    const { instances } = this.#layers;
    const ids = new Set([...this.#tables.instances.running(), ...instances.changed()]);
    return [...ids]
      .flatMap((id) => instances.byId(id) ?? [])
      .filter(({ run }) => run !== undefined)
      .map((instance) => this.shown(instance));
  }

  seedless(): Instance[] {
    return [...this.#tables.instances.seedless()].flatMap((id) => this.byId(id) ?? []);
  }

  /** What is looked at several times is worked out once. */
  protected override shown(instance: Instance): Instance {
    const stored = storedVersionOf(instance);
    const shown = this.#versions.shown(this.#derived?.get(stored) ?? instance);
    if (storedVersionOf(shown) === shown) return shown;
    this.#derived ??= new Map();
    this.#derived.set(stored, shown);
    return shown;
  }

  protected override stored(shown: Instance): Instance {
    return storedVersionOf(shown);
  }
}

class Untouched implements Before {
  readonly #layers: Layers;
  readonly #versions: ProfileVersions;

  constructor(layers: Layers) {
    this.#layers = layers;
    this.#versions = new ProfileVersions((id) => layers.profiles.byId(id));
  }

  instance(project: string, name: string): Instance {
    return this.#versions.shown(need(this.#layers.instances, project, name));
  }

  profile(project: string, name: string): Profile {
    return need(this.#layers.profiles, project, name);
  }
}

function layersOn({ instances, profiles, projects }: Tables | Layers): Layers {
  return { instances: new Layer(instances), profiles: new Layer(profiles), projects: new Layer(projects) };
}
