import type { Settings } from '../config/options.js';
import { descriptorRoom } from '../gate/file-descriptors.js';
import { type GateLimits, gateLimitNames } from '../gate/gate.js';
import type { Log } from '../log.js';

/** The limits of the gate, as the settings and the descriptors of the process are now. */
export function gateLimits({ limits, responseCacheBytes }: Settings, log: Log): GateLimits {
  const numbers: Readonly<Record<string, number>> = { ...limits, descriptors: descriptorRoom() };
  return {
    numbers: Uint32Array.from(gateLimitNames, (name) => numbers[name] ?? 0),
    // A cached response is not logged, and at log level debug each request is.
    responseCacheBytes: log.isLevelEnabled('debug') ? 0 : responseCacheBytes,
  };
}
