import { type Gate, gateLimitNames } from '../gate/gate.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { CountedLimit, LimitHits } from '../limits/limit-hits.js';

/** Adds the hits that the gate counts. The gate only counts: a flood must not reach JavaScript. */
export class GateLimitHits {
  readonly #gate: Gate;
  readonly #running: RunningInstances;
  readonly #limitHits: LimitHits;
  /** by slot: what the gate had counted of the instance that has it */
  readonly #seen = new Map<number, readonly number[]>();
  /** hits that are not yet added, of no instance or of one */
  #total: readonly number[];

  constructor(gate: Gate, running: RunningInstances, limitHits: LimitHits) {
    this.#gate = gate;
    this.#running = running;
    this.#limitHits = limitHits;
    this.#total = gate.counters().hits;
    running.on('left', (_, slot) => this.#left(slot));
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

  /** The counters of the next instance in this slot start at 0. */
  #left(slot: number): void {
    this.poll();
    this.#seen.delete(slot);
  }

  #pollSlot(slot: number): readonly number[] {
    const hits = this.#gate.hitsOf(slot);
    const before = this.#seen.get(slot);
    const more = hits.map((times, limit) => times - (before?.[limit] ?? 0));
    this.#add(more, this.#running.at(slot)?.id);
    this.#seen.set(slot, hits);
    return more;
  }

  #add(hits: readonly number[], instanceId?: number): void {
    for (const [limit, times] of hits.entries()) {
      if (times > 0) this.#limitHits.add(gateLimitNames[limit] as CountedLimit, instanceId, times);
    }
  }
}
