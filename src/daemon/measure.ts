import type { Metrics } from '../control/control-endpoints.js';
import type { SpareDescriptors } from '../gate/file-descriptors.js';
import type { CollectedMetrics } from '../metrics/collected-metrics.js';
import type { Measured } from '../metrics/daemon-metrics.js';
import type { DaemonContext } from './context.js';
import type { GuestParts } from './guest-parts.js';
import type { StoreParts } from './store-parts.js';

interface Others {
  readonly control: Measured['host'];
  readonly controlEvents: Measured['controlEvents'];
  readonly source: Measured['source'];
}

/** The metrics of a daemon. Their modules are loaded at the first scrape: most hosts of few instances have none. */
export function measureWith(
  spareDescriptors: SpareDescriptors,
  { settings, sockets, watchdogSeconds }: DaemonContext,
  { registry }: StoreParts,
  guests: GuestParts,
  { control: host, controlEvents, source }: Others,
): Metrics {
  const { stateDir } = settings;
  const measured = { ...guests, registry, stateDir, sockets, watchdogSeconds, host, controlEvents, source };
  let metrics: CollectedMetrics | undefined;
  return (perInstance) =>
    spareDescriptors.lend(async () => {
      const { CollectedMetrics } = await import('../metrics/collected-metrics.js');
      metrics ??= new CollectedMetrics(measured);
      return { contentType: metrics.contentType, text: await metrics.text(perInstance) };
    });
}
