import { isUtf8 } from 'node:buffer';

export { isUtf8 as isText } from 'node:buffer';

/** Where the first byte stands that is not UTF-8; the length, where there is none. */
export function firstBadByte(bytes: Buffer): number {
  let [good, bad] = [0, bytes.length];
  while (good < bad) {
    const middle = Math.ceil((good + bad) / 2);
    if (isStart(bytes, middle)) good = middle;
    else bad = middle - 1;
  }
  // Of a character that breaks off, its first byte.
  for (let end = good; end > good - 4 && end >= 0; end--) if (isUtf8(bytes.subarray(0, end))) return end;
  return good;
}

/**
 * The bytes as a string; where they are not UTF-8, the first byte that is not becomes a lone surrogate, which no text has,
 * so that what has it is found after the string is parsed.
 */
export function markedText(bytes: Buffer): string {
  const at = firstBadByte(bytes);
  if (at === bytes.length) return bytes.toString('utf8');
  const mark = String.fromCharCode(0xdc00 + (bytes[at] as number));
  return bytes.toString('utf8', 0, at) + mark + bytes.toString('utf8', at + 1);
}

/** Is it text up to here, but for a character that goes on? */
function isStart(bytes: Buffer, end: number): boolean {
  return [0, 1, 2, 3].some((fewer) => fewer <= end && isUtf8(bytes.subarray(0, end - fewer)));
}
