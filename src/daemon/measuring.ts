import type { SpareDescriptors } from '../gate/file-descriptors.js';
import type { Counts } from '../handover/counts.js';
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

/** The metrics of a daemon, and what is counted in them for the next one. */
export class Measuring {
  readonly #spareDescriptors: SpareDescriptors;
  readonly #scrapes: Scrapes;

  constructor(
    spareDescriptors: SpareDescriptors,
    { settings, logLines, sockets, watchdogSeconds }: DaemonContext,
    { registry, images }: StoreParts,
    guests: GuestParts,
    { control: host, controlEvents, source, fleet }: Others,
  ) {
    const { stateDir, limits } = settings;
    const stored = { registry, images, stateDir };
    const asked = { logLines, host, controlEvents, source, fleet };
    this.#spareDescriptors = spareDescriptors;
    const measured = { ...guests, ...stored, limits, sockets, watchdogSeconds, ...asked };
    this.#scrapes = new Scrapes(measured, sockets.counts);
  }

  scrape(perInstance: boolean): Promise<Scrape> {
    return this.#spareDescriptors.lend(() => this.#scrapes.take(perInstance));
  }

  /** What has been counted by this daemon and those before it, for the next one. */
  get counts(): Counts {
    return this.#scrapes.counts;
  }
}
