import type { Piece } from './pieces.js';

export interface FormFile {
  readonly name: string;
  readonly filename: string;
  /** bytes */
  readonly size: number;
}

/** Files as a multipart/form-data body (RFC 7578): the n-th piece that is no Buffer is all of the n-th file. */
export function multipart(boundary: string, files: readonly FormFile[]): Piece[] {
  const pieces = files.flatMap(({ name, filename, size }, file): Piece[] => [
    Buffer.from(
      `${file === 0 ? '' : '\r\n'}--${boundary}\r\n` +
        `Content-Disposition: form-data; name="${name}"; filename="${filename}"\r\n` +
        'Content-Type: application/octet-stream\r\n\r\n',
    ),
    { file, start: 0, end: size },
  ]);
  return [...pieces, Buffer.from(`\r\n--${boundary}--\r\n`)];
}
