import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import type { Download } from '../images/download.js';
import type { OpenImage } from '../images/image-files.js';
import { bytesOf } from '../images/pieces.js';
import { asyncEnvelope, type ControlReply, syncEnvelope } from './control-reply.js';
import { sendPieces } from './send-pieces.js';

/** Writes what a handler has answered. */
export async function send(response: ServerResponse, reply: ControlReply): Promise<void> {
  if (reply.kind === 'download') {
    await sendDownload(response, reply.download, reply.opened);
    return;
  }
  if (reply.kind === 'text') {
    if (reply.etag !== undefined) response.setHeader('ETag', reply.etag);
    writeText(response, 200, reply.type, reply.text);
    return;
  }
  if (reply.kind === 'stream') {
    response.writeHead(200, { 'Content-Type': reply.type, 'Content-Length': reply.length });
    await pipeline(reply.stream, response).catch(() => undefined); // a client that has left gets no error
    return;
  }
  if (reply.kind === 'async') {
    response.setHeader('Location', `/1.0/operations/${reply.operation.id}`);
    write(response, 202, asyncEnvelope(reply.operation));
    return;
  }
  if (reply.etag !== undefined) response.setHeader('ETag', reply.etag);
  if (reply.kind === 'pieces') {
    await sendPieces(response, reply.type, reply.pieces);
    return;
  }
  if (reply.location !== undefined) response.setHeader('Location', reply.location);
  write(response, reply.location === undefined ? 200 : 201, syncEnvelope(reply.metadata));
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

/** Writes an envelope. */
export function write(response: ServerResponse, status: number, envelope: object): void {
  writeText(response, status, 'application/json', `${JSON.stringify(envelope)}\n`);
}

/** With its length, so that head and body are one write, and no chunks. */
function writeText(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

/** How long what is refused may go on coming. */
const refusedMilliseconds = 2000;

/**
 * Writes an envelope before all of the request has come. The rest of it must not be taken for the next request, so
 * the connection is closed; but not at once, because what is sent into a closed one costs the sender the answer.
 */
export async function writeEarly(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  envelope: object,
): Promise<void> {
  const text = `${JSON.stringify(envelope)}\n`;
  const length = Buffer.byteLength(text);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': length, Connection: 'close' });
  response.write(text);
  const signal = AbortSignal.timeout(refusedMilliseconds);
  await finished(request.resume(), { signal }).catch(() => undefined);
  response.end();
}
