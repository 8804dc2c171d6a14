import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type Caller, type Gate, slotOf } from '../gate/gate.js';
import type { Conditions } from '../images/download.js';
import type { RawConnection } from '../images/transmit.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { LimitHits } from '../limits/limit-hits.js';
import { exceeds, type Limits } from '../limits/limits.js';
import type { Instance } from '../model/instance.js';
import type { GuestDispatcher } from './dispatcher.js';
import type { Listeners } from './events/listeners.js';
import { ChunkListener } from './events/streams.js';
import type { GuestExchange, Opening } from './exchange.js';
import type { BodyReply } from './guest-reply.js';
import { hasConditions, type RequestSnapshot } from './route.js';
import type { SharedBuffers } from './shared-buffers.js';

/** Longer than a head or a body takes; the same as uWebSockets' own. */
const patienceMilliseconds = 10_000;
/** How often it is looked whether an instance that has used up its rate may ask again. */
const delayMilliseconds = 10;
/** Requests that may come on a connection while one is being answered. */
const mostAhead = 64;

/** What every exchange needs. */
interface ServerContext {
  readonly gate: Gate;
  readonly listeners: Listeners;
  readonly limits: Limits;
  readonly limitHits: LimitHits;
  readonly bytes: SharedBuffers;
}

/** A connection that came in here. */
interface Admitted {
  /** how the gate knows whose it is */
  readonly ticket: number;
  /** what its socket reads and writes */
  readonly fd: number;
  /** an image or events are sent on it */
  leased: boolean;
  /** requests that are not answered yet */
  waiting: number;
  /** until the last of them is */
  answered: Promise<void>;
}

const options = { requireHostHeader: false, insecureHTTPParser: true, connectionsCheckingInterval: 1000 };

/**
 * Where the few requests come in that uWebSockets' parser refuses: absolute-form targets, HTTP/1.0, no Host, bare line
 * feeds. Slower, and served at the same dispatcher. A connection that began odd stays here.
 */
export class FallbackServer {
  readonly #context: ServerContext;
  readonly #dispatcher: GuestDispatcher;
  readonly #running: RunningInstances;
  readonly #server: Server;
  readonly #admitted = new Map<Socket, Admitted>();

  constructor(
    gate: Gate,
    dispatcher: GuestDispatcher,
    running: RunningInstances,
    listeners: Listeners,
    limits: Limits,
  ) {
    this.#context = { gate, listeners, limits, limitHits: dispatcher.limitHits, bytes: dispatcher.bytes };
    this.#dispatcher = dispatcher;
    this.#running = running;
    this.#server = createServer(options, (request, response) => {
      this.#receive(request, response);
    });
    this.#server.headersTimeout = patienceMilliseconds;
    this.#server.requestTimeout = patienceMilliseconds;
    this.#server.keepAliveTimeout = patienceMilliseconds;
  }

  run(): void {
    this.#server.emit('listening'); // from here on node:http keeps a list of connections, and their time limits
    this.#running.on('stopped', () => this.#closeStopped());
  }

  /** What has been answered is; images and events go on until `close`. */
  stop(): void {
    for (const [socket, { leased }] of this.#admitted) if (!leased) socket.destroySoon();
  }

  close(): void {
    for (const socket of this.#admitted.keys()) socket.destroySoon();
  }

  /** A connection from the gate: its descriptor, ours from here on, and what has been read of it. */
  admit(fd: number, data: Buffer, ticket: number): void {
    const socket = new Socket({ fd, readable: true, writable: true });
    this.#admitted.set(socket, { ticket, fd, leased: false, waiting: 0, answered: Promise.resolve() });
    socket.on('error', () => undefined); // 'close' follows and is what counts
    socket.on('close', () => {
      this.#admitted.delete(socket);
      this.#context.gate.forget(ticket);
    });
    socket.unshift(data);
    this.#server.emit('connection', socket);
  }

  /** One after the other: node:http would begin with all that have come. */
  #receive(request: IncomingMessage, response: ServerResponse): void {
    const admitted = this.#admitted.get(request.socket);
    if (admitted === undefined || request.socket.destroyed) return;
    if (admitted.waiting++ > mostAhead) {
      this.#context.limitHits.add('sent-ahead', this.#instanceOf(admitted)?.id);
      request.socket.destroy();
      return;
    }
    admitted.answered = admitted.answered.then(() => this.#answer(admitted, request, response));
  }

  /** Until the answer is with the kernel. Never throws. */
  async #answer(admitted: Admitted, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    socket.setTimeout(0); // until there is an answer to be read
    const body = await readBody(request, this.#context.limits['guest-body']).catch(() => undefined);
    while (!socket.destroyed && !this.#context.gate.mayAsk(admitted.ticket)) await pause(delayMilliseconds);
    if (socket.destroyed) return;
    const read = new Promise((resolve) => response.on('close', resolve));
    const exchange = new NodeExchange(this.#context, admitted, snapshotOf(request, body), response);
    if (body !== undefined) this.#dispatcher.receive(exchange);
    else {
      this.#dispatcher.refuseBody(exchange);
    }
    await read;
    admitted.waiting--;
  }

  #instanceOf({ ticket }: Admitted): Instance | undefined {
    const caller = this.#context.gate.callerOfTicket(ticket);
    return caller < 0 ? undefined : this.#running.at(slotOf(caller));
  }

  /** The gate closes what uWebSockets serves; these are ours to close. */
  #closeStopped(): void {
    for (const [socket, { ticket }] of this.#admitted) {
      const caller = this.#context.gate.callerOfTicket(ticket);
      if (caller >= 0 && this.#running.at(slotOf(caller)) === undefined) socket.destroySoon();
    }
  }
}

/** A request of node:http. */
class NodeExchange implements GuestExchange {
  readonly snapshot: RequestSnapshot;
  readonly #context: ServerContext;
  readonly #admitted: Admitted;
  readonly #response: ServerResponse;

  constructor(context: ServerContext, admitted: Admitted, snapshot: RequestSnapshot, response: ServerResponse) {
    this.#context = context;
    this.#admitted = admitted;
    this.snapshot = snapshot;
    this.#response = response;
  }

  get aborted(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  get bodyLength(): number {
    return 0; // it has been read
  }

  readBody(_: number, done: () => void): void {
    done();
  }

  get chunks(): boolean {
    return this.#response.req.httpVersion !== '1.0';
  }

  caller(): Caller {
    return this.#context.gate.callerOfTicket(this.#admitted.ticket);
  }

  credentials(): undefined {
    return undefined;
  }

  watch(): void {
    // Node's responses may be written to at any time, also when they are gone.
  }

  later(write: () => void, failed: (error: unknown) => void): void {
    try {
      write();
    } catch (error) {
      failed(error);
    }
  }

  write(reply: BodyReply): void {
    const length = Buffer.byteLength(reply.body);
    const nosniff = reply.status !== '200 OK' ? { 'X-Content-Type-Options': 'nosniff' } : {};
    const [status, ...phrase] = reply.status.split(' ');
    this.#response.writeHead(Number(status), phrase.join(' '), {
      'Content-Type': reply.type,
      ...nosniff,
      ...(reply.closes ? { Connection: 'close' } : {}),
      'Content-Length': length,
    });
    this.#response.setTimeout(patienceMilliseconds); // of a reader who reads nothing
    this.#response.end(this.#context.bytes.of(reply.body));
  }

  takeConnection(): RawConnection | undefined {
    const { socket } = this.#response;
    if (socket === null) return undefined;
    this.#admitted.leased = true;
    // The server would end a connection whose client says that there is nothing else to come.
    socket.removeAllListeners('end');
    socket.allowHalfOpen = true;
    return { socket, fd: this.#admitted.fd };
  }

  stream({ instanceId, types, missed }: Opening): void {
    this.#admitted.leased = true;
    const { limits, limitHits } = this.#context;
    const dropped = (): void => limitHits.add('event-backlog', instanceId);
    const listener = new ChunkListener(this.#response, types, limits, dropped);
    for (const event of missed) listener.send(event);
    this.#context.listeners.add(instanceId, listener);
    this.#response.on('close', () => this.#context.listeners.remove(instanceId, listener));
  }
}

/** The target's path and query, whichever form it has (RFC 9112, 3.2). */
function snapshotOf(request: IncomingMessage, body = ''): RequestSnapshot {
  const target = (request.url ?? '').replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '') || '/';
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  return {
    method: request.method ?? 'GET',
    path: path || '/',
    query: mark < 0 ? '' : target.slice(mark + 1),
    body,
    conditions: hasConditions(path) ? conditionsOf(request) : undefined,
  };
}

function conditionsOf({ headers }: IncomingMessage): Conditions {
  return {
    range: headers.range ?? '',
    ifRange: String(headers['if-range'] ?? ''),
    ifNoneMatch: headers['if-none-match'] ?? '',
  };
}

/** undefined: longer than the limit. */
async function readBody(request: IncomingMessage, limit: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (exceeds(limit, length)) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
