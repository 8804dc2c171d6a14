import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Fault } from '../errors.js';
import type { Image, ImageFile } from '../model/image.js';
import { extensionOf, signatureLength } from './extension.js';

const incoming = 'incoming-';
const suffixes = ['', '.rootfs'] as const;

/** A file that has come in and has no name yet. */
export interface Received extends ImageFile {
  readonly path: string;
}

/** The open files of an image, shared by its current readers. */
export interface OpenImage {
  readonly files: readonly FileHandle[];
  /** The last reader to call it closes them. */
  release(): void;
}

interface Sharing {
  readonly files: Promise<FileHandle[]>;
  readers: number;
}

/** The directory of the images: FINGERPRINT, and FINGERPRINT.rootfs of a split image; LXD's names. */
export class ImageFiles {
  readonly #directory: string;
  readonly #open = new Map<string, Sharing>();
  #count = 0;

  constructor(stateDir: string) {
    this.#directory = join(stateDir, 'images');
  }

  /** Makes the directory, and removes what belongs to no image: what a kill or a power cut has left half-way. */
  async run(images: readonly Image[]): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const known = new Set(
      images.flatMap(({ fingerprint, files }) => files.map((_, index) => fingerprint + suffixes[index])),
    );
    for (const name of await readdir(this.#directory)) {
      if (!known.has(name)) await rm(join(this.#directory, name), { recursive: true });
    }
  }

  /**
   * Writes what source gives to a new file and to the hash; on the disk when this is done. Nothing is left of a source
   * that fails.
   * @throws Fault store-full
   */
  async receive(source: Readable, hash: Hash = createHash('sha256')): Promise<Received> {
    const path = join(this.#directory, `${incoming}${process.pid}-${++this.#count}`);
    let size = 0;
    let start = Buffer.alloc(0);
    const note = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        if (start.length < signatureLength) start = Buffer.concat([start, chunk.subarray(0, signatureLength)]);
        size += chunk.length;
        hash.update(chunk);
        yield chunk;
      }
    };
    // Open before anything can fail: a file that is still being made cannot be removed.
    source.on('error', () => undefined); // which may come meanwhile; pipeline() fails with it
    const file = await open(path, 'wx', 0o600);
    try {
      await pipeline(source, note, file.createWriteStream({ flush: true }));
    } catch (error) {
      await rm(path, { force: true });
      throw isFull(error) ? this.#full() : error;
    }
    return { path, size, extension: extensionOf(start) };
  }

  async discard(received: readonly Received[]): Promise<void> {
    for (const { path } of received) await rm(path, { force: true });
  }

  /** Gives them their names; durable when this is done. */
  async keep(fingerprint: string, received: readonly Received[]): Promise<void> {
    for (const [index, { path }] of received.entries()) await rename(path, this.#path(fingerprint, index));
    const directory = await open(this.#directory);
    await directory.sync().finally(() => directory.close());
  }

  /** Current readers are not disturbed. */
  async remove({ fingerprint, files }: Image): Promise<void> {
    for (const index of files.keys()) await rm(this.#path(fingerprint, index), { force: true });
  }

  /**
   * Opens an image's files once for all concurrent readers: a reader that stops reading costs no
   * descriptor but its connection's.
   * @throws Error, when they are not as long as they were
   */
  async open(image: Image): Promise<OpenImage> {
    const { fingerprint } = image;
    const sharing = this.#open.get(fingerprint) ?? { files: this.#openAll(image), readers: 0 };
    this.#open.set(fingerprint, sharing);
    sharing.readers++;
    try {
      return { files: await sharing.files, release: () => this.#release(fingerprint, sharing) };
    } catch (error) {
      this.#release(fingerprint, sharing);
      throw error;
    }
  }

  #release(fingerprint: string, sharing: Sharing): void {
    if (--sharing.readers > 0) return;
    if (this.#open.get(fingerprint) === sharing) this.#open.delete(fingerprint);
    sharing.files.then(closeAll, () => undefined);
  }

  async #openAll({ fingerprint, files }: Image): Promise<FileHandle[]> {
    const handles: FileHandle[] = [];
    try {
      for (const [index, { size }] of files.entries()) {
        const path = this.#path(fingerprint, index);
        const handle = await open(path);
        handles.push(handle);
        const found = (await handle.stat()).size;
        if (found !== size) throw new Error(`${path} has ${found} bytes instead of ${size}; import the image again`);
      }
      return handles;
    } catch (error) {
      closeAll(handles);
      throw error;
    }
  }

  #path(fingerprint: string, index: number): string {
    return join(this.#directory, `${fingerprint}${suffixes[index]}`);
  }

  #full(): Fault {
    return new Fault(
      'store-full',
      `The disk of ${this.#directory} is full; nothing was imported. Free some space and try again.`,
    );
  }
}

function closeAll(handles: readonly FileHandle[]): void {
  for (const handle of handles) handle.close().catch(() => undefined);
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}
