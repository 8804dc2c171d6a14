import { EventEmitter } from 'node:events';
import { Fault } from '../errors.js';
import type { Change, WrittenChange } from './changes.js';
import { EventClock, eventsOf, type GuestEvent } from './events.js';
import type { Instance } from './model.js';
import type { Store } from './store.js';

/** What a transaction sees: the instances as they will be when everything queued before it is durable. */
export interface Transaction {
  get(project: string, name: string): Instance | undefined;
  /** @throws Fault not-found */
  need(project: string, name: string): Instance;
  /** A number for a new instance. */
  newId(): number;
  /** @throws Fault already-exists */
  create(instance: Instance): void;
  /**
   * Puts another version in the place of what `get` gave; a changed name renames it.
   * @throws Fault already-exists, when the new name is taken
   */
  replace(before: Instance, after: Instance): void;
  remove(before: Instance): void;
}

interface Job {
  readonly work: (transaction: Transaction) => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (reason: unknown) => void;
}

interface Events {
  change: [WrittenChange];
}

/**
 * All instances, in memory, and the one way to change them: a transaction is durable first, then in memory, then
 * told to the listeners of `change`, then answered. Transactions that come while one is being written are written
 * together (group commit); each is all or nothing, and one that throws changes nothing and disturbs no other.
 */
export class Registry extends EventEmitter<Events> {
  readonly #store: Store;
  readonly #clock: EventClock;
  readonly #byKey = new Map<string, Instance>();
  readonly #byId = new Map<number, Instance>();
  #queue: Job[] = [];
  #writing: Promise<void> | undefined;
  #lastId = 0;

  constructor(store: Store, clock = new EventClock()) {
    super();
    this.#store = store;
    this.#clock = clock;
  }

  /** Reads everything from the store. */
  async load(): Promise<void> {
    const { instances, lastEvent } = await this.#store.load();
    for (const instance of instances) this.#apply({ before: undefined, after: instance });
    if (lastEvent !== undefined) this.#clock.startAfter(lastEvent);
    this.#lastId = Math.max(0, ...this.#byId.keys());
  }

  get(project: string, name: string): Instance | undefined {
    return this.#byKey.get(keyOf(project, name));
  }

  /** @throws Fault not-found */
  need(project: string, name: string): Instance {
    return this.get(project, name) ?? notFound(name);
  }

  byId(id: number): Instance | undefined {
    return this.#byId.get(id);
  }

  /** All of a project, or all there are, by name. */
  list(project?: string): Instance[] {
    const all = [...this.#byId.values()];
    const chosen = project === undefined ? all : all.filter((instance) => instance.project === project);
    return chosen.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The events of an instance after a timestamp; undefined when some are not kept any more. */
  eventsAfter(instanceId: number, timestamp: string): Promise<GuestEvent[] | undefined> {
    return this.#store.eventsAfter(instanceId, timestamp);
  }

  /**
   * Runs work, which must not wait for anything, and gives what it returns once that is durable.
   * What work throws is thrown.
   */
  transact<Result>(work: (transaction: Transaction) => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ work, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  /** Waits for what is queued. */
  async stop(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #writeAll(): Promise<void> {
    // One turn later, so that requests which arrived together are written together.
    await new Promise(setImmediate);
    while (this.#queue.length > 0) {
      const jobs = this.#queue;
      this.#queue = [];
      await this.#write(jobs);
    }
    // At once with the last look at the queue: what comes later starts a writer of its own.
    this.#writing = undefined;
  }

  async #write(jobs: Job[]): Promise<void> {
    const draft = new Draft(this.#byKey, () => ++this.#lastId);
    const done = jobs.flatMap((job) => {
      try {
        return [{ job, value: draft.run(job.work) }];
      } catch (error) {
        job.reject(error);
        return [];
      }
    });
    const changes = draft.changes.map((change) => ({ ...change, events: eventsOf(change, this.#clock) }));
    try {
      if (changes.length > 0) await this.#store.commit(changes);
    } catch (error) {
      for (const { job } of done) job.reject(error);
      return;
    }
    for (const change of changes) this.#apply(change);
    for (const change of changes) this.emit('change', change);
    for (const { job, value } of done) job.resolve(value as never);
  }

  #apply({ before, after }: Change): void {
    if (before !== undefined) this.#byKey.delete(keyOf(before.project, before.name));
    if (after !== undefined) {
      this.#byKey.set(keyOf(after.project, after.name), after);
      this.#byId.set(after.id, after);
    } else if (before !== undefined) {
      this.#byId.delete(before.id);
    }
  }
}

/** The instances as several transactions, one after the other, leave them. */
class Draft {
  readonly changes: Change[] = [];
  readonly #base: ReadonlyMap<string, Instance>;
  readonly #newId: () => number;
  /** undefined: removed or renamed away */
  #overlay = new Map<string, Instance | undefined>();

  constructor(base: ReadonlyMap<string, Instance>, newId: () => number) {
    this.#base = base;
    this.#newId = newId;
  }

  run(work: Job['work']): unknown {
    const overlay = new Map(this.#overlay);
    const changes: Change[] = [];
    const result = work(this.#transaction(overlay, changes));
    this.#overlay = overlay;
    this.changes.push(...changes);
    return result;
  }

  #transaction(overlay: Map<string, Instance | undefined>, changes: Change[]): Transaction {
    const get = (project: string, name: string) => {
      const key = keyOf(project, name);
      return overlay.has(key) ? overlay.get(key) : this.#base.get(key);
    };
    const leave = (before: Instance) => {
      if (get(before.project, before.name) !== before) throw new Error(`${before.name} is not the latest version`);
      overlay.set(keyOf(before.project, before.name), undefined);
    };
    const enter = (after: Instance) => {
      if (get(after.project, after.name) !== undefined) alreadyExists(after.name);
      overlay.set(keyOf(after.project, after.name), after);
    };
    return {
      get,
      need: (project, name) => get(project, name) ?? notFound(name),
      newId: this.#newId,
      create: (after) => {
        enter(after);
        changes.push({ before: undefined, after });
      },
      replace: (before, after) => {
        leave(before);
        enter(after);
        changes.push({ before, after });
      },
      remove: (before) => {
        leave(before);
        changes.push({ before, after: undefined });
      },
    };
  }
}

function keyOf(project: string, name: string): string {
  return `${project}/${name}`;
}

function notFound(name: string): never {
  throw new Fault('not-found', `Instance "${name}" not found`);
}

function alreadyExists(name: string): never {
  throw new Fault('already-exists', `Instance "${name}" already exists`);
}
