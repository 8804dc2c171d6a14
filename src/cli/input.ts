import { closeSync, openSync, readSync } from 'node:fs';
import { OptionError } from '../config/options.js';
import { firstBadByte, isText } from '../text/utf8.js';

/** Of a file or of standard input: more than any daemon takes, less than what would fill memory. */
const mostBytes = 256 * 1024 * 1024;
const pieceBytes = 64 * 1024;

/**
 * The bytes of a file; "-": of standard input.
 * @throws OptionError
 */
export function readInput(file: string): Buffer {
  try {
    const from = file === '-' ? 0 : openSync(file, 'r');
    try {
      return readAll(from);
    } finally {
      if (from !== 0) closeSync(from);
    }
  } catch (error) {
    throw new OptionError(`${nameOfInput(file)} cannot be read: ${(error as Error).message}`);
  }
}

export function nameOfInput(file: string): string {
  return file === '-' ? 'standard input' : file;
}

function readAll(from: number): Buffer {
  const pieces: Buffer[] = [];
  for (let total = 0; ; ) {
    const piece = Buffer.allocUnsafe(pieceBytes);
    const length = readSync(from, piece);
    if (length === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, length));
    total += length;
    if (total > mostBytes) throw new Error(`it is longer than ${mostBytes} bytes`);
  }
}

/**
 * Bytes as text: none of them is lost.
 * @throws OptionError, naming what they are the value of
 */
export function textOf(bytes: Buffer, what: string): string {
  if (!isText(bytes)) throw new OptionError(`${what}: not UTF-8 at byte ${firstBadByte(bytes)}; ${whatToDo}`);
  return bytes.toString('utf8');
}

export const whatToDo = 'values are text: convert it, or encode the bytes (base64).';
