import { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Fault } from '../errors.js';
import type { Registry } from '../instances/registry.js';
import { keyOf } from '../instances/table.js';
import type { Log } from '../log.js';
import type { Running } from '../running.js';
import { identityOf, mergeAll, mergeOne } from './merge.js';
import type { Source, SourcedInstance } from './source.js';

type Again = (found: SourcedInstance) => Promise<SourcedInstance | undefined>;

/** Beyond so many changed instances, one list of all costs the source less than each by itself. */
const mostSingle = 16;

interface Events {
  /** everything the source has is stored */
  read: [];
}

/**
 * Keeps the registry what a source says, by transactions like any other: durability, events and `?since=` are the
 * registry's. While the source is away, what it has said last goes on being served.
 */
export class Sync extends EventEmitter<Events> {
  readonly #source: Source;
  readonly #registry: Registry;
  readonly #running: Running;
  readonly #log: Log;
  readonly #retryMilliseconds: number;
  readonly #stopping = new AbortController();
  /** by key: changed since they were asked for */
  readonly #changed = new Map<string, readonly [project: string, name: string]>();
  /** how often, for the metrics */
  readonly asked = { all: 0, one: 0 };
  #everything = false;
  #connected = false;
  #saidAway = false;
  #wake: () => void = () => undefined;
  #done: Promise<void> = Promise.resolve();

  /** since when what is stored may differ from what the source has, milliseconds of performance.now(); undefined: it does not */
  #staleSince: number | undefined = performance.now();

  constructor(source: Source, registry: Registry, running: Running, log: Log, retryMilliseconds = 1000) {
    super();
    this.#source = source;
    this.#registry = registry;
    this.#running = running;
    this.#log = log;
    this.#retryMilliseconds = retryMilliseconds;
  }

  /** Is the source there, and tells what happens? */
  get connected(): boolean {
    return this.#connected;
  }

  /** How old what is served may be, seconds; since this process started, when the source has not been read since. */
  get age(): number {
    return this.#staleSince === undefined ? 0 : (performance.now() - this.#staleSince) / 1000;
  }

  run(): void {
    // An init that exits may have been one that has been replaced already.
    this.#running.on('stopped', ({ source, project, name }) => {
      if (source === this.#source.name) this.#change(project, name);
    });
    this.#done = this.#run();
  }

  /** Nothing is written by it afterwards. close: what makes requests of the source under way fail */
  async stop(close: () => void): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    close();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#followed();
      } catch (error) {
        this.#isAway(error);
      }
      await pause(this.#retryMilliseconds, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }

  /** Said once, and again when it has been there in between. */
  #isAway(error: unknown): void {
    if (this.#saidAway || this.#stopping.signal.aborted) return;
    this.#saidAway = true;
    this.#log.warn({ source: this.#source.name, err: error }, 'the source is away; its last state is served');
  }

  /** Until the source ends the connection, or fails. */
  async #followed(): Promise<void> {
    const end = await this.#source.follow({
      changed: (project, name) => this.#change(project, name),
      ended: () => {
        this.#connected = false;
        this.#wake();
      },
    });
    this.#connected = true;
    this.#everything = true; // what was missed
    try {
      while (this.#connected && !this.#stopping.signal.aborted) {
        if (this.#everything || this.#changed.size > 0) await this.#next();
        else await this.#nothingNew();
      }
    } finally {
      this.#connected = false;
      this.#staleSince ??= performance.now();
      end();
    }
    if (!this.#stopping.signal.aborted) throw new Error('it has closed the connection');
  }

  async #nothingNew(): Promise<void> {
    this.#staleSince = undefined;
    await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  #change(project: string, name: string): void {
    this.#staleSince ??= performance.now();
    this.#changed.set(keyOf(project, name), [project, name]);
    this.#wake();
  }

  async #next(): Promise<void> {
    if (this.#everything || this.#changed.size > mostSingle) {
      this.#everything = false;
      this.#changed.clear();
      await this.#all();
      return;
    }
    const [[key, [project, name]]] = this.#changed as unknown as [[string, readonly [string, string]]];
    this.#changed.delete(key);
    await this.#one(project, name);
  }

  async #all(): Promise<void> {
    const all = await this.#list();
    const refused = await this.#registry.transact((transaction) => mergeAll(transaction, this.#source.name, all));
    for (const { project, name } of refused) this.#log.warn({ project, instance: name }, 'name is taken by our own');
    const left = new Set(refused);
    let later: Promise<ReadonlyMap<string, SourcedInstance>> | undefined;
    await this.#follow(
      all.filter((found) => !left.has(found)),
      async (found) => {
        later ??= this.#later();
        return (await later).get(identityOf(found));
      },
    );
    this.#saidAway = false;
    this.#log.info({ source: this.#source.name, instances: all.length }, 'source read');
    this.emit('read');
  }

  async #one(project: string, name: string): Promise<void> {
    const found = await this.#get(project, name);
    const before = this.#registry.get(project, name);
    const same = found && before?.source === this.#source.name && identityOf(before) === identityOf(found);
    if (!same) {
      this.#everything = before?.source === this.#source.name || found !== undefined; // made, deleted or renamed
      return;
    }
    await this.#registry.transact((transaction) => {
      const latest = transaction.get(project, name);
      if (latest?.id === before.id) mergeOne(transaction, this.#source.name, found, latest);
    });
    await this.#follow([found], () => this.#get(project, name));
  }

  #list(): Promise<SourcedInstance[]> {
    this.asked.all++;
    return this.#source.list();
  }

  #get(project: string, name: string): Promise<SourcedInstance | undefined> {
    this.asked.one++;
    return this.#source.get(project, name);
  }

  /** All once more, asked for when every init of this turn is held. */
  async #later(): Promise<ReadonlyMap<string, SourcedInstance>> {
    await new Promise(setImmediate);
    return new Map((await this.#list()).map((found) => [identityOf(found), found]));
  }

  /** Starts and stops what the source has started and stopped. */
  async #follow(all: readonly SourcedInstance[], again: Again): Promise<void> {
    await Promise.all(all.map((found) => this.#stopOther(found)));
    await Promise.all(all.map((found) => this.#start(found, again)));
  }

  async #stopOther({ project, name, pid }: SourcedInstance): Promise<void> {
    const run = this.#registry.get(project, name)?.run;
    // Whether an init has ended, its pidfd says: 0 is also what a source names that could not find out.
    if (run !== undefined && pid !== 0 && run.pid !== pid) await this.#running.stop(project, name);
  }

  /** A pid that the source named may be another's by now: only one that it names still, when it is held, counts. */
  async #start(found: SourcedInstance, again: Again): Promise<void> {
    const { project, name, pid } = found;
    if (pid === 0 || this.#registry.get(project, name)?.run !== undefined) return;
    const confirm = async (): Promise<boolean> => (await again(found))?.pid === pid;
    try {
      await this.#running.start(project, name, pid, undefined, confirm);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#log.warn({ project, instance: name, pid, reason: error.message }, 'cannot be served');
    }
  }
}
