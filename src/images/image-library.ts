import { Fault } from '../errors.js';
import type { Image } from '../model/image.js';
import type { Store } from '../store/store.js';
import { ImageFiles, type OpenImage } from './image-files.js';
import { Upload } from './upload.js';

/** What may be changed of an image, and what is said of it when it is imported. */
export type ImageDetails = Pick<Image, 'filename' | 'type' | 'public' | 'cached' | 'properties'>;

/** Where images can be had that are not here. */
export interface ImageOrigin {
  /** May guests have it? undefined: that is not known at the moment */
  offers(fingerprint: string): boolean | undefined;
  /** Adds it to the images here. @throws what went wrong */
  fetch(fingerprint: string): Promise<Image>;
}

/**
 * All images. One belongs to no project: a fingerprint is the same image wherever it is asked for. An import is
 * answered when its files and its row are durable.
 */
export class Images {
  readonly #store: Store;
  readonly #files: ImageFiles;
  readonly #images = new Map<string, Image>();
  #last: Promise<unknown> = Promise.resolve();
  /** of the fleet; undefined: there is none */
  origin: ImageOrigin | undefined;

  constructor(store: Store, stateDir: string) {
    this.#store = store;
    this.#files = new ImageFiles(stateDir);
  }

  /** Reads what there is, and removes what an import left that never ended. */
  async load(): Promise<void> {
    for (const image of await this.#store.loadImages()) this.#images.set(image.fingerprint, image);
    await this.#files.run(this.list());
  }

  /** Waits for what is being stored. */
  async stop(): Promise<void> {
    await this.#last;
  }

  /** By the time of their import. */
  list(): Image[] {
    return [...this.#images.values()].sort((a, b) => (a.uploadedAt < b.uploadedAt ? -1 : 1));
  }

  /** By its full fingerprint. */
  get(fingerprint: string): Image | undefined {
    return this.#images.get(fingerprint);
  }

  /**
   * By its fingerprint or the beginning of it, for operators.
   * @throws Fault not-found, also when the beginning fits more than one
   */
  need(prefix: string): Image {
    const found = prefix === '' ? [] : this.list().filter(({ fingerprint }) => fingerprint.startsWith(prefix));
    const [image, another] = found;
    if (image === undefined) throw new Fault('not-found', `Image "${prefix}" not found`);
    if (another !== undefined) throw new Fault('not-found', `More than one image begins with "${prefix}"`);
    return image;
  }

  upload(): Upload {
    return new Upload(this.#files);
  }

  /** @throws Fault already-exists */
  add(fingerprint: string, { received }: Upload, details: ImageDetails): Promise<Image> {
    return this.#inTurn(async () => {
      if (this.#images.has(fingerprint)) throw new Fault('already-exists', `Image "${fingerprint}" already exists`);
      const files = received.map(({ size, extension }) => ({ size, extension })) as unknown as Image['files'];
      const image: Image = { fingerprint, ...details, files, uploadedAt: new Date().toISOString() };
      await this.#files.keep(fingerprint, received);
      await this.#put(image).catch(async (error: unknown) => {
        await this.#files.remove(image);
        throw error;
      });
      return image;
    });
  }

  /** @throws Fault not-found */
  change(fingerprint: string, change: (before: Image) => Image): Promise<void> {
    return this.#inTurn(() => this.#put(change(this.need(fingerprint))));
  }

  /** @throws Fault not-found */
  remove(fingerprint: string): Promise<void> {
    return this.#inTurn(async () => {
      const image = this.need(fingerprint);
      await this.#store.removeImage(fingerprint);
      this.#images.delete(fingerprint);
      await this.#files.remove(image);
    });
  }

  open(image: Image): Promise<OpenImage> {
    return this.#files.open(image);
  }

  async #put(image: Image): Promise<void> {
    await this.#store.putImage(image);
    this.#images.set(image.fingerprint, image);
  }

  /** One change at a time, so that an import never meets the removal of the same image half-way. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
