import { type Gate, gateLimitNames } from '../gate/gate.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { CountedLimit, LimitHits } from '../limits/limit-hits.js';

/** The instance that had a slot, and what the gate had counted of it. */
interface Seen {
  readonly instanceId: number | undefined;
  readonly startTicks: number | undefined;
  readonly hits: readonly number[];
}

/** Adds the hits that the gate counts. The gate only counts: a flood must not reach JavaScript. */
export class GateLimitHits {
  readonly #gate: Gate;
  readonly #running: RunningInstances;
  readonly #limitHits: LimitHits;
  /** by slot */
  readonly #seen = new Map<number, Seen>();
  /** hits that are not yet added, of no instance or of one */
  #total: readonly number[];

  constructor(gate: Gate, running: RunningInstances, limitHits: LimitHits) {
    this.#gate = gate;
    this.#running = running;
    this.#limitHits = limitHits;
    this.#total = gate.counters().hits;
  }

  /** Adds what the gate has counted since the last call. */
  poll(): void {
    const before = this.#total;
    this.#total = this.#gate.counters().hits;
    const more = this.#total.map((hits, limit) => hits - (before[limit] ?? 0));
    for (const slot of this.#gate.takeSlotsWithHits()) {
      for (const [limit, hits] of this.#pollSlot(slot).entries()) more[limit] = (more[limit] ?? 0) - hits;
    }
    this.#add(more); // what is left belongs to no instance
  }

  #pollSlot(slot: number): readonly number[] {
    const instance = this.#running.at(slot);
    const { hits } = this.#gate.countersOf(slot);
    const seen = this.#seen.get(slot);
    const now = instance?.run === undefined ? seen : { instanceId: instance.id, startTicks: instance.run.startTicks };
    // The counters of another run in this slot start at 0; the counters of a run that has ended stay.
    const before = now?.startTicks === seen?.startTicks ? seen?.hits : undefined;
    const more = hits.map((times, limit) => times - (before?.[limit] ?? 0));
    this.#add(more, now?.instanceId);
    this.#seen.set(slot, { instanceId: now?.instanceId, startTicks: now?.startTicks, hits });
    return more;
  }

  #add(hits: readonly number[], instanceId?: number): void {
    for (const [limit, times] of hits.entries()) {
      if (times > 0) this.#limitHits.add(gateLimitNames[limit] as CountedLimit, instanceId, times);
    }
  }
}
