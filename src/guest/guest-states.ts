import { PacedQueue } from '../concurrency/paced-queue.js';
import type { Registry } from '../instances/registry.js';
import type { LimitHits } from '../limits/limit-hits.js';
import type { Limits } from '../limits/limits.js';
import type { GuestState, Instance, Run } from '../model/instance.js';

/** Between two events that say nothing new; the last of those that come sooner is told then. */
const readyMilliseconds = 100;

/** A state on its way to the store; a later one takes its place until it is written. */
interface Waiting {
  readonly run: Run | undefined;
  state: GuestState;
  readonly stored: Promise<boolean>;
}

/**
 * The states that guests say they are in. A guest that goes to and fro costs a write now and then: what comes while one
 * waits for its turn replaces it, and each request is answered when its state, or one that came after it, is durable.
 */
export class GuestStates {
  readonly #registry: Registry;
  readonly #queue: PacedQueue;
  /** by instance id; not yet in a transaction */
  readonly #waiting = new Map<number, Waiting>();
  /** when operators were last told that a guest that was ready has said so again; milliseconds */
  readonly #toldAt = new WeakMap<Run, number>();
  /** of these runs it is told later */
  readonly #telling = new WeakSet<Run>();

  constructor(registry: Registry, limits: Limits, limitHits: LimitHits) {
    this.#registry = registry;
    const perSecond = (): number => limits['state-writes-per-minute'] / 60;
    this.#queue = new PacedQueue({ perSecond, burstSeconds: 60 }, (id) => limitHits.add('state-writes-per-minute', id));
  }

  /** What waits is written at once. */
  hurry(): void {
    this.#queue.hurry();
  }

  forget(instanceId: number): void {
    this.#queue.forget(instanceId);
  }

  /** false: the instance does not run any more, or again. */
  set({ id, run }: Instance, state: GuestState): Promise<boolean> {
    const known = this.#waiting.get(id);
    if (known !== undefined && known.run?.startTicks === run?.startTicks) {
      known.state = state;
      return known.stored;
    }
    const next: Waiting = { run, state, stored: Promise.resolve().then(() => this.#store(id, next)) };
    this.#waiting.set(id, next);
    return next.stored;
  }

  async #store(id: number, next: Waiting): Promise<boolean> {
    // The state that the instance is in already costs nothing, and needs no turn.
    const differs = (): boolean => this.#current(id, next)?.guestState !== next.state;
    const isNew = differs();
    try {
      await this.#queue.take(id, differs, () => this.#write(id, next));
    } finally {
      this.#leave(id, next);
    }
    const current = this.#current(id, next);
    if (current?.guestState === 'Ready' && !isNew) this.#readyAgain(current);
    return current !== undefined;
  }

  /** Told to operators, but not as often as a guest likes to say it. */
  #readyAgain({ id, run }: Instance): void {
    if (run === undefined || this.#telling.has(run)) return;
    const tell = (): void => {
      this.#telling.delete(run);
      const current = this.#registry.byId(id);
      if (current?.run !== run || current.guestState !== 'Ready') return;
      this.#toldAt.set(run, performance.now());
      this.#registry.emit('readyAgain', current);
    };
    const rest = (this.#toldAt.get(run) ?? Number.NEGATIVE_INFINITY) + readyMilliseconds - performance.now();
    if (rest <= 0) {
      tell();
      return;
    }
    this.#telling.add(run);
    setTimeout(tell, rest).unref();
  }

  #write(id: number, next: Waiting): Promise<void> {
    return this.#registry.transact((transaction) => {
      this.#leave(id, next);
      const known = this.#current(id, next);
      const before = known && transaction.get(known.project, known.name);
      if (before?.id !== id || before.run?.startTicks !== next.run?.startTicks) return;
      if (before.guestState !== next.state) transaction.replace(before, { ...before, guestState: next.state });
    });
  }

  /** The instance as it is now, if it is still the same run. */
  #current(id: number, { run }: Waiting): Instance | undefined {
    const current = this.#registry.byId(id);
    return current?.run !== undefined && current.run.startTicks === run?.startTicks ? current : undefined;
  }

  #leave(id: number, next: Waiting): void {
    if (this.#waiting.get(id) === next) this.#waiting.delete(id);
  }
}
