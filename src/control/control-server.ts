import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { InFlight } from '../concurrency/in-flight.js';
import { Fault, invalid } from '../errors.js';
import { ControlListener } from '../gate/control-listener.js';
import type { Credentials } from '../gate/gate.js';
import { GuestLog } from '../guest/guest-log.js';
import type { HandoverRequests } from '../handover/give.js';
import { type HandoverConnection, takeoverPath } from '../handover/protocol.js';
import { percentDecode } from '../http/percent-decode.js';
import { lostKeyIn } from '../http/query-text.js';
import { noEndpoint, RequestCounts } from '../http/request-counts.js';
import { type Match, Routes } from '../http/routes.js';
import type { LimitHits } from '../limits/limit-hits.js';
import type { Limits } from '../limits/limits.js';
import type { Log } from '../log.js';
import type { ControlEndpoint } from './control-endpoints.js';
import { type ControlReply, type ControlRequest, errorEnvelope } from './control-reply.js';
import { ControlSocket } from './control-socket.js';
import { type EventStreams, webSocketVersion } from './event-stream.js';
import { asksForKnown, headWithoutUpgrade } from './ignored-upgrade.js';
import { readBody } from './read-body.js';
import { send, write, writeEarly } from './send-reply.js';

/** The operators' socket: HTTP on connections whose peer the kernel has named. */
export class ControlServer {
  readonly requests: RequestCounts;
  readonly #server: Server;
  readonly #listeners: ControlListener[] = [];
  readonly #routes: Routes<ControlEndpoint>;
  readonly #sockets: EventStreams;
  readonly #handoverRequests: HandoverRequests;
  readonly #limits: Limits;
  readonly #groupIsAllowed: boolean;
  readonly #limitHits: LimitHits;
  /** bounded, since every user that may connect can cause these lines */
  readonly #log: GuestLog;
  readonly #inFlight = new InFlight();
  readonly #open = new Set<ControlSocket>();

  /** groupIsAllowed: the socket's mode lets a group in, so its permissions decide, and not the uid alone */
  constructor(
    endpoints: readonly ControlEndpoint[],
    sockets: EventStreams,
    handoverRequests: HandoverRequests,
    limits: Limits,
    groupIsAllowed: boolean,
    log: Log,
    limitHits: LimitHits,
  ) {
    this.#limitHits = limitHits;
    this.#routes = new Routes(endpoints);
    this.requests = new RequestCounts(endpoints, '200');
    this.#limits = limits;
    this.#groupIsAllowed = groupIsAllowed;
    this.#log = new GuestLog(log);
    this.#sockets = sockets;
    this.#handoverRequests = handoverRequests;
    this.#server = createServer({ requestTimeout: 0 }, (request, response) => void this.#handle(request, response));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** fd: a listening Unix socket, the server's from here on. */
  run(fd: number): void {
    this.#server.emit('listening'); // from here on node:http keeps a list of connections, and their time limits
    this.listen(fd);
  }

  /** Accepts on one more listening socket, which belongs to the server from here on. */
  listen(fd: number): void {
    const listener = new ControlListener((accepted, peer) => this.#connected(accepted, peer));
    listener.listen(fd);
    this.#listeners.push(listener);
  }

  /** Takes in a connection that another process has accepted. */
  admit(fd: number): void {
    this.#listeners[0]?.admit(fd);
  }

  /** Requests that are being answered are; then idle connections are given away, and everything else is closed. */
  async stop(): Promise<HandoverConnection[]> {
    for (const listener of this.#listeners) listener.stop();
    await this.#inFlight.ended(this.#limits['drain-seconds']);
    const kept = [...this.#open].flatMap((socket): HandoverConnection[] => {
      const fd = socket.takeForHandover();
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
    response.once('close', this.#inFlight.begin()); // its answer is with the kernel then
    let endpoint = noEndpoint;
    try {
      const url = askedOf(request);
      const match = this.#routes.find(withoutTrailingSlash(url.pathname));
      endpoint = match?.endpoint.path ?? noEndpoint;
      await send(response, await this.#answer(request, url, match));
    } catch (error) {
      this.#sendError(request, response, error);
    } finally {
      this.requests.add(endpoint, String(response.statusCode));
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!asksForKnown(request)) {
      socket.unshift(Buffer.concat([headWithoutUpgrade(request), head]));
      this.#server.emit('connection', socket); // reads it once more, and nothing is left of the first time
      return;
    }
    socket.on('error', () => undefined); // it closes, which is what counts
    (socket as ControlSocket).upgraded();
    try {
      const url = urlOf(request);
      if (url.pathname === takeoverPath) this.#handoverRequests.accept(request, socket, socket as ControlSocket);
      else this.#sockets.accept(url, request, socket, head);
      this.requests.add(url.pathname, '101');
    } catch (error) {
      const response = new ServerResponse(request);
      response.assignSocket(socket as Socket);
      response.setHeader('Connection', 'close');
      if (error instanceof Fault && error.code === 'websocket-version')
        response.setHeader('Upgrade', 'websocket').setHeader('Sec-WebSocket-Version', webSocketVersion);
      response.on('finish', () => socket.end());
      this.#sendError(request, response, error);
    }
  }

  async #answer(
    request: IncomingMessage,
    url: Pick<URL, 'pathname' | 'searchParams'>,
    match: Match<ControlEndpoint> | undefined,
  ): Promise<ControlReply> {
    if (match === undefined)
      throw new Fault('not-found', `devlxd has no "${url.pathname}"; its part of LXD's API is in docs/host-api.md`);
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
    const handler = Object.hasOwn(match.endpoint.methods, method) ? match.endpoint.methods[method] : undefined;
    if (handler === undefined)
      throw new Fault('not-implemented', `devlxd has no ${request.method} of "${url.pathname}"`);
    const parameters = parametersOf(match);
    const reads = match.endpoint.upload === undefined || method !== 'POST';
    const body = reads ? await readBody(request, this.#limits) : undefined;
    const asked: ControlRequest = {
      parameters,
      query: url.searchParams,
      headers: request.headers,
      body,
      incoming: request,
      requestor: (request.socket as ControlSocket).requestor,
    };
    return handler(asked);
  }

  #sendError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const expected = error instanceof Fault;
    if (!expected) this.#log.error({ err: error, method: request.method, path: request.url }, 'host request failed');
    this.#limitHits.addFault(error);
    if (response.headersSent) {
      response.destroy(); // so that a part of an answer is not taken for all of it
      return;
    }
    const status = expected ? error.status : 500;
    const sentence = expected ? error.message : 'Internal server error; the log of devlxd has the detail';
    if (request.complete) write(response, status, errorEnvelope(status, sentence));
    else void writeEarly(request, response, status, errorEnvelope(status, sentence));
  }
}

/** Of these nothing has to be understood: what most ask is looked up as it is. */
const plainPath = /^\/1\.0(?:\/[\w-]+)*$/;

function askedOf(request: IncomingMessage): Pick<URL, 'pathname' | 'searchParams'> {
  const { url = '/' } = request;
  return plainPath.test(url) ? { pathname: url, searchParams: new URLSearchParams() } : urlOf(request);
}

function urlOf({ url = '/' }: IncomingMessage): URL {
  const parsed = URL.canParse(url, 'http://devlxd') ? new URL(url, 'http://devlxd') : undefined;
  if (parsed === undefined) throw new Fault('invalid-value', `"${url}" is no path`);
  const lost = lostKeyIn(parsed.search);
  if (lost !== undefined) throw invalid(lost, 'in the query is not UTF-8');
  return parsed;
}

function withoutTrailingSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

/** The segment of the path that stands for {name}. */
function parametersOf({ name, parameter }: Match<ControlEndpoint>): Record<string, string> {
  if (name === '') return {};
  const value = percentDecode(parameter);
  if (value === undefined) throw new Fault('invalid-value', `"${parameter}" in the path is not percent-encoded text`);
  return { [name]: value };
}
