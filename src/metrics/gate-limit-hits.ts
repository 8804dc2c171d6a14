import type { Gate, GateCounters, InstanceCounters } from '../gate/gate.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { CountedLimit, LimitHits } from '../limits/limit-hits.js';

type CounterOf<Counters> = readonly [CountedLimit, keyof Counters];

const ofInstances: readonly CounterOf<InstanceCounters>[] = [
  ['connections-per-instance', 'refused'],
  ['connections', 'overLimit'],
  ['requests-per-second', 'throttled'],
  ['sent-ahead', 'sentAhead'],
];

const ofNobody: readonly CounterOf<GateCounters>[] = [
  ['descriptors', 'shed'],
  ['connections-unregistered', 'overUnregistered'],
  ['pending-callers', 'overPendingCallers'],
];

/** The instance that had a slot, and how far it had counted. */
interface Seen {
  readonly instanceId: number | undefined;
  readonly startTicks: number | undefined;
  readonly counters: InstanceCounters;
}

/** Tells of the limits that the gate enforces, which only counts: a flood there must not reach JavaScript. */
export class GateLimitHits {
  readonly #gate: Gate;
  readonly #running: RunningInstances;
  readonly #limitHits: LimitHits;
  /** by slot */
  readonly #seen = new Map<number, Seen>();
  #before: GateCounters;

  constructor(gate: Gate, running: RunningInstances, limitHits: LimitHits) {
    this.#gate = gate;
    this.#running = running;
    this.#limitHits = limitHits;
    this.#before = gate.counters();
  }

  /** Adds what has happened since the last look. */
  look(): void {
    const now = this.#gate.counters();
    this.#addMore(ofNobody, this.#before, now);
    this.#before = now;
    for (const slot of this.#gate.takeSlotsWithHits()) this.#lookAt(slot);
  }

  #lookAt(slot: number): void {
    const instance = this.#running.at(slot);
    const counters = this.#gate.countersOf(slot);
    const seen = this.#seen.get(slot);
    const now = instance?.run === undefined ? seen : { instanceId: instance.id, startTicks: instance.run.startTicks };
    // Another run that has this slot has begun to count anew; one that ended counts no more, but keeps its figures.
    const before = now?.startTicks === seen?.startTicks ? seen?.counters : undefined;
    this.#addMore(ofInstances, before, counters, now?.instanceId);
    this.#seen.set(slot, { instanceId: now?.instanceId, startTicks: now?.startTicks, counters });
  }

  #addMore<Counters extends GateCounters | InstanceCounters>(
    names: readonly CounterOf<Counters>[],
    before: Counters | undefined,
    now: Counters,
    instanceId?: number,
  ): void {
    for (const [limit, name] of names) {
      const more = Number(now[name]) - Number(before?.[name] ?? 0);
      if (more > 0) this.#limitHits.add(limit, instanceId, more);
    }
  }
}
