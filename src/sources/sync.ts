import { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { keyOf } from '../instances/record-table.js';
import type { Registry } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Log } from '../log.js';
import type { Instance } from '../model/instance.js';
import { type Change, ChangedInstances } from './changed-instances.js';
import { Inits } from './init-registration.js';
import { mergeAll, mergeFound } from './merge.js';
import { ReadyForwarding } from './ready-forwarding.js';
import {
  type Happened,
  type Listed,
  type Named,
  type Source,
  type SourcedInstance,
  type SourceServer,
  Unread,
} from './source.js';

/** Above max(16, 1/8 of all) changed instances, one full list costs the source less than single requests. */
const fewest = 16;
const oneIn = 8;

/** After a full list, wait 4 times its duration, at most 30 s. */
const rests = 4;
const longestRest = 30_000;

interface Events {
  /** a daemon answers */
  connected: [];
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
  readonly #running: RunningInstances;
  readonly #inits: Inits;
  readonly #ready: ReadyForwarding;
  readonly #log: Log;
  readonly #retryMilliseconds: number;
  readonly #stopping = new AbortController();
  readonly #changed = new ChangedInstances();
  #everything = false;
  /** how many it has */
  #known = 0;
  /** when all may be asked for again, milliseconds of performance.now() */
  #rested = 0;
  #connected = false;
  #lastRead: number | undefined;
  #server: SourceServer | undefined;
  #saidAway = false;
  #wake: () => void = () => undefined;
  #done: Promise<void> = Promise.resolve();

  /** since when what is stored may differ from what the source has, milliseconds of performance.now(); undefined: it does not */
  #staleSince: number | undefined = performance.now();

  constructor(source: Source, registry: Registry, running: RunningInstances, log: Log, retryMilliseconds = 1000) {
    super();
    this.#source = source;
    this.#registry = registry;
    this.#running = running;
    this.#inits = new Inits(source, registry, running, log);
    this.#ready = new ReadyForwarding(source, registry, log);
    this.#log = log;
    this.#retryMilliseconds = retryMilliseconds;
  }

  /** how often the source was asked, for the metrics */
  get asked(): Source['asked'] {
    return this.#source.asked;
  }

  /** The daemon that answers; undefined: none does. */
  get server(): SourceServer | undefined {
    return this.#connected ? this.#server : undefined;
  }

  /** Is the source there, and tells what happens? */
  get connected(): boolean {
    return this.#connected;
  }

  /** When everything was read last, milliseconds since 1970; undefined: not yet. */
  get lastRead(): number | undefined {
    return this.#lastRead;
  }

  /** How old what is served may be, seconds; since this process started, when the source has not been read since. */
  get age(): number {
    return this.#staleSince === undefined ? 0 : (performance.now() - this.#staleSince) / 1000;
  }

  run(): void {
    // An init that exits may have been one that has been replaced already.
    this.#running.on('stopped', (instance) => {
      if (instance.source === this.#source.name) this.#change(instance, 'changed');
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
      changed: (instance, what) => this.#change(instance, what),
      ended: () => {
        this.#connected = false;
        this.#wake();
      },
    });
    this.#connected = true;
    this.#everything = true; // what was missed
    try {
      this.#server = await this.#source.server();
      this.emit('connected');
      while (this.#connected && !this.#stopping.signal.aborted) await this.#next();
    } finally {
      this.#connected = false;
      this.#server = undefined;
      this.#ready.close();
      this.#staleSince ??= performance.now();
      end();
    }
    if (!this.#stopping.signal.aborted) throw new Error('it has closed the connection');
  }

  #change(instance: Named, what: Happened): void {
    this.#staleSince ??= performance.now();
    this.#changed.add(instance, what);
    this.#wake();
  }

  async #next(): Promise<void> {
    const many = this.#isMany(this.#changed.size);
    const rest = this.#rested - performance.now();
    if ((many || this.#everything) && rest <= 0) return this.#all();
    if (many) return this.#woken(rest);
    const next = this.#changed.take();
    if (next !== undefined) return this.#attempt(next, () => this.#one(next));
    if (!this.#everything && this.#changed.isSettled) this.#staleSince = undefined;
    return this.#woken(Math.min(this.#everything ? rest : Number.POSITIVE_INFINITY, this.#changed.pause));
  }

  readonly #isEcho = (instance: Instance): boolean => this.#ready.isEcho(instance);

  #isMany(count: number): boolean {
    return count > Math.max(fewest, this.#known / oneIn);
  }

  /** By what has happened, or when the time is over. */
  async #woken(milliseconds: number): Promise<void> {
    const woken = new Promise<void>((resolve) => (this.#wake = resolve));
    const timer = Number.isFinite(milliseconds) ? setTimeout(this.#wake, milliseconds) : undefined;
    await woken;
    clearTimeout(timer);
  }

  async #all(): Promise<void> {
    this.#everything = false;
    const started = this.#changed.takeAll();
    const listed = await this.#listRarely();
    const { instances, unread } = listed;
    this.#known = instances.length;
    const refused = await this.#registry.transact((transaction) =>
      mergeAll(transaction, this.#source.name, listed, this.#isEcho),
    );
    for (const found of refused) this.#isRefused(found);
    for (const { project, name } of unread) {
      this.#isUnread({ project, name });
      this.#changed.postpone({ project, name, started: false, deleted: false });
    }
    const left = new Set(refused);
    const mayStart = (found: SourcedInstance): boolean =>
      this.#inits.isMissing(found) || started.has(keyOf(found.project, found.name));
    const starting = instances.filter((found) => !left.has(found) && mayStart(found));
    if (isMost(starting.length, instances)) await this.#inits.startAll(starting);
    else for (const found of starting) await this.#start(found);
    this.#saidAway = false;
    this.#lastRead = Date.now();
    const { socketPath: socket, pid } = this.#server ?? {};
    this.#log.info({ source: this.#source.name, socket, pid, instances: instances.length }, 'source read');
    if (this.#server?.keepsReady === true) this.#ready.open();
    this.emit('read');
  }

  #start(found: SourcedInstance): Promise<void> {
    const { project, name } = found;
    return this.#attempt({ project, name, started: true, deleted: false }, () => this.#inits.start(found));
  }

  /** What the source cannot say of one instance is that instance's affair: it is asked again. */
  async #attempt(change: Change, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#changed.settle(change);
    } catch (error) {
      if (!(error instanceof Unread)) throw error;
      if (this.#changed.postpone(change)) this.#isUnread(change, error);
    }
  }

  async #one(change: Change): Promise<void> {
    const found = await this.#source.get(change);
    if (found === undefined) return this.#vanished(change);
    const merged = await this.#registry.transact((transaction) =>
      mergeFound(transaction, this.#source.name, found, this.#isEcho),
    );
    if (merged === 'unclear') this.#everything = true;
    else if (merged === 'refused') this.#isRefused(found);
    else if (change.started || this.#inits.isMissing(found)) await this.#inits.start(found);
  }

  /** What is deleted is removed; of what has another name or place only the list of all tells. */
  async #vanished({ project, name, deleted }: Change): Promise<void> {
    if (this.#registry.get(project, name)?.source !== this.#source.name) return;
    if (!deleted) {
      this.#everything = true;
      return;
    }
    await this.#registry.transact((transaction) => {
      const stored = transaction.get(project, name);
      if (stored?.source === this.#source.name) transaction.remove(stored);
    });
  }

  #isUnread({ project, name }: Named, error?: Error): void {
    const reason = error?.message;
    this.#log.warn({ project, instance: name, reason }, 'cannot be read at the source');
  }

  #isRefused({ project, name }: Named): void {
    this.#log.warn({ project, instance: name }, 'name is taken by our own');
  }

  /** It may take the source long, and is then not asked again for longer. */
  async #listRarely(): Promise<Listed> {
    const began = performance.now();
    try {
      return await this.#source.list();
    } finally {
      const now = performance.now();
      this.#rested = now + Math.min(rests * (now - began), longestRest);
    }
  }
}

/** Gathering the pids of all costs the source as much as asking for each that runs: only of most of them is it worth it. */
function isMost(count: number, instances: readonly SourcedInstance[]): boolean {
  return count > Math.max(fewest, instances.filter(({ runs }) => runs).length / 2);
}
