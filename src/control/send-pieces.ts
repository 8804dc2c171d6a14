import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

/** Writes a body piece by piece as the reader takes it. A reader that leaves ends what makes the pieces. */
export async function sendPieces(response: ServerResponse, type: string, pieces: AsyncIterable<string>): Promise<void> {
  if (response.destroyed) return; // its reader has left while the answer was worked out
  response.writeHead(200, { 'Content-Type': type });
  if (response.req.method === 'HEAD') {
    response.end();
    return;
  }
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  response.once('close', leave);
  for await (const piece of pieces) {
    if (gone.signal.aborted) return;
    if (response.write(piece)) continue;
    await once(response, 'drain', { signal: gone.signal }).catch(() => undefined);
  }
  response.off('close', leave);
  response.end();
}
