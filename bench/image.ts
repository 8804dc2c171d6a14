import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import type { HostClient } from '../src/cli/with-client.js';
import type { Workplace } from './workplace.js';

const xz = Buffer.from('fd377a585a00', 'hex'); // devlxd looks at it to tell what kind of image it is

/** A file of random bytes that is an image for devlxd. It lies in page cache: what is measured is no disk. */
export interface Image {
  readonly file: string;
  readonly size: number;
  readonly fingerprint: string;
}

export function makeImage(workplace: Workplace, megabytes: number): Image {
  const size = megabytes * 2 ** 20;
  const file = workplace.path(`image-${megabytes}`);
  const bytes = Buffer.concat([xz, randomBytes(size - xz.length)]);
  writeFileSync(file, bytes);
  return { file, size, fingerprint: createHash('sha256').update(bytes).digest('hex') };
}

export function importImage(client: HostClient, { file, size }: Image): Promise<unknown> {
  return client.upload('/1.0/images', createReadStream(file), size, { 'x-lxd-public': 'true' });
}
