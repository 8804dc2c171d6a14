import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const alignment = 4;

/** A kernel of Debian, unpacked. */
export interface Kernel {
  readonly image: string;
  /** /lib/modules/VERSION */
  readonly modules: string;
}

export function kernelIn(directory: string): Kernel {
  const [image] = readdirSync(join(directory, 'boot')).filter((name) => name.startsWith('vmlinuz'));
  const [version] = readdirSync(join(directory, 'lib/modules'));
  return { image: join(directory, 'boot', image ?? ''), modules: join(directory, 'lib/modules', version ?? '') };
}

/** Files by their paths in the machine; those that the kernel has built in are no modules. */
export function initramfs({ modules }: Kernel, wanted: readonly string[], programs: Record<string, string>): Buffer {
  const entries: Buffer[] = [directory('modules'), directory('dev'), directory('proc'), directory('root')];
  const loaded = withDependencies(modules, wanted);
  for (const [name, bytes] of loaded) entries.push(file(`modules/${name}.ko`, bytes));
  const order = [...loaded.keys()].map((name) => `/modules/${name}.ko\n`).join('');
  entries.push(file('modules/order', Buffer.from(order)));
  for (const [name, path] of Object.entries(programs)) entries.push(file(name, readFileSync(path)));
  return Buffer.concat([...entries, entry('TRAILER!!!', 0, Buffer.alloc(0))]);
}

/** Modules by their names, each after those that it needs. A name that is no file is built into the kernel. */
function withDependencies(modules: string, wanted: readonly string[]): Map<string, Buffer> {
  const files = readdirSync(modules, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ko'));
  const paths = new Map(files.map((path) => [basename(path, '.ko').replaceAll('-', '_'), path]));
  const ordered = new Map<string, Buffer>();
  const add = (name: string): void => {
    const path = paths.get(name);
    if (path === undefined || ordered.has(name)) return;
    const bytes = readFileSync(join(modules, path));
    const [, needed = ''] = /\0depends=([^\0]*)\0/.exec(bytes.toString('latin1')) ?? [];
    for (const each of needed.split(',')) add(each.replaceAll('-', '_'));
    ordered.set(name, bytes);
  };
  for (const name of wanted) add(name);
  return ordered;
}

function directory(name: string): Buffer {
  return entry(name, 0o040755, Buffer.alloc(0));
}

function file(name: string, bytes: Buffer): Buffer {
  return entry(name, 0o100755, bytes);
}

/** In the format newc of cpio(5): what the kernel unpacks. */
function entry(name: string, mode: number, bytes: Buffer): Buffer {
  const [links, owner, time, device, checksum] = [1, 0, 0, 0, 0];
  const fields = [0, mode, owner, owner, links, time, bytes.length, device, device, device, device];
  const numbers = [...fields, name.length + 1, checksum].map((field) => field.toString(16).padStart(8, '0'));
  return Buffer.concat([padded(Buffer.from(`070701${numbers.join('')}${name}\0`)), padded(bytes)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((alignment - (bytes.length % alignment)) % alignment)]);
}
