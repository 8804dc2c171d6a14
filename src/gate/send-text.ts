import type { HttpResponse } from 'uWebSockets.js';

/**
 * A text for uWebSockets: a string only where each character is one byte of UTF-8. The builds for Node 22 and newer
 * send other strings as Latin-1 when they can, which is shorter than what Content-Length says.
 */
export function textOrBytes(text: string): string | Buffer {
  return Buffer.byteLength(text) === text.length ? text : Buffer.from(text);
}

/** The bytes of a text until all of them are with the kernel, or the connection has closed. */
export interface KeptText {
  readonly bytes: Buffer;
  free(): void;
}

/**
 * Ends a response with a text. Not by response.end(): when the reader has gone, or its buffer is full, that may forget
 * the body, take the request for one that was never answered, and end the process.
 * @param keep called when the answer is still on its way: onAborted must be set by then
 */
export function endWithText(response: HttpResponse, text: string, keep: () => KeptText): void {
  const [, done] = response.tryEnd(textOrBytes(text), Buffer.byteLength(text));
  if (done) return;
  const { bytes, free } = keep();
  response.onWritable((offset) => {
    const [took, ended] = response.tryEnd(bytes.subarray(offset), bytes.length);
    if (ended) free();
    return took;
  });
}
