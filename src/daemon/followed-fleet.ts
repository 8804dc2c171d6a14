import type { FleetSetting } from '../config/fleet-setting.js';
import type { FleetSync } from '../fleet/fleet-sync.js';
import type { DaemonContext } from './context.js';
import type { GuestParts } from './guest-parts.js';
import type { StoreParts } from './store-parts.js';

/** The fleet of --source etcd. Its modules, gRPC among them, are loaded only where one is followed. */
export async function followFleet(
  fleet: FleetSetting,
  { settings, log }: DaemonContext,
  { registry, store, images, identityKeys }: StoreParts,
  { running }: GuestParts,
): Promise<FleetSync> {
  const { FleetSync } = await import('../fleet/fleet-sync.js');
  const { limits } = settings;
  const sync = await FleetSync.prepared(fleet, { registry, running, store, images, identityKeys, limits, log });
  sync.run();
  return sync;
}
