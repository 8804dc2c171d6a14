import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Download } from '../images/download.js';
import type { OpenImage } from '../images/image-files.js';
import { bytesOf } from '../images/pieces.js';
import type { LongReply } from './control-reply.js';
import { sendPieces } from './send-pieces.js';

/** Writes what does not fit into one piece. */
export async function send(response: ServerResponse, reply: LongReply): Promise<void> {
  if (reply.kind === 'download') {
    await sendDownload(response, reply.download, reply.opened);
    return;
  }
  if (reply.kind === 'stream') {
    response.writeHead(200, { 'Content-Type': reply.type, 'Content-Length': reply.length });
    await pipeline(reply.stream, response).catch(() => undefined); // a client that has left gets no error
    return;
  }
  if (reply.etag !== undefined) response.setHeader('ETag', reply.etag);
  await sendPieces(response, reply.type, reply.pieces);
}

/** A client that stops reading, or leaves, ends the export; no error can reach it. */
async function sendDownload(
  response: ServerResponse,
  download: Download,
  { files, release }: OpenImage,
): Promise<void> {
  const [status, ...phrase] = download.status.split(' ');
  response.writeHead(Number(status), phrase.join(' '), Object.fromEntries(download.headers));
  const pieces = response.req.method === 'HEAD' ? [] : download.pieces;
  await pipeline(Readable.from(bytesOf(pieces, files)), response)
    .catch(() => undefined)
    .finally(release);
}
