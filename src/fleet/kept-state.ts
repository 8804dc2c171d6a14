import { randomUUID } from 'node:crypto';
import type { Registry } from '../instances/registry.js';
import type { Store } from '../store/store.js';
import type { FleetApply } from './fleet-apply.js';
import { type FleetState, type Held, heldOf } from './held.js';
import type { Mark, Mirror } from './mirror.js';

/** Under this name the store keeps it. */
const stateName = 'etcd';

/** What is to be known of the fleet after a restart as well. */
export class KeptState {
  readonly #store: Store;
  readonly #registry: Registry;
  readonly #apply: FleetApply;
  #state: FleetState;
  #saved = '';

  private constructor(store: Store, registry: Registry, apply: FleetApply, state: FleetState) {
    this.#store = store;
    this.#registry = registry;
    this.#apply = apply;
    this.#state = state;
  }

  static async load(store: Store, registry: Registry, apply: FleetApply): Promise<KeptState> {
    const text = await store.loadSourceState(stateName);
    const nothing = { cluster: '', revision: '0', markKey: '', markRevision: '0', instances: 0, older: false };
    const state: FleetState = text === undefined ? { ...nothing, daemon: randomUUID() } : JSON.parse(text);
    return new KeptState(store, registry, apply, state);
  }

  /** By which this daemon knows its own status. */
  get daemon(): string {
    return this.#state.daemon;
  }

  /** The cluster that is followed. */
  get cluster(): string {
    return this.#apply.mirror?.cluster ?? this.#state.cluster;
  }

  /** How many instances the fleet had here. */
  get instances(): number {
    return this.#state.instances;
  }

  /** Revision of the newest change that was applied, after a restart as well. */
  get revision(): string {
    return this.#state.revision;
  }

  /** The newest revision that was seen. */
  get seen(): bigint {
    const newest = this.#apply.mirror?.newest ?? 0n;
    const applied = BigInt(this.#state.revision);
    return newest > applied ? newest : applied;
  }

  get mark(): Mark | undefined {
    const { markKey: key, markRevision: revision } = this.#state;
    return this.#apply.mirror?.mark ?? (key === '' ? undefined : { key, revision });
  }

  /** Why what was read is not to be applied; undefined: it is. */
  heldOf(read: Mirror, isOlder: boolean): Held | undefined {
    const held = heldOf(this.#state, { cluster: read.cluster, isOlder, left: this.#countNamed(read) });
    if (held === 'older') this.#state = { ...this.#state, older: true };
    return held;
  }

  accepted(): void {
    this.#state = { ...this.#state, older: false };
  }

  /** While something is held back, what was followed before is what the store goes on knowing. */
  async save(): Promise<void> {
    const { mirror, held, applied } = this.#apply;
    if (mirror !== undefined && held === undefined && BigInt(applied) > 0n) {
      const { cluster, mark } = mirror;
      const marked = { markKey: mark?.key ?? '', markRevision: mark?.revision ?? '0' };
      const instances = this.#countNamed(mirror);
      this.#state = { ...this.#state, cluster, revision: applied, ...marked, instances };
    }
    const text = JSON.stringify(this.#state);
    if (text === this.#saved) return;
    await this.#store.putSourceState(stateName, text);
    this.#saved = text;
  }

  /** Instances that are stored, and that the fleet names. */
  #countNamed(mirror: Mirror): number {
    let count = 0;
    for (const { source, project, name } of this.#registry.instances())
      if (source === 'etcd' && mirror.names(project, name)) count++;
    return count;
  }
}
