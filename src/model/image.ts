/** A file of an image, as it was imported. */
export interface ImageFile {
  /** bytes */
  readonly size: number;
  /** '.tar.xz', '.squashfs', ...; '' when its first bytes say nothing */
  readonly extension: string;
}

/** An image, never changed in place. LXD's terms: doc/reference/image_format.md. */
export interface Image {
  /** SHA-256 of its files, one after the other, as 64 lower-case hex digits */
  readonly fingerprint: string;
  /** the file's name where it was imported from, for people */
  readonly filename: string;
  readonly type: ImageType;
  /** anyone may have it */
  readonly public: boolean;
  /** a copy of an image that is public elsewhere */
  readonly cached: boolean;
  readonly properties: Readonly<Record<string, string>>;
  /** ISO 8601 */
  readonly uploadedAt: string;
  /** one file (unified), or the metadata and then the root file system (split) */
  readonly files: readonly [ImageFile] | readonly [metadata: ImageFile, rootfs: ImageFile];
}

export const imageTypes = ['container', 'virtual-machine'] as const;
export type ImageType = (typeof imageTypes)[number];

export const fingerprintPattern = /^[0-9a-f]{64}$/;

/** May a guest with security.devlxd.images have it? */
export function isForGuests(image: Pick<Image, 'public' | 'cached'>): boolean {
  return image.public || image.cached;
}

/** Bytes of all its files. */
export function sizeOf(image: Image): number {
  return image.files.reduce((sum, { size }) => sum + size, 0);
}
