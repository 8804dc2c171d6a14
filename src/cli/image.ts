import { randomUUID } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { Fault } from '../errors.js';
import { multipart } from '../images/multipart.js';
import { bytesOf, lengthOf, type Piece } from '../images/pieces.js';
import { perform, withClient } from './client.js';
import { type Format, formats, print, table } from './output.js';
import { withProgress } from './progress.js';
import { configOf } from './set.js';

interface ApiImage {
  readonly fingerprint: string;
  readonly filename: string;
  readonly type: string;
  readonly public: boolean;
  readonly cached: boolean;
  readonly size: number;
  readonly uploaded_at: string;
}

interface ImportOptions {
  readonly public?: true;
  readonly cached?: true;
  readonly property?: string[];
  readonly vm?: true;
}

/** devlxd image import|list|delete */
export function addImage(program: Command): void {
  const image = program
    .command('image')
    .description('images that guests may export (security.devlxd.images=true)')
    .addHelpText('after', '\nExamples:\n  devlxd image import debian-12.tar.xz --public\n  devlxd image list');
  addImport(image);
  addImageList(image);
  const remove = image
    .command('delete')
    .description('delete images; exports that run go on')
    .argument('<fingerprint...>', 'fingerprints, or the beginnings of them')
    .addHelpText('after', '\nExample:\n  devlxd image delete 3b2a09');
  remove.action((fingerprints: string[]) =>
    perform(remove, async (client) => {
      for (const fingerprint of fingerprints)
        await client.request('DELETE', `/1.0/images/${encodeURIComponent(fingerprint)}`);
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
  devlxd image import meta.tar.xz rootfs.squashfs --public --property os=Debian release=12`,
    );
  command.action((file: string, rootfs: string | undefined, options: ImportOptions) =>
    withClient(command, async (client) => {
      const paths = rootfs === undefined ? [file] : [file, rootfs];
      const files = await openAll(paths);
      try {
        const boundary = `devlxd-${randomUUID()}`;
        const pieces = await bodyOf(paths, files, boundary, options);
        const size = lengthOf(pieces);
        const body = Readable.from(withProgress('Importing', bytesOf(pieces, files), size));
        const type = paths.length === 1 ? 'application/octet-stream' : `multipart/form-data; boundary=${boundary}`;
        const headers = { 'content-type': type, ...headersOf(paths, options) };
        const { fingerprint } = (await client.upload('/1.0/images', body, size, headers)) as ApiImage;
        print(fingerprint);
      } finally {
        for (const handle of files) await handle.close();
      }
    }),
  );
}

function addImageList(image: Command): void {
  const command = image
    .command('list')
    .description('show all images')
    .addOption(new Option('--format <format>', 'how').choices(formats).default('table'))
    .addHelpText('after', '\nExample:\n  devlxd image list --format json');
  command.action(() =>
    withClient(command, async (client) => {
      const images = (await client.request('GET', '/1.0/images?recursion=1')) as ApiImage[];
      print(render(images, command.getOptionValue('format') as Format));
    }),
  );
}

function render(images: readonly ApiImage[], format: Format): string {
  if (format === 'json') return JSON.stringify(images);
  if (format === 'yaml') return stringify(images).trimEnd();
  const full = format === 'csv';
  const rows = images.map((image) => [
    full ? image.fingerprint : image.fingerprint.slice(0, 12),
    image.public ? 'public' : image.cached ? 'cached' : 'private',
    image.type,
    full ? String(image.size) : `${(image.size / 2 ** 20).toFixed(1)} MiB`,
    image.uploaded_at.slice(0, 19).replace('T', ' '),
    image.filename,
  ]);
  if (full) return rows.map((row) => row.join(',')).join('\n');
  if (rows.length === 0) return 'There are no images yet; "devlxd image import FILE" makes one.';
  return table(['FINGERPRINT', 'ACCESS', 'TYPE', 'SIZE', 'IMPORTED', 'FILE'], rows);
}

async function openAll(paths: readonly string[]): Promise<FileHandle[]> {
  const files: FileHandle[] = [];
  for (const path of paths) {
    files.push(
      await open(path).catch((error: Error) => {
        throw new Fault('invalid-value', `${path} cannot be read: ${error.message}`);
      }),
    );
  }
  return files;
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

function headersOf(paths: readonly string[], options: ImportOptions): Record<string, string> {
  return {
    'x-lxd-filename': utf8Header(basename(paths.at(-1) ?? '')),
    'x-lxd-public': String(options.public ?? false),
    'x-lxd-cached': String(options.cached ?? false),
    'x-lxd-properties': new URLSearchParams(configOf(options.property ?? [])).toString(),
  };
}

/** The bytes of the text's UTF-8, as Go's clients send them; a header's characters stand for one byte each. */
function utf8Header(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
