import type { FileHandle } from 'node:fs/promises';

/** A part of one of an image's files: from start up to, not including, end. */
export interface FilePiece {
  /** index into the image's files */
  readonly file: number;
  readonly start: number;
  readonly end: number;
}

/** What a body is made of, in order. */
export type Piece = Uint8Array | FilePiece;

const readBytes = 256 * 1024;

export function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + pieceLength(piece), 0);
}

/** The pieces that make up the bytes from start up to, not including, end. */
export function sliceOf(pieces: readonly Piece[], start: number, end: number): Piece[] {
  const slice: Piece[] = [];
  let offset = 0;
  for (const piece of pieces) {
    const from = Math.max(start - offset, 0);
    const to = Math.min(end - offset, pieceLength(piece));
    if (from < to) slice.push(part(piece, from, to));
    offset += pieceLength(piece);
  }
  return slice;
}

function pieceLength(piece: Piece): number {
  return piece instanceof Uint8Array ? piece.length : piece.end - piece.start;
}

function part(piece: Piece, from: number, to: number): Piece {
  if (piece instanceof Uint8Array) return piece.subarray(from, to);
  return { file: piece.file, start: piece.start + from, end: piece.start + to };
}

/** What the pieces are made of, a little at a time, from the open files. */
export async function* bytesOf(pieces: readonly Piece[], files: readonly FileHandle[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) {
      yield piece;
      continue;
    }
    const { file, start, end } = piece;
    const handle = files[file] as FileHandle;
    if (start < end)
      yield* handle.createReadStream({ start, end: end - 1, autoClose: false, highWaterMark: readBytes });
  }
}
