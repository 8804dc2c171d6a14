import { EventEmitter } from 'node:events';
import { Turn } from '../concurrency/turn.js';
import type { AnyChange, Requestor, Written, WrittenChange } from '../model/changes.js';
import { EventClock, eventsOf, type GuestEvent } from '../model/guest-events.js';
import type { Instance, Profile, Project } from '../model/instance.js';
import { Draft } from './draft.js';
import { InstanceTable } from './instance-table.js';
import type { Attributed, Done, Job, RecordStore, Work } from './jobs.js';
import { keyOf, list, need, Table } from './record-table.js';

export type { Transaction } from './draft.js';

interface Events {
  /** changes of instances that run or are deleted, in one commit, in order: others have nobody that notices */
  changes: [readonly WrittenChange[]];
  /** every change, one by one, with its requestor; after `changes` */
  written: [Written, Requestor | undefined];
  /** facts could not be stored, and hold in memory alone until they are */
  notStored: [error: unknown];
  /** a listener of these events failed; the changes hold all the same */
  notTold: [error: unknown];
  /** this many changes that were facts are stored now */
  storedAfterAll: [number];
  /** the guest has said once more that it is ready, which changes nothing */
  readyAgain: [Instance];
}

/** Between two attempts to store facts. */
const retryMilliseconds = 1000;

/**
 * All instances, profiles and projects, in memory, and the one way to change them: a transaction is durable first,
 * then in memory, then told to the listeners, then answered. Transactions that come while one is being written are
 * written together (group commit); each is all or nothing, and one that throws changes nothing and disturbs no other.
 */
export class Registry extends EventEmitter<Events> {
  readonly #store: RecordStore;
  readonly #clock: EventClock;
  readonly #profiles = new Table<Profile>('Profile');
  readonly #tables = {
    instances: new InstanceTable(this.#profiles),
    profiles: this.#profiles,
    projects: new Table<Project>('Project'),
  };
  /** for the metrics */
  readonly commits = { done: 0, failed: 0, changes: 0, milliseconds: 0, lastDone: 0, lastFailed: 0 };
  readonly #queue: Job[] = [];
  /** changes by facts that the store would not take: each commit begins with them */
  readonly #unstored: Written[] = [];
  #retry: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;

  constructor(store: RecordStore, clock = new EventClock()) {
    super();
    this.#store = store;
    this.#clock = clock;
  }

  /** Reads everything from the store. */
  async load(): Promise<void> {
    const { instances, profiles, projects, lastEvent } = await this.#store.load();
    for (const project of projects) this.#tables.projects.apply(undefined, project);
    for (const profile of profiles) this.#tables.profiles.apply(undefined, profile);
    for (const instance of instances) this.#tables.instances.apply(undefined, instance);
    if (lastEvent !== undefined) this.#clock.startAfter(lastEvent);
  }

  /** Transactions that wait for the one that is being written. */
  get waiting(): number {
    return this.#queue.length;
  }

  get(project: string, name: string): Instance | undefined {
    return this.#tables.instances.get(keyOf(project, name));
  }

  /** @throws Fault not-found */
  need(project: string, name: string): Instance {
    return need(this.#tables.instances, project, name);
  }

  byId(id: number): Instance | undefined {
    return this.#tables.instances.byId(id);
  }

  /** How many instances there are. */
  get size(): number {
    return this.#tables.instances.size;
  }

  /** All instances, in no order; they may change while they are looked at. */
  instances(): Iterable<Instance> {
    return this.#tables.instances.values();
  }

  /** All of a project, or all there are, by name. */
  list(project?: string): Instance[] {
    return list(this.#tables.instances, project);
  }

  /** Those that run, in no order. */
  running(): Instance[] {
    return [...this.#tables.instances.running()].flatMap((id) => this.byId(id) ?? []);
  }

  /** All of a project, or all there are, in no order and of one moment, whatever is written afterwards. */
  snapshot(project?: string): ReturnType<InstanceTable['snapshot']> {
    return this.#tables.instances.snapshot(project);
  }

  /** @throws Fault not-found */
  needProfile(project: string, name: string): Profile {
    return need(this.#tables.profiles, project, name);
  }

  /** All of a project, or all there are, by name. */
  profiles(project?: string): Profile[] {
    return list(this.#tables.profiles, project);
  }

  /** @throws Fault not-found */
  needProject(name: string): Project {
    return need(this.#tables.projects, '', name);
  }

  projects(): Project[] {
    return list(this.#tables.projects);
  }

  /** Events of an instance after a timestamp; undefined when some are no longer stored, or they exceed the limit. */
  eventsAfter(instanceId: number, timestamp: string, mostBytes: number): Promise<GuestEvent[] | undefined> {
    return this.#store.eventsAfter(instanceId, timestamp, mostBytes);
  }

  /**
   * Runs work, which waits for nothing but its turns, and gives what it returns once that is durable.
   * Errors of work are rethrown. requestor: named in the lifecycle events
   */
  transact<Result>(work: Work<Result>, requestor?: Requestor): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#enqueue({ work, requestor, isFact: false, resolve, reject });
    });
  }

  /**
   * The same for something that has happened, such as the exit of an init: when the store fails it holds in memory at
   * once, and is stored as soon as the store works again. A process that ends before must find it out again.
   */
  record<Result>(work: Work<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#enqueue({ work, requestor: undefined, isFact: true, resolve, reject });
    });
  }

  /** Changes that hold and are not stored yet. */
  get unstored(): number {
    return this.#unstored.length;
  }

  /** Waits for what is queued, and tries a last time to store facts. */
  async stop(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    if (this.#unstored.length > 0) await this.#write([]);
    clearTimeout(this.#retry);
  }

  #enqueue(job: Job): void {
    this.#queue.push(job);
    this.#writing ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // Not before `#writing` is set. What arrives with the first is written with the second commit.
    await undefined;
    do {
      const jobs = this.#queue.splice(0, this.#store.transactionsAtOnce ?? this.#queue.length);
      await this.#write(jobs);
    } while (this.#queue.length > 0);
    // At once with the last look at the queue: what comes later starts a writer of its own.
    this.#writing = undefined;
  }

  async #write(jobs: Job[]): Promise<void> {
    const done = await this.#draft(jobs);
    const written = await this.#written(done);
    const facts = this.#unstored.length;
    try {
      if (facts + written.length > 0) await this.#commit([...this.#unstored, ...written.map(({ change }) => change)]);
    } catch (error) {
      await this.#failed(done, error);
      return;
    }
    this.#unstored.splice(0, facts);
    if (facts > 0) this.emit('storedAfterAll', facts);
    await this.#hold(done, written);
  }

  /** The wishes are refused; the facts are drafted again, without what the wishes would have changed. */
  async #failed(done: readonly Done[], error: unknown): Promise<void> {
    for (const { job } of done) if (!job.isFact) job.reject(error);
    const facts = await this.#draft(done.flatMap(({ job }) => (job.isFact ? [job] : [])));
    const written = await this.#written(facts);
    this.#unstored.push(...written.map(({ change }) => change));
    await this.#hold(facts, written);
    if (written.length > 0) this.emit('notStored', error);
    if (this.#unstored.length > 0) this.#retryLater();
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#writing ??= this.#writeAll();
    }, retryMilliseconds).unref();
  }

  async #written(done: readonly Done[]): Promise<Attributed[]> {
    const turn = new Turn();
    const written: Attributed[] = [];
    for (const { job, changes } of done) {
      for (const change of changes) {
        written.push({ change: this.#withEvents(change), requestor: job.requestor });
        const pause = turn.end();
        if (pause !== undefined) await pause;
      }
    }
    return written;
  }

  /** They hold from here on: in memory, told to the listeners, answered. */
  async #hold(done: readonly Done[], written: readonly Attributed[]): Promise<void> {
    for (const { change } of written) this.#apply(change);
    try {
      this.emit(
        'changes',
        written.flatMap(({ change }) => (change.kind === 'instance' && isNoticed(change) ? [change] : [])),
      );
      await this.#tell(written);
    } catch (error) {
      this.emit('notTold', error);
    }
    for (const { job, value } of done) job.resolve(value as never);
  }

  async #tell(written: readonly Attributed[]): Promise<void> {
    const turn = new Turn();
    for (const { change, requestor } of written) {
      this.emit('written', change, requestor);
      const pause = turn.end();
      if (pause !== undefined) await pause;
    }
  }

  async #commit(changes: readonly Written[]): Promise<void> {
    const began = performance.now();
    try {
      await this.#store.commit(changes);
      this.commits.done++;
      this.commits.lastDone = Date.now();
      this.commits.changes += changes.length;
    } catch (error) {
      this.commits.failed++;
      this.commits.lastFailed = Date.now();
      throw error;
    } finally {
      this.commits.milliseconds += performance.now() - began;
    }
  }

  async #draft(jobs: readonly Job[]): Promise<Done[]> {
    const draft = new Draft(this.#tables, () => this.#clock.next());
    const turn = new Turn();
    const done: Done[] = [];
    for (const job of jobs) {
      try {
        done.push({ job, ...(await draft.run(job.work)) });
      } catch (error) {
        job.reject(error);
      }
      await turn.end();
    }
    return done;
  }

  #withEvents(change: AnyChange): Written {
    return change.kind === 'instance' ? { ...change, events: eventsOf(change, this.#clock) } : change;
  }

  #apply(change: Written): void {
    if (change.kind === 'instance') this.#tables.instances.apply(change.before, change.after);
    else if (change.kind === 'profile') this.#tables.profiles.apply(change.before, change.after);
    else this.#tables.projects.apply(change.before, change.after);
  }
}

function isNoticed({ before, after }: WrittenChange): boolean {
  return after === undefined || after.run !== undefined || before?.run !== undefined;
}
