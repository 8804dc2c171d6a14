import type { Registry } from '../instances/registry.js';
import type { Log } from '../log.js';
import type { WrittenChange } from '../model/changes.js';
import { type Instance, type Run, readyKey } from '../model/instance.js';
import { type Source, Unread } from './source.js';

/** As often is the source asked in a row to take the state of one instance, each time after twice the pause. */
const mostAttempts = 6;
const firstPause = 200;

/** What the source was told of one run of an instance, and has not been seen to say itself since. */
interface Told {
  readonly run: Run;
  readonly ready: boolean;
  /** has it answered? */
  heard: boolean;
}

/**
 * Tells the source which of its guests say that they are ready, so that those who wait there see it. Each instance is
 * told of by one request, with its latest state, however often its guest has changed it meanwhile.
 */
export class ReadyForwarding {
  readonly #source: Source;
  readonly #registry: Registry;
  readonly #log: Log;
  /** by instance id */
  readonly #told = new Map<number, Told>();
  /** by instance id: how often it was tried; each instance stands in it once */
  readonly #waiting = new Map<number, number>();
  readonly #pauses = new Set<NodeJS.Timeout>();
  #isOpen = false;
  #working = false;

  constructor(source: Source, registry: Registry, log: Log) {
    this.#source = source;
    this.#registry = registry;
    this.#log = log;
    registry.on('changes', (changes) => this.#changed(changes));
  }

  /** The source is there, and everything it has is read: it is told what it does not know. */
  open(): void {
    if (!this.#isOpen) this.#told.clear(); // what came of it, the list has said
    this.#isOpen = true;
    for (const { id } of this.#registry.list()) this.#tell(id);
  }

  /** The source is away. */
  close(): void {
    this.#isOpen = false;
    this.#waiting.clear();
    for (const timer of this.#pauses) clearTimeout(timer);
    this.#pauses.clear();
  }

  /**
   * Does the source say here what it has been told, now or before? The guest may have said something else since, and its
   * word counts. Once the source has answered, what it says next is the last that can be an echo.
   */
  isEcho({ id, run }: Instance): boolean {
    const told = this.#told.get(id);
    if (told === undefined || told.run !== run) return false;
    if (told.heard) this.#told.delete(id);
    return true;
  }

  #changed(changes: readonly WrittenChange[]): void {
    for (const { before, after } of changes) {
      if (before !== undefined && before.run !== after?.run) this.#told.delete(before.id);
      if (after !== undefined) this.#tell(after.id);
    }
  }

  #tell(id: number, attempts = 0): void {
    const instance = this.#registry.byId(id);
    if (!this.#isOpen || instance === undefined || !this.#differs(instance)) return;
    this.#waiting.set(id, attempts);
    if (!this.#working) void this.#work();
  }

  #differs(instance: Instance): boolean {
    if (instance.source !== this.#source.name || instance.run === undefined) return false;
    const known = this.#told.get(instance.id)?.ready ?? instance.config.get(readyKey) === 'true';
    return known !== (instance.guestState === 'Ready');
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (let next = this.#next(); next !== undefined; next = this.#next()) await this.#one(...next);
    this.#working = false;
  }

  #next(): readonly [Instance, number] | undefined {
    for (const [id, attempts] of this.#waiting) {
      this.#waiting.delete(id);
      const instance = this.#registry.byId(id);
      if (instance !== undefined && this.#differs(instance)) return [instance, attempts];
    }
    return undefined;
  }

  async #one(instance: Instance, attempts: number): Promise<void> {
    const { id, project, name, run } = instance;
    const ready = instance.guestState === 'Ready';
    const told: Told = { run: run as Run, ready, heard: false };
    this.#told.set(id, told);
    try {
      await this.#source.setReady({ project, name }, ready);
      told.heard = true;
    } catch (error) {
      if (!(error instanceof Unread)) return; // it is away, and may have heard it: when it is back, it is told of all
      if (this.#told.get(id) === told) this.#told.delete(id);
      if (attempts + 1 < mostAttempts) this.#later(id, attempts + 1);
      else
        this.#log.warn({ project, instance: name, reason: error.message }, 'the source does not take that it is ready');
    }
  }

  #later(id: number, attempts: number): void {
    const again = (): void => {
      this.#pauses.delete(timer);
      this.#tell(id, attempts);
    };
    const timer = setTimeout(again, firstPause * 2 ** (attempts - 1));
    this.#pauses.add(timer);
  }
}
