import { setTimeout as pause } from 'node:timers/promises';
import { Turn } from '../concurrency/turn.js';
import type { Registry } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Log } from '../log.js';
import { defaultProfile } from '../model/instance.js';
import { FleetMerge } from './fleet-merge.js';
import { type Held, heldSentences, isFew } from './held.js';
import { labelOf, type Mirror, type Subject } from './mirror.js';
import { Waiting } from './waiting.js';

/** Instances that are merged in one transaction; guests are answered between two of them. */
const atOnce = 1000;
/** Lines of the log for one transaction about what is refused. */
const mostSaid = 20;
const retryMilliseconds = 1000;
/** More than these are looked at again only when something has come or gone that they may have waited for. */
const mostTriedAgain = 100;

/** What was to be written is held back, or is not what etcd says any more. */
class Overtaken extends Error {}

/** Makes the registry what the mirror says, by transactions like any other, unless that is held back. */
export class FleetApply {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #wentAway: () => Promise<void>;
  readonly #waiting = new Waiting();
  /** by its label: why something is not as the fleet says */
  readonly #refused = new Map<string, { readonly subject: Subject; readonly why: string }>();
  readonly #stopping = new AbortController();
  #mirror: Mirror | undefined;
  #held: Held | undefined;
  /** how many instances the fleet had here before something was held back */
  #before = 0;
  #applied = 0n;
  #working: Promise<void> | undefined;
  #isFollowed = false;
  #saidFailed = false;
  /** since when what is stored may differ from what etcd has, milliseconds of performance.now(); undefined: it does not */
  #staleSince: number | undefined = performance.now();
  /** changes were missed that cannot be had one by one */
  isIncomplete = false;

  /** wentAway: called when instances are not the fleet's any more, so that a restart does not miss them */
  constructor(registry: Registry, running: RunningInstances, log: Log, wentAway: () => Promise<void>) {
    this.#registry = registry;
    this.#wentAway = wentAway;
    this.#log = log;
    running.on('stopped', ({ source, project, name }) => {
      if (source === 'etcd') this.#changed([{ kind: 'instance', project, name }]);
    });
  }

  get mirror(): Mirror | undefined {
    return this.#mirror;
  }

  get held(): Held | undefined {
    return this.#held;
  }

  /** Revision of the newest change that is stored, and told to guests. */
  get applied(): string {
    return String(this.#applied);
  }

  get age(): number {
    return this.#staleSince === undefined ? 0 : (performance.now() - this.#staleSince) / 1000;
  }

  get refusedCount(): number {
    return this.#refused.size;
  }

  refused(most: number): { name: string; why: string }[] {
    return [...this.#refused].slice(0, most).map(([name, { why }]) => ({ name, why }));
  }

  isFollowed(): void {
    this.#isFollowed = true;
    this.#settle();
  }

  isBehind(): void {
    this.#isFollowed = false;
    this.#staleSince ??= performance.now();
  }

  /** The host's whole part was read again. before: how many instances the fleet had here */
  mirrored(mirror: Mirror, held: Held | undefined, before: number): void {
    this.#mirror = mirror;
    this.isIncomplete = false;
    this.#before = before;
    if (held === undefined) this.#held = undefined;
    else this.#hold(held);
    this.#all(mirror);
  }

  /** before: how many instances there were, where one transaction has taken more than half of them away */
  changed(subjects: readonly Subject[], before: number | undefined): void {
    if (before !== undefined && this.#held === undefined) {
      this.#before = before;
      this.#hold('few');
    }
    this.#changed(subjects);
    if (this.#held === 'few' && !isFew(this.#left(), this.#before)) {
      this.#held = undefined;
      this.#log.info({ source: 'etcd' }, 'most instances are there again; what etcd says is applied');
      this.#work();
    }
  }

  /** What is held back is applied, once this is done. */
  async release(): Promise<void> {
    this.#held = undefined;
    this.#work();
    await this.idle();
  }

  /** When nothing is being written, and nothing waits that could be. */
  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.idle();
  }

  #hold(held: Held): void {
    if (this.#held !== held) {
      const todo = 'nothing is applied until "devlxd source accept"; running guests are served as before';
      this.#log.error({ source: 'etcd', reason: heldSentences[held] }, todo);
    }
    this.#held = held;
  }

  /** Instances that are stored, and that the fleet names. */
  #left(): number {
    return this.#sourced().filter(({ project, name }) => this.#mirror?.names(project, name)).length;
  }

  #sourced() {
    return [...this.#registry.instances()].filter(({ source }) => source === 'etcd');
  }

  /** What the fleet names, and what is stored of it. */
  #all(mirror: Mirror): void {
    const tables = { project: mirror.projects, profile: mirror.profiles, instance: mirror.instances } as const;
    for (const kind of ['project', 'profile', 'instance'] as const) {
      for (const key of tables[kind].keys()) {
        const [project = '', name = ''] = key.split('/');
        this.#waiting.add({ kind, project, name });
      }
    }
    for (const { project, name } of this.#sourced()) this.#waiting.add({ kind: 'instance', project, name });
    for (const { subject } of this.#refused.values()) this.#waiting.add(subject);
    this.#work();
  }

  #changed(subjects: readonly Subject[]): void {
    this.#staleSince ??= performance.now();
    for (const subject of subjects) {
      this.#waiting.add(subject);
      if (subject.kind === 'profile' && subject.name === defaultProfile) this.#allUsers(subject);
    }
    this.#work();
  }

  /** An instance may name the profile "default" where there is none: it has it from the moment at which there is one. */
  #allUsers({ project, name }: Subject): void {
    for (const [key, read] of this.#mirror?.instances ?? []) {
      if (!key.startsWith(`${project}/`) || !('value' in read) || !read.value.profiles.includes(name)) continue;
      this.#waiting.add({ kind: 'instance', project, name: key.slice(project.length + 1) });
    }
  }

  #work(): void {
    this.#working ??= this.#workAll();
  }

  async #workAll(): Promise<void> {
    await undefined; // not before #working is set
    const { signal } = this.#stopping;
    while (this.#mirror !== undefined && this.#held === undefined && this.#waiting.size > 0 && !signal.aborted) {
      await this.#workOnce(this.#mirror, signal);
    }
    // At once with the last look at what waits: what comes later starts this again.
    this.#working = undefined;
    this.#settle();
  }

  /** Writes what waits; what cannot be written waits again. */
  async #workOnce(mirror: Mirror, signal: AbortSignal): Promise<void> {
    const isGone = ({ kind, project, name }: Subject): boolean => kind === 'instance' && !mirror.names(project, name);
    const upTo = mirror.newest;
    const subjects = this.#waiting.take(isGone);
    const hasGone = subjects.some(isGone);
    try {
      await this.#mergeAll(mirror, subjects);
      if (this.#mirror === mirror) this.#applied = upTo;
      if (hasGone) await this.#wentAway();
      this.#saidFailed = false;
    } catch (error) {
      for (const subject of subjects) this.#waiting.add(subject);
      if (error instanceof Overtaken) return;
      if (!this.#saidFailed) this.#log.error({ err: error }, 'changes of the fleet could not be stored');
      this.#saidFailed = true;
      await pause(retryMilliseconds, undefined, { signal }).catch(() => undefined);
    }
  }

  #settle(): void {
    if (this.#isFollowed && this.#held === undefined && this.#waiting.size === 0) this.#staleSince = undefined;
  }

  async #mergeAll(mirror: Mirror, subjects: Subject[]): Promise<void> {
    const all = [...subjects, ...this.#again(mirror, subjects)];
    for (let first = 0; first < all.length; first += atOnce) {
      const some = all.slice(first, first + atOnce);
      const isLast = first + atOnce >= all.length;
      const why = await this.#registry.transact(async (transaction) => {
        const merge = new FleetMerge(transaction, mirror);
        const turn = new Turn();
        const found: (string | undefined)[] = [];
        for (const subject of some) {
          // The mirror goes on while this waits for its turn.
          if (this.#held !== undefined || this.#mirror !== mirror) throw new Overtaken();
          found.push(await merge.merge(subject));
          await turn.end();
        }
        if (isLast) await merge.sweep();
        return found;
      });
      this.#note(some, why);
    }
  }

  /** What was refused for what something else was: it may be right now. */
  #again(mirror: Mirror, subjects: readonly Subject[]): Subject[] {
    const frees = ({ kind, project, name }: Subject): boolean => kind !== 'instance' || !mirror.names(project, name);
    if (this.#refused.size > mostTriedAgain && !subjects.some(frees)) return [];
    const taken = new Set(subjects.map(labelOf));
    return [...this.#refused].flatMap(([label, { subject }]) => (taken.has(label) ? [] : [subject]));
  }

  #note(subjects: readonly Subject[], why: readonly (string | undefined)[]): void {
    let said = 0;
    for (const [index, subject] of subjects.entries()) {
      const label = labelOf(subject);
      const reason = why[index];
      const known = this.#refused.get(label)?.why;
      if (reason === undefined) this.#refused.delete(label);
      else this.#refused.set(label, { subject, why: reason });
      if (reason === undefined || reason === known || ++said > mostSaid) continue;
      this.#log.warn({ source: 'etcd', subject: label, reason }, 'not as the fleet says');
    }
    if (said > mostSaid) this.#log.warn({ source: 'etcd', more: said - mostSaid }, 'more is not as the fleet says');
  }
}
