import { setTimeout as pause } from 'node:timers/promises';
import type { ImageOrigin, Images } from '../images/image-library.js';
import { keyOf } from '../instances/record-table.js';
import type { Log } from '../log.js';
import type { Image } from '../model/image.js';
import type { Store } from '../store/store.js';
import type { DesiredImage } from './desired-image.js';
import { bytesFrom } from './image-download.js';
import type { Mirror } from './mirror.js';

/** Under this name the store keeps which images have come from the fleet. */
const stateName = 'etcd-images';
/** After a failure nobody causes the next attempt before that. */
const failedMilliseconds = 10_000;
/** What is fetched ahead is not fetched by all hosts at the same moment. */
const aheadMilliseconds = 5000;
const againMilliseconds = 60_000;

/** The images of the fleet: fetched when a guest asks for one, or ahead; one at a time. */
export class FleetImages implements ImageOrigin {
  readonly #images: Images;
  readonly #store: Store;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  readonly #fetching = new Map<string, Promise<Image>>();
  /** fingerprints of images that are being fetched ahead, or wait for that */
  readonly #aheadNow = new Set<string>();
  /** by fingerprint: when it failed, milliseconds of performance.now() */
  readonly #failed = new Map<string, number>();
  /** fingerprints that have come from the fleet, and go with it */
  readonly #ours: Set<string>;
  #mirror: Mirror | undefined;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(images: Images, store: Store, log: Log, ours: Set<string>) {
    this.#images = images;
    this.#store = store;
    this.#log = log;
    this.#ours = ours;
  }

  static async load(images: Images, store: Store, log: Log): Promise<FleetImages> {
    const text = await store.loadSourceState(stateName);
    return new FleetImages(images, store, log, new Set(text === undefined ? [] : (JSON.parse(text) as string[])));
  }

  offers(fingerprint: string): boolean | undefined {
    if (this.#mirror === undefined) return undefined;
    return this.#wanted(fingerprint)?.public ?? false;
  }

  fetch(fingerprint: string): Promise<Image> {
    const known = this.#fetching.get(fingerprint);
    if (known !== undefined) return known;
    const fetched = this.#inTurn(() => this.#fetch(fingerprint)).finally(() => this.#fetching.delete(fingerprint));
    this.#fetching.set(fingerprint, fetched);
    return fetched;
  }

  /** What a mirror says has been applied: what is gone from it goes here, and what is wanted ahead is fetched. */
  merged(mirror: Mirror): void {
    this.#mirror = mirror;
    for (const fingerprint of this.#ours) this.#keepOrForget(fingerprint, mirror);
    for (const [key, read] of mirror.images) {
      const fingerprint = key.slice(1);
      const isAhead = 'value' in read && read.value.ahead && this.#images.get(fingerprint) === undefined;
      if (isAhead && !this.#aheadNow.has(fingerprint)) void this.#ahead(fingerprint);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#last;
  }

  /** A value that cannot be read takes nothing away. */
  #keepOrForget(fingerprint: string, mirror: Mirror): void {
    const isPublic = this.#wanted(fingerprint)?.public;
    const image = this.#images.get(fingerprint);
    if (!mirror.images.has(keyOf('', fingerprint))) this.#change(() => this.#forget(fingerprint));
    else if (image !== undefined && isPublic !== undefined && image.public !== isPublic)
      this.#change(() => this.#images.change(fingerprint, (before) => ({ ...before, public: isPublic })));
  }

  #change(work: () => Promise<void>): void {
    this.#inTurn(work).catch((error: unknown) => this.#log.error({ err: error }, 'an image could not be changed'));
  }

  #wanted(fingerprint: string): DesiredImage | undefined {
    const read = this.#mirror?.images.get(keyOf('', fingerprint));
    return read !== undefined && 'value' in read ? read.value : undefined;
  }

  /** Until it is here, or not wanted any more. */
  async #ahead(fingerprint: string): Promise<void> {
    const { signal } = this.#stopping;
    this.#aheadNow.add(fingerprint);
    let longest = aheadMilliseconds;
    while (this.#wanted(fingerprint)?.ahead) {
      await pause(Math.random() * longest, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || (await this.fetch(fingerprint).then(Boolean, () => false))) break;
      longest = againMilliseconds;
    }
    this.#aheadNow.delete(fingerprint);
  }

  async #fetch(fingerprint: string): Promise<Image> {
    const there = this.#images.get(fingerprint);
    if (there !== undefined) return there;
    const wanted = this.#wanted(fingerprint);
    const failedAt = this.#failed.get(fingerprint) ?? Number.NEGATIVE_INFINITY;
    if (wanted === undefined || performance.now() - failedAt < failedMilliseconds)
      throw new Error(`the image ${fingerprint} cannot be had at the moment`);
    try {
      const image = await this.#receive(fingerprint, wanted);
      this.#failed.delete(fingerprint);
      this.#log.info({ fingerprint, size: wanted.size }, 'an image of the fleet is fetched');
      return image;
    } catch (error) {
      this.#failed.set(fingerprint, performance.now());
      if (!this.#stopping.signal.aborted)
        this.#log.warn({ fingerprint, err: error }, 'an image of the fleet cannot be had');
      throw error;
    }
  }

  /** From the first place that has all of it. */
  async #receive(fingerprint: string, wanted: DesiredImage): Promise<Image> {
    const reasons: Error[] = [];
    for (const [index, from] of wanted.from.entries()) {
      const rootfs = wanted.rootfsFrom[index] ?? wanted.rootfsFrom[0];
      try {
        return await this.#receiveFrom(fingerprint, wanted, rootfs === undefined ? [from] : [from, rootfs]);
      } catch (error) {
        reasons.push(error as Error);
        if (this.#stopping.signal.aborted) break;
      }
    }
    throw new Error(reasons.map(({ message }) => message).join('; '));
  }

  async #receiveFrom(fingerprint: string, wanted: DesiredImage, origins: readonly string[]): Promise<Image> {
    const upload = this.#images.upload();
    try {
      let left = wanted.size;
      for (const origin of origins) {
        await upload.add(await bytesFrom(origin, left, this.#stopping.signal));
        left = wanted.size - upload.received.reduce((sum, { size }) => sum + size, 0);
      }
      const found = upload.fingerprint();
      if (found !== fingerprint) throw new Error(`what ${origins.join(' and ')} has is ${found}`);
      await this.#note(fingerprint, true);
      const { filename, type, properties, public: isPublic } = wanted;
      const details = { filename, type, properties, public: isPublic, cached: false };
      return await this.#images.add(fingerprint, upload, details);
    } catch (error) {
      await upload.discard();
      throw error;
    }
  }

  async #forget(fingerprint: string): Promise<void> {
    if (this.#images.get(fingerprint) !== undefined) await this.#images.remove(fingerprint);
    await this.#note(fingerprint, false);
  }

  /** Before it comes, and after it has gone: what a kill has left in between goes later. */
  async #note(fingerprint: string, isOurs: boolean): Promise<void> {
    if (isOurs) this.#ours.add(fingerprint);
    else this.#ours.delete(fingerprint);
    await this.#store.putSourceState(stateName, JSON.stringify([...this.#ours]));
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
