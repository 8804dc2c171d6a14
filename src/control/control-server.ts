import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { InFlight } from '../concurrency/in-flight.js';
import { Fault } from '../errors.js';
import { ControlListener } from '../gate/control-listener.js';
import type { Credentials } from '../gate/gate.js';
import { GuestLog } from '../guest/guest-log.js';
import type { HandoverRequests } from '../handover/give.js';
import { type HandoverConnection, takeoverPath } from '../handover/protocol.js';
import { RequestCounts } from '../http/request-counts.js';
import type { LimitHits } from '../limits/limit-hits.js';
import type { Limits } from '../limits/limits.js';
import type { Log } from '../log.js';
import { type Answer, answerOf, errorAnswer, idleSeconds } from './answer.js';
import type { ControlEndpoint } from './control-endpoints.js';
import { type ControlReply, isLong } from './control-reply.js';
import { ControlRoutes, type Destination, urlOf } from './control-routes.js';
import { ControlSocket, type Readers } from './control-socket.js';
import { type EventStreams, webSocketVersion } from './event-stream.js';
import { asksForKnown, headWithoutUpgrade } from './ignored-upgrade.js';
import { DirectOutgoing, type Outgoing, ParsedOutgoing } from './outgoing.js';
import type { PlainRequest } from './plain-request.js';
import { hasLines, parseBody, readBody } from './read-body.js';

type Asked = Pick<IncomingMessage, 'method' | 'url'> | PlainRequest;

/** @throws Fault */
type Answers = () => ControlReply | Promise<ControlReply>;

/** The operators' socket: HTTP on connections whose peer the kernel has named. */
export class ControlServer {
  readonly requests: RequestCounts;
  readonly #server: Server;
  readonly #listeners: ControlListener[] = [];
  readonly #routes: ControlRoutes;
  readonly #sockets: EventStreams;
  readonly #handoverRequests: HandoverRequests;
  readonly #limits: Limits;
  readonly #groupIsAllowed: boolean;
  readonly #limitHits: LimitHits;
  /** bounded, since every user that may connect can cause these lines */
  readonly #log: GuestLog;
  readonly #inFlight = new InFlight();
  readonly #leave = (): void => this.#inFlight.leave();
  readonly #open = new Set<ControlSocket>();
  readonly #readers: Readers = {
    direct: (request, socket) => this.#direct(request, socket),
    parse: (socket) => this.#server.emit('connection', socket),
  };

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
    this.#routes = new ControlRoutes(endpoints);
    this.requests = new RequestCounts(endpoints, '200');
    this.#limits = limits;
    this.#groupIsAllowed = groupIsAllowed;
    this.#log = new GuestLog(log);
    this.#sockets = sockets;
    this.#handoverRequests = handoverRequests;
    this.#server = createServer({ requestTimeout: 0, keepAliveTimeout: idleSeconds * 1000 }, (request, response) =>
      this.#parsed(request, response),
    );
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
    for (const socket of this.#open) socket.closeDirect();
    return kept;
  }

  #connected(fd: number, peer: Credentials): void {
    const socket = new ControlSocket(fd, peer, this.#readers);
    if (!this.#groupIsAllowed && peer.uid !== 0 && peer.uid !== process.getuid?.()) {
      this.#log.warn({ ...peer }, 'operator refused');
      socket.destroy();
      return;
    }
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
  }

  #direct(request: PlainRequest, socket: ControlSocket): boolean {
    if (hasLines(request.headers)) return false;
    const { method, url } = request;
    const destination = this.#routes.find(method, url);
    if ('upload' in destination) return false;
    this.#inFlight.enter();
    socket.begin(this.#leave);
    const answers: Answers = () => {
      if ('fault' in destination) throw destination.fault;
      const { handler, parameters, query } = destination;
      const body = parseBody(request.body, this.#limits);
      return handler({ parameters, query, headers: request.headers, body, requestor: socket.requestor });
    };
    void this.#answer(request, destination, answers, new DirectOutgoing(socket));
    return true;
  }

  #parsed(request: IncomingMessage, response: ServerResponse): void {
    const socket = request.socket as ControlSocket;
    socket.asked(response);
    response.once('close', this.#inFlight.begin()); // its answer is with the kernel then
    const { method = 'GET', url = '/', headers } = request;
    const { requestor } = socket;
    const destination = this.#routes.find(method === 'HEAD' ? 'GET' : method, url);
    const answers: Answers = async () => {
      if ('fault' in destination) throw destination.fault;
      if ('upload' in destination)
        return destination.upload({ ...destination, headers, body: undefined, requestor }, request);
      const body = await readBody(request, this.#limits);
      return destination.handler({ ...destination, headers, body, requestor });
    };
    void this.#answer(request, destination, answers, new ParsedOutgoing(request, response));
  }

  /** What is answered to a request, however it was read. */
  async #answer(asked: Asked, { endpoint }: Destination, answers: Answers, outgoing: Outgoing): Promise<void> {
    let status = 500;
    try {
      const reply = await answers();
      if (isLong(reply)) {
        status = await outgoing.stream(reply);
        return;
      }
      const answer = answerOf(reply);
      status = answer.status;
      outgoing.write(answer);
    } catch (error) {
      const answer = this.#failure(asked, error);
      status = answer.status;
      outgoing.write(answer);
    } finally {
      this.requests.add(endpoint, String(status));
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
      const url = urlOf(request.url ?? '/');
      if (url.pathname === takeoverPath) this.#handoverRequests.accept(request, socket, socket as ControlSocket);
      else this.#sockets.accept(url, request, socket, head);
      this.requests.add(url.pathname, '101');
    } catch (error) {
      const response = new ServerResponse(request);
      response.assignSocket(socket as ControlSocket);
      response.setHeader('Connection', 'close');
      if (error instanceof Fault && error.code === 'websocket-version')
        response.setHeader('Upgrade', 'websocket').setHeader('Sec-WebSocket-Version', webSocketVersion);
      response.on('finish', () => socket.end());
      new ParsedOutgoing(request, response).write(this.#failure(request, error));
    }
  }

  #failure({ method, url }: Asked, error: unknown): Answer {
    this.#limitHits.addFault(error);
    if (error instanceof Fault) return errorAnswer(error.status, error.message);
    this.#log.error({ err: error, method, path: url }, 'host request failed');
    return errorAnswer(500, 'Internal server error; the log of devlxd has the detail');
  }
}
