import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Turn } from '../concurrency/turn.js';
import type { Counts } from '../handover/counts.js';
import { CountsBefore } from './counts-before.js';
import { metricDeclarations } from './daemon-metrics.js';
import { instanceMetricDeclarations } from './instance-metrics.js';
import type { Measured } from './measured.js';
import { contentType, render } from './render.js';

const compress: (bytes: Buffer, options: { level: number }) => Promise<Buffer> = promisify(gzip);

/** How long one slice of a scrape may keep the event loop: guests wait no longer for it. */
const sliceMilliseconds = 0.25;

/** After a scrape none begins for this many times as long as it took: scrapes take at most a fifth of the loop's time. */
const rests = 4;

/** Prometheus's text format, as it was at one moment. */
export interface Scrape {
  readonly contentType: string;
  readonly pieces: readonly Buffer[];
  /** bytes */
  readonly length: number;
  /** the same, compressed on another thread, once for all that ask */
  gzipped(): Promise<Buffer>;
}

/** Reads the parts of the daemon: one scrape at a time, which all share that ask before it begins. */
export class Scrapes {
  readonly #parts: Measured;
  readonly #before: CountsBefore;
  /** asked for and not begun, by whether each instance is in it */
  readonly #next = new Map<boolean, Promise<Scrape>>();
  #last: Promise<unknown> = Promise.resolve();

  /** before: what the daemon before this one has counted */
  constructor(parts: Measured, before: Counts) {
    this.#parts = parts;
    this.#before = new CountsBefore(before);
  }

  /** What has been counted, for the daemon that goes on from here. */
  get counts(): Counts {
    return this.#before.counts(this.#parts);
  }

  /** perInstance: with the metrics of each running instance */
  take(perInstance: boolean): Promise<Scrape> {
    const next = this.#next.get(perInstance);
    if (next !== undefined) return next;
    const began = this.#last.then(() => performance.now());
    const scrape = began.then(() => this.#scrape(perInstance));
    this.#next.set(perInstance, scrape);
    const rest = async (): Promise<void> =>
      pause(rests * (performance.now() - (await began)), undefined, { ref: false });
    this.#last = scrape.then(rest, rest);
    return scrape;
  }

  async #scrape(perInstance: boolean): Promise<Scrape> {
    this.#next.delete(perInstance);
    const turn = new Turn(sliceMilliseconds);
    const pieces = await render(metricDeclarations, this.#parts, turn, (metric, declaration, samples) =>
      this.#before.goOn(metric, declaration, samples),
    );
    if (perInstance) pieces.push(...(await render(instanceMetricDeclarations, this.#parts, turn)));
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    let gzipped: Promise<Buffer> | undefined;
    return {
      contentType,
      pieces,
      length,
      gzipped: () => {
        gzipped ??= compress(Buffer.concat(pieces), { level: 1 });
        return gzipped;
      },
    };
  }
}
