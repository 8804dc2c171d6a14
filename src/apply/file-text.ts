import { OptionError } from '../config/options.js';
import { firstBadByte, isText } from '../text/utf8.js';
import { type Expected, readWanted } from './wanted.js';

/** Stands for the first byte that is no text while the place of it is looked for. */
const mark = '\u{f0000}devlxd\u{f0000}';

/**
 * The text of a file that is applied.
 * @throws OptionError, naming the line and the field that has a byte which is not UTF-8
 */
export function fileText(bytes: Buffer, path: string, expected: Expected): string {
  if (isText(bytes)) return bytes.toString('utf8');
  const at = firstBadByte(bytes);
  const before = bytes.toString('utf8', 0, at);
  const field = fieldWithMark(`${before}${mark}${bytes.toString('utf8', at)}`, path, expected);
  const where = `${path}, line ${before.split('\n').length}${field === undefined ? '' : `: ${field}`}`;
  throw new OptionError(`${where}: not UTF-8 at byte ${at} of it; convert it, or write the bytes as base64.`);
}

function fieldWithMark(text: string, path: string, expected: Expected): string | undefined {
  try {
    const { profiles, instances } = readWanted(text, path, expected);
    return pathTo({ profiles, instances }, []);
  } catch {
    return undefined; // it is not text, which is said in any case
  }
}

function pathTo(value: unknown, path: readonly string[]): string | undefined {
  if (typeof value === 'string') return value.includes(mark) ? path.join('.') : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    const found = name.includes(mark) ? path.join('.') : pathTo(inner, [...path, name]);
    if (found !== undefined) return found;
  }
  return undefined;
}
