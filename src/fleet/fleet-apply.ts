import { setTimeout as pause } from 'node:timers/promises';
import { Turn } from '../concurrency/turn.js';
import type { Registry } from '../instances/registry.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Log } from '../log.js';
import { defaultProfile } from '../model/instance.js';
import { FleetMerge } from './fleet-merge.js';
import { type Held, heldSentences, isFew } from './held.js';
import type { Mirror, Subject } from './mirror.js';
import { Refusals } from './refusals.js';
import { Waiting } from './waiting.js';
import { type WaveShown, Waves } from './waves.js';

/** Instances that are merged in one transaction; guests are answered between two of them. */
const atOnce = 1000;
const retryMilliseconds = 1000;

/** What was to be written is held back, or is not what etcd says any more. */
class Overtaken extends Error {}

/** Makes the registry what the mirror says, by transactions like any other, unless that is held back. */
export class FleetApply {
  readonly #registry: Registry;
  readonly #log: Log;
  readonly #wentAway: () => Promise<void>;
  readonly #merges: (mirror: Mirror) => void;
  readonly #waiting = new Waiting();
  readonly #waves: Waves;
  readonly #refusals: Refusals;
  readonly #stopping = new AbortController();
  #mirror: Mirror | undefined;
  #held: Held | undefined;
  /** how many instances the fleet had here before something was held back */
  #before = 0;
  /** revision of the newest change that is stored */
  #merged = 0n;
  /** nothing older than this is missing of what is here */
  #confirmed = 0n;
  #applied = 0n;
  #working: Promise<void> | undefined;
  #isFollowed = false;
  #saidFailed = false;
  /** since when what is stored may differ from what etcd has, milliseconds of performance.now(); undefined: it does not */
  #staleSince: number | undefined = performance.now();
  /** changes were missed that cannot be had one by one */
  isIncomplete = false;

  /**
   * wentAway: called when instances are not the fleet's any more, so that a restart does not miss them; merges: when
   * what a mirror says has been applied
   */
  constructor(
    host: string,
    registry: Registry,
    running: RunningInstances,
    log: Log,
    wentAway: () => Promise<void>,
    merges: (mirror: Mirror) => void,
  ) {
    this.#merges = merges;
    this.#waves = new Waves(host, (profile) => this.#changed([profile]));
    this.#registry = registry;
    this.#wentAway = wentAway;
    this.#log = log;
    this.#refusals = new Refusals(log);
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

  /** What this host takes later than others. */
  get later(): WaveShown[] {
    return this.#waves.waiting;
  }

  get refusedCount(): number {
    return this.#refusals.size;
  }

  refused(most: number): { name: string; why: string }[] {
    return this.#refusals.shown(most);
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
    this.#confirmed = mirror.newest;
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

  /** Of the mirror nothing is missing that is older than its newest change: its ranges come one by one. */
  confirmed(): void {
    this.#confirmed = this.#mirror?.newest ?? 0n;
    this.#advance();
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
    this.#waves.stop();
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
    const { images: image, projects: project, profiles: profile, instances: instance } = mirror;
    const tables = { image, project, profile, instance } as const;
    for (const kind of ['image', 'project', 'profile', 'instance'] as const) {
      for (const key of tables[kind].keys()) {
        const [project = '', name = ''] = key.split('/');
        this.#waiting.add({ kind, project, name });
      }
    }
    for (const { project, name } of this.#sourced()) this.#waiting.add({ kind: 'instance', project, name });
    for (const subject of this.#refusals.subjects()) this.#waiting.add(subject);
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
    if (this.#mirror !== undefined && this.#held === undefined) this.#merges(this.#mirror);
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
      if (this.#mirror === mirror) this.#merged = upTo;
      this.#advance();
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

  #advance(): void {
    if (this.#merged > this.#confirmed) return;
    const later = this.#waves.oldest;
    this.#applied = later === undefined || later > this.#merged ? this.#merged : later - 1n;
  }

  #settle(): void {
    if (this.#isFollowed && this.#held === undefined && this.#waiting.size === 0) this.#staleSince = undefined;
  }

  async #mergeAll(mirror: Mirror, subjects: Subject[]): Promise<void> {
    const all = [...subjects, ...this.#refusals.again(mirror, subjects)];
    for (let first = 0; first < all.length; first += atOnce) {
      const some = all.slice(first, first + atOnce);
      const isLast = first + atOnce >= all.length;
      const why = await this.#registry.transact(async (transaction) => {
        const merge = new FleetMerge(transaction, mirror, this.#waves);
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
      this.#refusals.note(some, why);
    }
  }
}
