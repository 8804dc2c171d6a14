import type { Settings } from '../config/options.js';
import { descriptorRoom } from '../gate/file-descriptors.js';
import type { GateLimits } from '../gate/gate.js';
import type { Log } from '../log.js';

/** What the gate has to keep to, as things are now. */
export function gateLimits({ limits, responseCacheBytes }: Settings, log: Log): GateLimits {
  return {
    connectionsPerInstance: limits['connections-per-instance'],
    connections: limits.connections,
    unregistered: limits['connections-unregistered'],
    descriptors: descriptorRoom(),
    pendingCallers: limits['pending-callers'],
    holdMilliseconds: limits['hold-seconds'] * 1000,
    // With each request in the log, each must be seen.
    responseCacheBytes: log.isLevelEnabled('debug') ? 0 : responseCacheBytes,
    requestsPerSecond: limits['requests-per-second'],
    requestBurst: limits['request-burst'],
  };
}
