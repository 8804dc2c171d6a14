import type { FollowedFleet } from '../api/types.js';
import { Fault } from '../errors.js';
import type { FleetSync } from '../fleet/fleet-sync.js';
import { type ControlHandler, sync } from './control-reply.js';

/** The fleet that this host follows, as its operators see it. */
export class SourceHandlers {
  readonly #fleet: () => FleetSync | undefined;

  constructor(fleet: () => FleetSync | undefined) {
    this.#fleet = fleet;
  }

  readonly get: ControlHandler = () => sync(this.#need().shown satisfies FollowedFleet);

  readonly accept: ControlHandler = async () => sync({ accepted: await this.#need().accept() });

  #need(): FleetSync {
    const fleet = this.#fleet();
    if (fleet !== undefined) return fleet;
    throw new Fault('not-found', 'No fleet is followed: "devlxd serve --source etcd" follows one (docs/fleet.md)');
  }
}
