import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { userInfo } from 'node:os';
import { type Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Fault } from '../errors.js';
import { type Credentials, HostListener } from '../gate.js';
import type { Download } from '../images/download.js';
import type { OpenImage } from '../images/files.js';
import { bytesOf } from '../images/pieces.js';
import type { Requestor } from '../instances/changes.js';
import { exceeds, type Limits } from '../limits.js';
import type { Log } from '../log.js';
import type { HostEndpoint } from './endpoints.js';
import type { EventSockets } from './event-sockets.js';
import { Lines, linesType } from './lines.js';
import { asyncEnvelope, errorEnvelope, type HostReply, type HostRequest, syncEnvelope } from './reply.js';

interface Match {
  readonly endpoint: HostEndpoint;
  readonly parameters: Record<string, string>;
}

/** A connection, and who has opened it, as LXD says it of its own socket. */
class OperatorSocket extends Socket {
  readonly requestor: Requestor;

  constructor(fd: number, { uid }: Credentials) {
    super({ fd, readable: true, writable: true });
    this.requestor = {
      username: uid === process.getuid?.() ? ownName() : `uid=${uid}`,
      protocol: 'unix',
      address: '@',
    };
  }
}

function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid=${process.getuid?.()}`; // it has no line in /etc/passwd
  }
}

/** The operators' socket: HTTP on connections whose peer the kernel has named. */
export class HostServer {
  readonly #server: Server;
  readonly #listener: HostListener;
  readonly #endpoints: readonly HostEndpoint[];
  readonly #sockets: EventSockets;
  readonly #limits: Limits;
  readonly #groupIsAllowed: boolean;
  readonly #log: Log;

  /** groupIsAllowed: the socket's mode lets a group in, so its permissions decide, and not the uid alone */
  constructor(
    endpoints: readonly HostEndpoint[],
    sockets: EventSockets,
    limits: Limits,
    groupIsAllowed: boolean,
    log: Log,
  ) {
    this.#endpoints = endpoints;
    this.#limits = limits;
    this.#groupIsAllowed = groupIsAllowed;
    this.#log = log;
    this.#sockets = sockets;
    this.#server = createServer({ requestTimeout: 0 }, (request, response) => void this.#handle(request, response));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#listener = new HostListener((fd, peer) => this.#connected(fd, peer));
  }

  /** fd: a listening Unix socket, the server's from here on. */
  run(fd: number): void {
    this.#server.emit('listening'); // from here on node:http keeps a list of connections, and their time limits
    this.#listener.listen(fd);
  }

  /** Requests that are being answered are; then everything is closed. */
  async stop(): Promise<void> {
    this.#listener.stop();
    this.#sockets.stop();
    this.#server.closeIdleConnections();
    await new Promise(setImmediate);
    this.#server.closeAllConnections();
  }

  #connected(fd: number, peer: Credentials): void {
    const socket = new OperatorSocket(fd, peer);
    if (!this.#groupIsAllowed && peer.uid !== 0 && peer.uid !== process.getuid?.()) {
      this.#log.warn({ ...peer }, 'operator refused');
      socket.destroy();
      return;
    }
    this.#server.emit('connection', socket);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await send(response, await this.#answer(request));
    } catch (error) {
      this.#sendError(request, response, error);
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined); // it closes, which is what counts
    try {
      this.#sockets.accept(new URL(request.url ?? '/', 'http://devlxd'), request, socket, head);
    } catch (error) {
      const response = new ServerResponse(request);
      response.assignSocket(socket as Socket);
      response.setHeader('Connection', 'close');
      response.on('finish', () => socket.end());
      this.#sendError(request, response, error);
    }
  }

  async #answer(request: IncomingMessage): Promise<HostReply> {
    const url = new URL(request.url ?? '/', 'http://devlxd');
    const match = this.#find(url.pathname);
    if (match === undefined)
      throw new Fault('not-found', `devlxd has no "${url.pathname}"; its part of LXD's API is in docs/host-api.md`);
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
    const handler = match.endpoint.methods[method];
    if (handler === undefined)
      throw new Fault('not-implemented', `devlxd has no ${request.method} of "${url.pathname}"`);
    const reads = match.endpoint.upload === undefined || method !== 'POST';
    const body = reads ? await this.#body(request) : undefined;
    const asked: HostRequest = {
      parameters: match.parameters,
      query: url.searchParams,
      headers: request.headers,
      body,
      incoming: request,
      requestor: (request.socket as OperatorSocket).requestor,
    };
    return handler(asked);
  }

  async #body(request: IncomingMessage): Promise<unknown> {
    const text = await readBody(request, this.#limits['host-body']);
    return request.headers['content-type'] === linesType ? new Lines(text) : parseJson(text);
  }

  #find(path: string): Match | undefined {
    const segments = path.split('/');
    if (segments.length > 2 && segments.at(-1) === '') segments.pop();
    for (const endpoint of this.#endpoints) {
      const parameters = matchOf(endpoint.path.split('/'), segments);
      if (parameters !== undefined) return { endpoint, parameters };
    }
    return undefined;
  }

  #sendError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const expected = error instanceof Fault;
    if (!expected) this.#log.error({ err: error, method: request.method, path: request.url }, 'host request failed');
    if (response.headersSent) return;
    const status = expected ? error.status : 500;
    const sentence = expected ? error.message : 'Internal server error; the log of devlxd has the detail';
    // The rest of what is not read must not be taken for the next request.
    if (!request.complete) response.setHeader('Connection', 'close');
    write(response, status, errorEnvelope(status, sentence));
  }
}

function matchOf(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? '';
    if (part.startsWith('{')) parameters[part.slice(1, -1)] = decode(segment);
    else if (part !== segment) return undefined;
  }
  return parameters;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Fault('invalid-value', `"${segment}" in the path is not percent-encoded text`);
  }
}

async function readBody(request: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (exceeds(limit, length)) {
      throw new Fault('body-too-large', `The body is longer than ${limit} bytes (--limit-host-body)`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Fault('invalid-value', `The body is not JSON: ${(error as Error).message}`);
  }
}

async function send(response: ServerResponse, reply: HostReply): Promise<void> {
  if (reply.kind === 'download') {
    await sendDownload(response, reply.download, reply.opened);
    return;
  }
  if (reply.kind === 'async') {
    response.setHeader('Location', `/1.0/operations/${reply.operation.id}`);
    write(response, 202, asyncEnvelope(reply.operation));
    return;
  }
  if (reply.etag !== undefined) response.setHeader('ETag', reply.etag);
  if (reply.location !== undefined) response.setHeader('Location', reply.location);
  write(response, reply.location === undefined ? 200 : 201, syncEnvelope(reply.metadata));
}

/** An operator who stops reading, or leaves, ends the export; there is nobody to tell. */
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

function write(response: ServerResponse, status: number, envelope: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(`${JSON.stringify(envelope)}\n`);
}
