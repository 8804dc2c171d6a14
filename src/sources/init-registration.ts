import { Fault } from '../errors.js';
import { keyOf } from '../instances/record-table.js';
import type { Registry } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Log } from '../log.js';
import { identityOf } from './merge.js';
import type { Source, SourcedInstance } from './source.js';

/** The pid of an instance's init; 0: it has none. @throws Unread */
type PidOf = (instance: SourcedInstance) => Promise<number>;

/** Finds the inits of a source's instances, and registers them. */
export class Inits {
  readonly #source: Source;
  readonly #registry: Registry;
  readonly #running: RunningInstances;
  readonly #log: Log;

  constructor(source: Source, registry: Registry, running: RunningInstances, log: Log) {
    this.#source = source;
    this.#registry = registry;
    this.#running = running;
    this.#log = log;
  }

  /** It runs at the source, and not here. */
  isMissing({ project, name, runs }: SourcedInstance): boolean {
    return runs && this.#registry.get(project, name)?.run === undefined;
  }

  /** @throws Unread */
  start(found: SourcedInstance): Promise<void> {
    return this.#start(found, this.#pidOf, this.#pidOf);
  }

  /** The same for many: the source is asked twice, and not twice for each. */
  async startAll(all: readonly SourcedInstance[]): Promise<void> {
    const pidOf = await this.#pidsOfAll();
    let later: Promise<PidOf> | undefined;
    const again: PidOf = async (found) => {
      later ??= this.#later();
      return (await later)(found);
    };
    await Promise.all(all.map((found) => this.#start(found, pidOf, again)));
  }

  /** The pid may have been reused since the source named it: it counts only if the source still names it once its pidfd is held. */
  async #start(found: SourcedInstance, pidOf: PidOf, again: PidOf): Promise<void> {
    const { project, name } = found;
    const pid = await pidOf(found);
    const run = this.#registry.get(project, name)?.run;
    // Whether an init has ended, its pidfd says: 0 is also what a source names that could not find out.
    if (pid === 0 || run?.pid === pid) return;
    if (run !== undefined) await this.#running.stop(project, name);
    try {
      const confirm = async (): Promise<boolean> => (await again(found)) === pid;
      await this.#running.start(project, name, { pid }, undefined, { confirm });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#log.warn({ project, instance: name, pid, reason: error.message }, 'cannot be served');
    }
  }

  readonly #pidOf: PidOf = async (instance) => pidIn(await this.#source.get(instance, true), instance);

  async #pidsOfAll(): Promise<PidOf> {
    const { instances } = await this.#source.list(true);
    const byName = new Map(instances.map((found) => [keyOf(found.project, found.name), found]));
    return async (instance) => pidIn(byName.get(keyOf(instance.project, instance.name)), instance);
  }

  /** All once more, asked for when every init of this turn is held. */
  async #later(): Promise<PidOf> {
    await new Promise(setImmediate);
    return this.#pidsOfAll();
  }
}

/** Does nothing when another instance has that name now. */
function pidIn(found: SourcedInstance | undefined, instance: SourcedInstance): number {
  return found !== undefined && identityOf(found) === identityOf(instance) ? found.pid : 0;
}
