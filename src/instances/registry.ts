import { EventEmitter } from 'node:events';
import { Turn } from '../concurrency/turn.js';
import type { Requestor, Written, WrittenChange } from '../model/changes.js';
import { EventClock, type GuestEvent } from '../model/guest-events.js';
import type { Instance, Profile, Project } from '../model/instance.js';
import type { OpenCommit } from '../store/open-commit.js';
import type { Commit } from './commit.js';
import { drafted } from './group.js';
import type { InstanceTable } from './instance-table.js';
import type { Done, Job, RecordStore, Work } from './jobs.js';
import { keyOf, list, need } from './record-table.js';
import { Tables } from './tables.js';

export type { Before, Transaction } from './draft.js';

interface Events {
  /** changes of instances that run or are deleted, in order, a commit in pieces: others have nobody that notices */
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

/** So many changes are told to listeners at once. */
const piece = 64;

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
  readonly #tables = new Tables();
  /** for the metrics */
  readonly commits = { done: 0, failed: 0, changes: 0, milliseconds: 0, lastDone: 0, lastFailed: 0 };
  readonly #queue: Job[] = [];
  /** changes by facts that the store would not take: each commit begins with them */
  readonly #unstored: Written[] = [];
  #retry: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  /** done when all of the last commit is told */
  #telling: Promise<void> | undefined;

  constructor(store: RecordStore, clock = new EventClock()) {
    super();
    this.#store = store;
    this.#clock = clock;
  }

  /** Reads everything from the store. */
  async load(): Promise<void> {
    const loaded = await this.#store.load();
    this.#tables.load(loaded);
    if (loaded.lastEvent !== undefined) this.#clock.startAfter(loaded.lastEvent);
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

  /** All instances, in no order and of one moment, whatever is written afterwards. */
  snapshot(): ReturnType<InstanceTable['snapshot']> {
    return this.#tables.instances.snapshot();
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

  /**
   * Events of an instance after a timestamp, all of which have been told; undefined when some are no longer stored, or they
   * exceed the limit.
   */
  async eventsAfter(instanceId: number, timestamp: string, mostBytes: number): Promise<GuestEvent[] | undefined> {
    const events = await this.#store.eventsAfter(instanceId, timestamp, mostBytes);
    await this.#telling;
    return events;
  }

  /**
   * Runs work, which waits for nothing but its turns, and gives what it returns once that is durable.
   * Errors of work are rethrown. requestor: named in the lifecycle events
   */
  transact<Result>(work: Work<Result>, requestor?: Requestor): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#enqueue({ work, requestor, kind: 'wish', resolve, reject });
    });
  }

  /**
   * The same for something that has happened, such as the exit of an init: when the store fails it holds in memory at
   * once, and is stored as soon as the store works again. A process that ends before must find it out again.
   */
  record<Result>(work: Work<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#enqueue({ work, requestor: undefined, kind: 'fact', resolve, reject });
    });
  }

  /** Runs work as `transact` would, and keeps nothing of it. Errors of work are rethrown. */
  rehearse(work: Work<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#enqueue({ work, requestor: undefined, kind: 'rehearsal', resolve, reject });
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
    const facts = this.#unstored.length;
    // Where others are written with it, what it has changed must not be written before it has ended well.
    const open = jobs.length === 1 && facts === 0 ? this.#store.begin?.() : undefined;
    const { done, commit } = await drafted(jobs, this.#tables, this.#clock, open);
    if (done.length + facts === 0) return;
    const { written } = commit;
    try {
      if (facts + written.length > 0) await this.#commit(facts > 0 ? [...this.#unstored, ...written] : written, open);
    } catch (error) {
      await this.#failed(done, error);
      return;
    }
    this.#unstored.splice(0, facts);
    if (facts > 0) this.emit('storedAfterAll', facts);
    await this.#hold(done, commit);
  }

  /** The wishes are refused; the facts are drafted again, without what the wishes would have changed. */
  async #failed(done: readonly Done[], error: unknown): Promise<void> {
    for (const { job } of done) if (job.kind === 'wish') job.reject(error);
    const jobs = done.flatMap(({ job }) => (job.kind === 'fact' ? [job] : []));
    const facts = await drafted(jobs, this.#tables, this.#clock);
    this.#unstored.push(...facts.commit.written);
    await this.#hold(facts.done, facts.commit);
    if (facts.commit.written.length > 0) this.emit('notStored', error);
    if (this.#unstored.length > 0) this.#retryLater();
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#writing ??= this.#writeAll();
    }, retryMilliseconds).unref();
  }

  /** They hold from here on: in memory, told to the listeners, answered. */
  async #hold(done: readonly Done[], commit: Commit): Promise<void> {
    this.#tables.enter(commit);
    this.#telling = this.#tell(commit);
    await this.#telling;
    for (const { job, value } of done) job.resolve(value as never);
    await this.#tables.settle();
  }

  async #tell({ noticed, transactions }: Commit): Promise<void> {
    const turn = new Turn();
    try {
      for (let from = 0; from < noticed.length; from += piece) {
        this.emit('changes', noticed.slice(from, from + piece));
        const pause = turn.end();
        if (pause !== undefined) await pause;
      }
      for (const { changes, requestor } of transactions) {
        for (const change of changes) {
          this.emit('written', change, requestor);
          const pause = turn.end();
          if (pause !== undefined) await pause;
        }
      }
    } catch (error) {
      this.emit('notTold', error);
    }
  }

  /** open: has the changes already */
  async #commit(changes: readonly Written[], open: OpenCommit | undefined): Promise<void> {
    const began = performance.now();
    try {
      await (open === undefined ? this.#store.commit(changes) : open.end());
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
}
