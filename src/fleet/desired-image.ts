import { isAbsolute } from 'node:path';
import { invalid } from '../errors.js';
import { fingerprintPattern, type ImageType, imageTypes } from '../model/image.js';
import { isFields, optionsIn, type Read, read, textIn } from './desired.js';

/** An image of the fleet: what it is, and where its bytes are. */
export interface DesiredImage {
  /** bytes, of all its files */
  readonly size: number;
  /** may guests have it? */
  readonly public: boolean;
  readonly filename: string;
  readonly type: ImageType;
  readonly properties: Readonly<Record<string, string>>;
  /** in the order in which they are tried: URLs, and paths of files on the host */
  readonly from: readonly string[];
  /** of the root file system, where it is a file of its own */
  readonly rootfsFrom: readonly string[];
  /** each host has it before a guest asks for it */
  readonly ahead: boolean;
}

export function imageIn(fingerprint: string, bytes: Buffer): Read<DesiredImage> {
  return read(bytes, (fields) => {
    if (!fingerprintPattern.test(fingerprint)) throw invalid('fingerprint', 'is no SHA-256: 64 lower-case hex digits');
    const { size } = fields;
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 1)
      throw invalid('size', 'is needed: a number of bytes');
    const [isPublic, ahead] = [booleanIn(fields, 'public', true), booleanIn(fields, 'ahead', false)];
    const type = imageTypes.find((known) => known === textIn(fields, 'type', 'container'));
    if (type === undefined) throw invalid('type', 'is neither container nor virtual-machine');
    const given = fields['properties'] ?? {};
    if (!isFields(given)) throw invalid('properties', 'is no object');
    const properties = Object.fromEntries(optionsIn('properties', given));
    const [from, rootfsFrom] = [originsIn(fields['from'], 'from'), originsIn(fields['rootfs_from'], 'rootfs_from')];
    if (from.length === 0) throw invalid('from', 'is needed: a list of https:// URLs and paths of files');
    const filename = textIn(fields, 'filename', '');
    return { size, public: isPublic, filename, type, properties, from, rootfsFrom, ahead };
  });
}

function booleanIn(fields: Readonly<Record<string, unknown>>, name: string, byDefault: boolean): boolean {
  const value = fields[name] ?? byDefault;
  if (typeof value !== 'boolean') throw invalid(name, 'is neither true nor false');
  return value;
}

function originsIn(given: unknown = [], field: string): string[] {
  if (!Array.isArray(given) || !given.every((each) => typeof each === 'string')) throw invalid(field, 'is no list');
  const wrong = given.find((each) => !isAbsolute(each) && !(URL.canParse(each) && new URL(each).protocol === 'https:'));
  if (wrong !== undefined) throw invalid(field, `"${wrong}" is neither an https:// URL nor a path that begins with /`);
  return given;
}
