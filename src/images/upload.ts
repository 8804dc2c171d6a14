import { createHash, type Hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ImageFiles, Received } from './image-files.js';

/** An image on its way in: its files, one after the other, and then the name that they give it. */
export class Upload {
  readonly #files: ImageFiles;
  readonly #hash: Hash = createHash('sha256');
  readonly received: Received[] = [];

  constructor(files: ImageFiles) {
    this.#files = files;
  }

  /** @throws what source fails with, or Fault store-full; discard() must follow */
  async add(source: Readable): Promise<void> {
    this.received.push(await this.#files.receive(source, this.#hash));
  }

  /** Of everything added; nothing can be added afterwards. */
  fingerprint(): string {
    return this.#hash.digest('hex');
  }

  async discard(): Promise<void> {
    await this.#files.discard(this.received);
  }
}
