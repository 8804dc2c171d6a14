import type { SpareDescriptors } from '../gate/file-descriptors.js';
import type { Measured } from '../metrics/measured.js';
import { type Scrape, Scrapes } from '../metrics/scrapes.js';
import type { DaemonContext } from './context.js';
import type { GuestParts } from './guest-parts.js';
import type { StoreParts } from './store-parts.js';

interface Others {
  readonly control: Measured['host'];
  readonly controlEvents: Measured['controlEvents'];
  readonly source: Measured['source'];
  readonly fleet: Measured['fleet'];
}

/** The metrics of a daemon. Their modules are loaded at the first scrape: most hosts of few instances have none. */
export function measureWith(
  spareDescriptors: SpareDescriptors,
  { settings, logLines, sockets, watchdogSeconds }: DaemonContext,
  { registry, images }: StoreParts,
  guests: GuestParts,
  { control: host, controlEvents, source, fleet }: Others,
): (perInstance: boolean) => Promise<Scrape> {
  const { stateDir, limits } = settings;
  const stored = { registry, images, stateDir };
  const followed = { source, fleet };
  const asked = { logLines, host, controlEvents, ...followed };
  const measured = { ...guests, ...stored, limits, sockets, watchdogSeconds, ...asked };
  let scrapes: Scrapes | undefined;
  return (perInstance) =>
    spareDescriptors.lend(() => {
      scrapes ??= new Scrapes(measured);
      return scrapes.take(perInstance);
    });
}
