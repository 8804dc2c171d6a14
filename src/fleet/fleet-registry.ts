import { setTimeout as pause } from 'node:timers/promises';
import { Fault } from '../errors.js';
import type { Work } from '../instances/jobs.js';
import { Registry } from '../instances/registry.js';
import type { Requestor } from '../model/changes.js';
import type { Placement, Profile } from '../model/instance.js';
import { type FleetStore, Overtaken } from './fleet-store.js';

/** How often a change is tried that others come before. */
const mostAttempts = 20;
const waitMilliseconds = 20;

/** The records of the whole fleet. A change that another endpoint has come before is made again, on what is there now. */
export class FleetRegistry extends Registry {
  readonly #store: FleetStore;
  readonly #overtaken: (error: Overtaken) => void;

  /** overtaken: takes in what the keys are now */
  constructor(store: FleetStore, overtaken: (error: Overtaken) => void) {
    super(store);
    this.#store = store;
    this.#overtaken = overtaken;
  }

  override async transact<Result>(work: Work<Result>, requestor?: Requestor): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#transact(work, false, requestor);
      } catch (error) {
        if (!(error instanceof Overtaken)) throw error;
        if (attempt === mostAttempts)
          throw new Fault('etag-mismatch', 'Others change the same at the same time, again and again; try again later');
        this.#overtaken(error);
        await pause(Math.random() * waitMilliseconds * attempt);
      }
    }
  }

  /** A change that has come from etcd. */
  taken<Result>(work: Work<Result>): Promise<Result> {
    return this.#transact(work, true);
  }

  uses({ id }: Profile): boolean {
    for (const { profiles } of this.instances()) if (profiles.some((profile) => profile.id === id)) return true;
    return false;
  }

  /** The hosts that instances are on. */
  placements(): ReadonlySet<Placement> {
    return new Set([...this.instances()].flatMap(({ placement }) => placement ?? []));
  }

  #transact<Result>(work: Work<Result>, isTaken: boolean, requestor?: Requestor): Promise<Result> {
    return super.transact((transaction) => {
      this.#store.next(isTaken);
      return work(transaction);
    }, requestor);
  }
}
