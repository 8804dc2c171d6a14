import { createHash, randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { multipart } from '../../src/images/multipart.js';
import type { TestDaemon } from './daemon.js';

export const xz = Buffer.from('fd377a585a00', 'hex');
export const unified = Buffer.concat([xz, randomBytes(3_000_000)]);
export const secret = Buffer.concat([xz, randomBytes(1000)]);
export const metadata = Buffer.concat([xz, randomBytes(500)]);
export const rootfs = Buffer.concat([Buffer.from('hsqs'), randomBytes(2_000_000)]);

export function fingerprintOf(...files: Buffer[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file);
  return hash.digest('hex');
}

export function pathOf(...files: Buffer[]): string {
  return `/1.0/images/${fingerprintOf(...files)}/export`;
}

export async function importImage(
  daemon: TestDaemon,
  file: Buffer,
  headers: Record<string, string> = {},
): Promise<void> {
  await daemon.client.upload('/1.0/images', Readable.from([file]), file.length, headers);
}

export function splitForm(names: readonly string[] = ['metadata', 'rootfs']): Buffer {
  const files = [metadata, rootfs, secret].slice(0, names.length);
  const form = files.map((file, index) => ({ name: names[index] ?? '', filename: 'f', size: file.length }));
  const body = multipart('b0undary', form).map((piece) =>
    piece instanceof Uint8Array ? piece : (files[piece.file] as Buffer),
  );
  return Buffer.concat(body);
}

export async function importForm(daemon: TestDaemon, form: Buffer): Promise<void> {
  const headers = { 'content-type': 'multipart/form-data; boundary=b0undary', 'x-lxd-public': 'true' };
  await daemon.client.upload('/1.0/images', Readable.from([form]), form.length, headers);
}

export function storedFiles(daemon: TestDaemon): string[] {
  return readdirSync(join(daemon.stateDir, 'images')).sort();
}
