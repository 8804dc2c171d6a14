import type { ServerResponse } from 'node:http';
import type { Pieces } from './control-reply.js';

/** Writes a body piece by piece as the reader takes it. A reader that leaves ends what makes the pieces. */
export async function sendPieces(response: ServerResponse, type: string, pieces: Pieces): Promise<void> {
  if (response.destroyed) return; // its reader has left while the answer was worked out
  response.writeHead(200, { 'Content-Type': type });
  if (response.req.method === 'HEAD') {
    response.end();
    return;
  }
  let goOn = (): void => undefined;
  const leave = (): void => goOn();
  response.once('close', leave);
  for await (const piece of pieces) {
    if (response.destroyed) return;
    await new Promise<void>((resolve) => {
      goOn = resolve;
      response.write(piece, leave); // called when the kernel has all of it
    });
  }
  response.off('close', leave);
  response.end();
}
