import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { OptionError } from '../config/options.js';
import { Fault } from '../errors.js';
import type { EtcdConnection } from '../etcd/etcd-connection.js';
import { imageIn } from '../fleet/desired-image.js';
import { FleetKeys } from '../fleet/fleet-keys.js';
import { etcdSettingIn, withEtcd } from './fleet-client.js';
import { formatOption, print, printList } from './output.js';
import type { Column } from './table.js';

interface Row {
  readonly fingerprint: string;
  readonly size: number;
  readonly public: boolean;
  readonly ahead: boolean;
  readonly filename: string;
  readonly from: readonly string[];
}

const columns: readonly Column<Row>[] = [
  { heading: 'FINGERPRINT', value: ({ fingerprint }) => fingerprint.slice(0, 12) },
  { heading: 'SIZE', value: ({ size }) => String(size) },
  { heading: 'PUBLIC', value: ({ public: isPublic }) => (isPublic ? 'yes' : 'no') },
  { heading: 'AHEAD', value: ({ ahead }) => (ahead ? 'yes' : 'no') },
  { heading: 'FILE', value: ({ filename }) => filename },
  { heading: 'FROM', value: ({ from }) => from.join(' ') },
];

interface AddOptions {
  readonly from: string[];
  readonly rootfsFrom?: string[];
  readonly ahead?: true;
  readonly private?: true;
  readonly vm?: true;
}

/** devlxd fleet image */
export function addFleetImage(parent: Command): void {
  const image = parent
    .command('image')
    .description('images that every host of the fleet has for its guests; etcd has only what they are and where')
    .addHelpText('after', '\nExample:\n  devlxd fleet image add d13.tar.xz --from https://example.org/d13.tar.xz');
  addAdd(image);
  addImageList(image);
  addDelete(image);
}

function addAdd(parent: Command): void {
  const command = parent
    .command('add')
    .description('describe an image; its files are read here, for the fingerprint, and fetched by hosts from elsewhere')
    .argument('<file>', 'image, or the metadata of a split one')
    .argument('[rootfs]', 'root file system of a split image')
    .requiredOption('--from <origin...>', 'https:// URLs, or paths on the hosts, which are tried in this order')
    .option('--rootfs-from <origin...>', 'the same of the root file system')
    .option('--ahead', 'each host fetches it at once, and not when the first guest asks for it')
    .option('--private', 'guests may not have it')
    .option('--vm', "it is a virtual machine's")
    .addHelpText('after', '\nExample:\n  devlxd fleet image add d13.tar.xz --from https://example.org/d13.tar.xz');
  command.action(async (file: string, rootfs: string | undefined, options: AddOptions) => {
    if ((rootfs === undefined) !== (options.rootfsFrom === undefined))
      throw new OptionError('A root file system needs --rootfs-from, and the other way round.');
    const { fingerprint, size } = await measured(rootfs === undefined ? [file] : [file, rootfs]);
    const value = JSON.stringify({
      size,
      filename: basename(file),
      from: options.from,
      ...(options.rootfsFrom === undefined ? {} : { rootfs_from: options.rootfsFrom }),
      ...(options.private ? { public: false } : {}),
      ...(options.ahead ? { ahead: true } : {}),
      ...(options.vm ? { type: 'virtual-machine' } : {}),
    });
    const read = imageIn(fingerprint, Buffer.from(value));
    if ('why' in read) throw new OptionError(`${read.why}.`);
    await withKeys(command, (connection, keys) => connection.write([{ put: keys.image(fingerprint), value }]));
    print(fingerprint);
  });
}

function addImageList(parent: Command): void {
  const command = parent
    .command('list')
    .description('show all images of the fleet')
    .addOption(formatOption())
    .addHelpText('after', '\nExample:\n  devlxd fleet image list');
  command.action(async () => {
    await printList(command, columns, await withKeys(command, rows), 'The fleet has no images.');
  });
}

function addDelete(parent: Command): void {
  const command = parent
    .command('delete')
    .description('forget an image; hosts that have fetched it remove it')
    .argument('<fingerprint>', 'fingerprint, or the beginning of it')
    .addHelpText('after', '\nExample:\n  devlxd fleet image delete 3b2a09');
  command.action((prefix: string) =>
    withKeys(command, async (connection, keys) => {
      const found = (await rows(connection, keys)).filter(({ fingerprint }) => fingerprint.startsWith(prefix));
      const [image, another] = found;
      if (image === undefined) throw new Fault('not-found', `The fleet has no image "${prefix}"`);
      if (another !== undefined) throw new Fault('not-found', `More than one image begins with "${prefix}"`);
      await connection.write([{ remove: keys.image(image.fingerprint) }]);
    }),
  );
}

function withKeys<Result>(
  command: Command,
  work: (connection: EtcdConnection, keys: FleetKeys) => Promise<Result>,
): Promise<Result> {
  const setting = etcdSettingIn(command);
  return withEtcd(setting, (connection) => work(connection, new FleetKeys(setting.prefix)));
}

/** What cannot be read is shown by its fingerprint alone, so that it can be deleted. */
async function rows(connection: EtcdConnection, keys: FleetKeys): Promise<Row[]> {
  const found: Row[] = [];
  await connection.range(keys.images, ({ key, value }) => {
    const fingerprint = key.toString().slice(keys.images.length);
    const read = imageIn(fingerprint, value);
    const odd = { size: 0, public: false, ahead: false, filename: 'why' in read ? read.why : '', from: [] };
    found.push({ fingerprint, ...('value' in read ? read.value : odd) });
  });
  return found;
}

/** As LXD names an image: by the SHA-256 of its files, one after the other. */
async function measured(files: readonly string[]): Promise<{ fingerprint: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for (const file of files) {
    for await (const chunk of createReadStream(file)) {
      hash.update(chunk);
      size += chunk.length;
    }
  }
  return { fingerprint: hash.digest('hex'), size };
}
