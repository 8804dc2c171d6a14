import { randomUUID } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import type { Command } from 'commander';
import type { Image } from '../api/types.js';
import type { ImageImport } from '../client/image-collection.js';
import { Fault } from '../errors.js';
import { multipart } from '../images/multipart.js';
import { bytesOf, lengthOf, type Piece } from '../images/pieces.js';
import { configOf } from './key-values.js';
import { formatOption, print, printList, printOne } from './output.js';
import { withProgress } from './progress.js';
import type { Column } from './table.js';
import { withHost } from './with-client.js';

interface ImportOptions {
  readonly public?: true;
  readonly cached?: true;
  readonly property?: string[];
  readonly vm?: true;
}

/** devlxd image import|list|show|delete */
export function addImage(program: Command): void {
  const image = program
    .command('image')
    .description('images that guests may export (security.devlxd.images=true)')
    .addHelpText('after', '\nExamples:\n  devlxd image import debian-12.tar.xz --public\n  devlxd image list');
  addImport(image);
  addImageList(image);
  addImageShow(image);
  const remove = image
    .command('delete')
    .description('delete images; exports that run go on')
    .argument('<fingerprint...>', 'fingerprints, or the beginnings of them')
    .addHelpText('after', '\nExample:\n  devlxd image delete 3b2a09');
  remove.action((fingerprints: string[]) =>
    withHost(remove, async (client) => {
      for (const fingerprint of fingerprints) await client.images.delete(fingerprint);
    }),
  );
}

function addImport(image: Command): void {
  const command = image
    .command('import')
    .description('import an image: one file, or metadata and root file system of a split one')
    .argument('<file>', 'image, or its metadata')
    .argument('[rootfs]', 'root file system of a split image')
    .option('--public', 'guests may have it')
    .option('--cached', 'the same, as the copy of an image that is public elsewhere')
    .option('--property <name=value...>', 'what is said of it')
    .option('--vm', "the root file system is a virtual machine's")
    .addHelpText(
      'after',
      `
Examples:
  devlxd image import debian-12.tar.xz --public
  devlxd image import meta.tar.xz rootfs.squashfs --property os=Debian`,
    );
  command.action((file: string, rootfs: string | undefined, options: ImportOptions) =>
    withHost(command, async (client) => {
      const paths = rootfs === undefined ? [file] : [file, rootfs];
      const files: FileHandle[] = [];
      try {
        await openAll(paths, files);
        const boundary = `devlxd-${randomUUID()}`;
        const pieces = await bodyOf(paths, files, boundary, options);
        const size = lengthOf(pieces);
        const body = Readable.from(withProgress('Importing', bytesOf(pieces, files), size));
        const described = { ...describedBy(paths, options), ...(rootfs === undefined ? {} : { boundary }) };
        print(await client.images.import(body, size, described));
      } finally {
        for (const handle of files) await handle.close();
      }
    }),
  );
}

const columns: readonly Column<Image>[] = [
  {
    heading: 'FINGERPRINT',
    value: ({ fingerprint }) => fingerprint,
    short: ({ fingerprint }) => fingerprint.slice(0, 12),
    whole: true,
  },
  { heading: 'ACCESS', value: accessOf },
  { heading: 'TYPE', value: ({ type }) => type },
  { heading: 'SIZE', value: ({ size }) => String(size), short: ({ size }) => `${(size / 2 ** 20).toFixed(1)} MiB` },
  { heading: 'IMPORTED', value: ({ uploaded_at }) => uploaded_at.slice(0, 19).replace('T', ' '), whole: true },
  { heading: 'FILE', value: ({ filename }) => filename },
];

function addImageList(image: Command): void {
  const command = image
    .command('list')
    .description('show all images')
    .option('--filter <clauses>', 'only images that match; docs/host-api.md')
    .addOption(formatOption())
    .addHelpText(
      'after',
      "\nExamples:\n  devlxd image list --format json\n  devlxd image list --filter 'properties.os=Debian'",
    );
  command.action((options: { filter?: string }) =>
    withHost(command, async (client) => {
      const none = 'There are no images yet; "devlxd image import FILE" makes one.';
      await printList(command, columns, await client.images.list(options), none);
    }),
  );
}

function addImageShow(image: Command): void {
  const command = image
    .command('show')
    .description('show one image')
    .argument('<fingerprint>', 'fingerprint, or the beginning of it')
    .addOption(formatOption('yaml'))
    .addHelpText('after', '\nExample:\n  devlxd image show 3b2a09');
  command.action((prefix: string) =>
    withHost(command, async (client) => {
      const image = await client.images.get(prefix);
      const { fingerprint, filename, type, size, uploaded_at, properties } = image;
      const access = accessOf(image);
      await printOne(command, { fingerprint, filename, type, access, size, uploaded_at, properties });
    }),
  );
}

function accessOf(image: Image): string {
  return image.public ? 'public' : image.cached ? 'cached' : 'private';
}

/** files: to which each is added once it is open, also where another cannot be taken */
async function openAll(paths: readonly string[], files: FileHandle[]): Promise<void> {
  for (const path of paths) {
    const file = await open(path).catch((error: Error) => {
      throw new Fault('invalid-value', `${path} cannot be read: ${error.message}`);
    });
    files.push(file);
    // The length of a pipe is not known before its end, and an image is announced with its length.
    if (!(await file.stat()).isFile()) throw new Fault('invalid-value', `${path} is no regular file`);
  }
}

async function bodyOf(
  paths: readonly string[],
  files: readonly FileHandle[],
  boundary: string,
  { vm }: ImportOptions,
): Promise<Piece[]> {
  const sizes = await Promise.all(files.map(async (file) => (await file.stat()).size));
  if (paths.length === 1) return [{ file: 0, start: 0, end: sizes[0] ?? 0 }];
  const names = ['metadata', vm ? 'rootfs.img' : 'rootfs'];
  return multipart(
    boundary,
    paths.map((_, index) => {
      const name = names[index] as string;
      return { name, filename: name, size: sizes[index] as number };
    }),
  );
}

function describedBy(paths: readonly string[], options: ImportOptions): ImageImport {
  return {
    filename: basename(paths.at(-1) ?? ''),
    public: options.public ?? false,
    cached: options.cached ?? false,
    properties: configOf(options.property ?? []),
  };
}
