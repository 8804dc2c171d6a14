import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { InFlight } from '../concurrency/in-flight.js';
import { beyond, Fault, takeLimit } from '../errors.js';
import { ControlListener, type Credentials } from '../gate/gate.js';
import { type Successors, takeoverPath } from '../handover/give.js';
import type { HandoverConnection } from '../handover/protocol.js';
import type { LimitHits } from '../limits/limit-hits.js';
import { exceeds, type Limits } from '../limits/limits.js';
import type { Log } from '../log.js';
import { noEndpoint, RequestCounts } from '../metrics/request-counts.js';
import type { ControlEndpoint } from './control-endpoints.js';
import { type ControlReply, type ControlRequest, errorEnvelope } from './control-reply.js';
import { ControlSocket } from './control-socket.js';
import type { EventStreams } from './event-stream.js';
import { Lines, linesType } from './ndjson.js';
import { send, write, writeEarly } from './send-reply.js';

/** The operators' socket: HTTP on connections whose peer the kernel has named. */
export class ControlServer {
  readonly requests = new RequestCounts();
  readonly #server: Server;
  readonly #listener: ControlListener;
  readonly #endpoints: readonly ControlEndpoint[];
  readonly #sockets: EventStreams;
  readonly #successors: Successors;
  readonly #limits: Limits;
  readonly #groupIsAllowed: boolean;
  readonly #limitHits: LimitHits;
  readonly #log: Log;
  readonly #inFlight = new InFlight();
  readonly #open = new Set<ControlSocket>();

  /** groupIsAllowed: the socket's mode lets a group in, so its permissions decide, and not the uid alone */
  constructor(
    endpoints: readonly ControlEndpoint[],
    sockets: EventStreams,
    successors: Successors,
    limits: Limits,
    groupIsAllowed: boolean,
    log: Log,
    limitHits: LimitHits,
  ) {
    this.#limitHits = limitHits;
    this.#endpoints = endpoints;
    this.#limits = limits;
    this.#groupIsAllowed = groupIsAllowed;
    this.#log = log;
    this.#sockets = sockets;
    this.#successors = successors;
    this.#server = createServer({ requestTimeout: 0 }, (request, response) => void this.#handle(request, response));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#listener = new ControlListener((fd, peer) => this.#connected(fd, peer));
  }

  /** fd: a listening Unix socket, the server's from here on. */
  run(fd: number): void {
    this.#server.emit('listening'); // from here on node:http keeps a list of connections, and their time limits
    this.#listener.listen(fd);
  }

  /** Takes in a connection that another process has accepted. */
  admit(fd: number): void {
    this.#listener.admit(fd);
  }

  /** Requests that are being answered are; then idle connections are given away, and everything else is closed. */
  async stop(): Promise<HandoverConnection[]> {
    this.#listener.stop();
    await this.#inFlight.ended(this.#limits['drain-seconds']);
    const kept = [...this.#open].flatMap((socket): HandoverConnection[] => {
      const fd = socket.part();
      return fd === undefined ? [] : [{ fd, socket: 'control', caller: undefined }];
    });
    this.#sockets.stop();
    await new Promise(setImmediate);
    this.#server.closeAllConnections();
    return kept;
  }

  #connected(fd: number, peer: Credentials): void {
    const socket = new ControlSocket(fd, peer);
    if (!this.#groupIsAllowed && peer.uid !== 0 && peer.uid !== process.getuid?.()) {
      this.#log.warn({ ...peer }, 'operator refused');
      socket.destroy();
      return;
    }
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    this.#server.emit('connection', socket);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    (request.socket as ControlSocket).asked(response);
    this.#inFlight.add(once(response, 'close')); // its answer is with the kernel then
    try {
      await send(response, await this.#answer(request));
    } catch (error) {
      this.#sendError(request, response, error);
    } finally {
      this.#count(request, response);
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined); // it closes, which is what counts
    (socket as ControlSocket).upgraded();
    try {
      const url = urlOf(request);
      if (url.pathname === takeoverPath) this.#successors.accept(request, socket, socket as ControlSocket);
      else this.#sockets.accept(url, request, socket, head);
      this.requests.add(url.pathname, '101');
    } catch (error) {
      const response = new ServerResponse(request);
      response.assignSocket(socket as Socket);
      response.setHeader('Connection', 'close');
      response.on('finish', () => socket.end());
      this.#sendError(request, response, error);
    }
  }

  async #answer(request: IncomingMessage): Promise<ControlReply> {
    const url = urlOf(request);
    const endpoint = this.#find(url.pathname);
    if (endpoint === undefined)
      throw new Fault('not-found', `devlxd has no "${url.pathname}"; its part of LXD's API is in docs/host-api.md`);
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
    const handler = Object.hasOwn(endpoint.methods, method) ? endpoint.methods[method] : undefined;
    if (handler === undefined)
      throw new Fault('not-implemented', `devlxd has no ${request.method} of "${url.pathname}"`);
    const reads = endpoint.upload === undefined || method !== 'POST';
    const body = reads ? await this.#body(request) : undefined;
    const asked: ControlRequest = {
      parameters: parametersOf(endpoint, url.pathname),
      query: url.searchParams,
      headers: request.headers,
      body,
      incoming: request,
      requestor: (request.socket as ControlSocket).requestor,
    };
    return handler(asked);
  }

  #count({ url = '' }: IncomingMessage, { statusCode }: ServerResponse): void {
    const [path = ''] = url.split('?', 1);
    this.requests.add(this.#find(path)?.path ?? noEndpoint, String(statusCode));
  }

  async #body(request: IncomingMessage): Promise<unknown> {
    const text = await readBody(request, this.#limits['control-body']);
    const [type = ''] = (request.headers['content-type'] ?? '').split(';', 1); // charset: it is UTF-8 anyway
    return type.trim() === linesType ? new Lines(text) : parseJson(text);
  }

  #find(path: string): ControlEndpoint | undefined {
    const segments = segmentsOf(path);
    return this.#endpoints.find((endpoint) => fits(endpoint.path.split('/'), segments));
  }

  #sendError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const expected = error instanceof Fault;
    if (!expected) this.#log.error({ err: error, method: request.method, path: request.url }, 'host request failed');
    const limit = takeLimit(error);
    if (limit !== undefined) this.#limitHits.add(limit);
    if (response.headersSent) return;
    const status = expected ? error.status : 500;
    const sentence = expected ? error.message : 'Internal server error; the log of devlxd has the detail';
    if (request.complete) write(response, status, errorEnvelope(status, sentence));
    else void writeEarly(request, response, status, errorEnvelope(status, sentence));
  }
}

function urlOf({ url = '/' }: IncomingMessage): URL {
  const base = 'http://devlxd';
  if (!URL.canParse(url, base)) throw new Fault('invalid-value', `"${url}" is no path`);
  return new URL(url, base);
}

function segmentsOf(path: string): string[] {
  const segments = path.split('/');
  if (segments.length > 2 && segments.at(-1) === '') segments.pop();
  return segments;
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((part, index) => part.startsWith('{') || part === segments[index]);
}

/** The segments that stand for {names}. */
function parametersOf({ path: pattern }: ControlEndpoint, path: string): Record<string, string> {
  const segments = segmentsOf(path);
  const entries = pattern.split('/').flatMap((part, index) => {
    return part.startsWith('{') ? [[part.slice(1, -1), decode(segments[index] ?? '')]] : [];
  });
  return Object.fromEntries(entries);
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Fault('invalid-value', `"${segment}" in the path is not percent-encoded text`);
  }
}

/** By events: an asynchronous iterator costs as much as all the rest of a small request. */
function readBody(request: IncomingMessage, limit: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (!exceeds(limit, length)) {
        chunks.push(chunk);
        return;
      }
      request.removeAllListeners('data').pause();
      reject(
        beyond(
          'control-body',
          new Fault('body-too-large', `The body is longer than ${limit} bytes (--limit-control-body)`),
        ),
      );
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', reject);
  });
}

function parseJson(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Fault('invalid-value', `The body is not JSON: ${(error as Error).message}`);
  }
}
