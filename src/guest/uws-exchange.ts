import type { HttpRequest, HttpResponse, us_socket_context_t } from 'uWebSockets.js';
import { Socket } from 'node:net';
import type { InFlight } from '../concurrency/in-flight.js';
import { type Caller, type HttpVersion, httpVersionOf, slotOf } from '../gate/caller.js';
import type { Credentials, Gate } from '../gate/gate.js';
import { endWithText, type KeptText, textOrBytes } from '../gate/send-text.js';
import type { Conditions } from '../images/download.js';
import type { RawConnection } from '../images/transmit.js';
import type { LimitHits } from '../limits/limit-hits.js';
import { exceeds, type Limits } from '../limits/limits.js';
import type { Listeners } from './events/listeners.js';
import { StreamListener } from './events/stream-listener.js';
import type { UnreadTotal } from './events/unread-events.js';
import type { SocketData } from './events/websocket-listener.js';
import type { GuestExchange, Opening } from './exchange.js';
import { type BodyReply, dependsOnInstanceAlone, headOf } from './guest-reply.js';
import type { MemoryShares } from './memory-shares.js';
import { RequestBody } from './request-body.js';
import { hasConditions, type RequestSnapshot } from './route.js';
import type { UnreadAnswers } from './unread-answers.js';
import { tokens, tokensOfResponse } from './work.js';

/** A WebSocket upgrade as its client asks for it: copied out of the request, which is gone after the handler returns. */
interface Upgrade {
  readonly key: string;
  readonly version: string;
  readonly extensions: string;
  readonly context: us_socket_context_t;
}

/** The only one there is (RFC 6455, 4.2.1). */
const webSocketVersion = '13';
/** An id that no instance has. */
const noInstance = 0;
/** Of the subprotocols that a client names, this server speaks none. */
const noProtocol = '';

/** What every exchange needs: one object, because each request makes an exchange. */
export interface ServerContext {
  readonly gate: Gate;
  readonly listeners: Listeners;
  readonly limits: Limits;
  readonly inFlight: InFlight;
  readonly limitHits: LimitHits;
  readonly bodies: MemoryShares;
  readonly answers: UnreadAnswers;
  readonly instanceIdOf: (caller: Caller | undefined) => number | undefined;
  readonly unread: UnreadTotal;
}

/** A request of uWebSockets, with everything that it takes back when the handler returns copied out. */
export class UwsExchange implements GuestExchange {
  snapshot: RequestSnapshot;
  readonly bodyLength: number | undefined;
  aborted = false;
  readonly #expects: boolean;
  readonly #context: ServerContext;
  readonly #response: HttpResponse;
  readonly #upgrade: Upgrade | undefined;
  #version: HttpVersion = '1.1';
  #caller: Caller | undefined;

  constructor(
    context: ServerContext,
    response: HttpResponse,
    request: HttpRequest,
    socketContext: us_socket_context_t | undefined,
  ) {
    this.#context = context;
    this.#response = response;
    this.snapshot = snapshotOf(request);
    this.bodyLength = bodyLengthOf(request);
    this.#expects = this.bodyLength !== 0 && request.getHeader('expect') !== '';
    this.#upgrade = socketContext && upgradeOf(request, socketContext);
  }

  get chunks(): boolean {
    return this.#version === '1.1';
  }

  caller(): Caller {
    const caller = this.#context.gate.beginRequest(this.#response);
    this.#version = httpVersionOf(caller);
    this.#caller = caller;
    return caller;
  }

  charge(tokens: number): void {
    if (tokens > 0 && this.#caller !== undefined && this.#caller >= 0)
      this.#context.gate.charge(slotOf(this.#caller), tokens);
  }

  credentials(): Credentials | undefined {
    return this.#context.gate.credentialsOf(this.#response);
  }

  watch(gone?: () => void): void {
    this.#response.onAborted(() => {
      this.aborted = true;
      gone?.();
    });
  }

  /** Outside a handler nothing of uWebSockets corks writes, or keeps what is thrown from ending the process. */
  later(write: () => void, failed: (error: unknown) => void): void {
    this.#response.cork(() => {
      try {
        write();
      } catch (error) {
        failed(error);
      }
    });
  }

  /** A body of no bytes may never be said to have come: it is not waited for. */
  readBody(instanceId: number, done: () => void, tooLong: () => void): void {
    const { inFlight, limits, bodies } = this.#context;
    const read = (text: string): void => {
      this.snapshot = { ...this.snapshot, body: text };
      done();
    };
    if (this.bodyLength === 0) {
      read('');
      return;
    }
    const body = new RequestBody(bodies, instanceId, () => this.#response.close());
    const underWay = inFlight.begin();
    const end = (): void => {
      body.end();
      underWay();
    };
    this.watch(end);
    this.#response.onData((chunk, isLast) => {
      if (this.aborted) return;
      const fits = body.add(new Uint8Array(chunk), limits['guest-body']);
      if (fits && !isLast) return;
      this.#response.cork(() => (fits ? read(body.text) : tooLong()));
      end(); // its request is in flight
    });
  }

  write(reply: BodyReply, kind: number): void {
    const response = this.#response;
    this.#give(reply, kind);
    if (this.snapshot.method !== 'HEAD') this.charge(tokensOfResponse(reply.body.length));
    if (reply.status !== '200 OK') response.writeStatus(reply.status); // uWebSockets' own, otherwise
    response.writeHeader('Content-Type', reply.type);
    if (reply.status !== '200 OK') response.writeHeader('X-Content-Type-Options', 'nosniff');
    if (this.#version === '1.0, kept alive') response.writeHeader('Connection', 'keep-alive');
    if (this.snapshot.method === 'HEAD') {
      // endWithoutBody(length) counts the body that never comes as still missing, and uWebSockets ends the process.
      if (!reply.endless) response.writeHeader('Content-Length', String(Buffer.byteLength(reply.body)));
      response.endWithoutBody();
    } else if (reply.closes || this.#leavesBody()) {
      this.aborted = true; // whatever comes of its body is not looked at
      response.end(textOrBytes(reply.body), true);
    } else endWithText(response, reply.body, () => this.#keep(reply.body));
  }

  #keep(text: string): KeptText {
    const { answers, instanceIdOf } = this.#context;
    const kept = answers.keep(instanceIdOf(this.#caller) ?? noInstance, text, () => this.#response.close());
    this.watch(kept.free);
    return kept;
  }

  stream({ instanceId, slot, types, missed }: Opening): void {
    this.charge(tokens.listener);
    const upgrade = this.#upgrade;
    if (upgrade !== undefined) {
      if (upgrade.version !== webSocketVersion) {
        this.#refuseVersion();
        return;
      }
      const fd = this.#context.gate.detach(this.#response); // the upgrade moves the socket: its caller goes along in SocketData
      const data: SocketData = { instanceId, slot, fd, types, missed };
      this.#response.upgrade(data, upgrade.key, noProtocol, upgrade.extensions, upgrade.context);
      return;
    }
    // uWebSockets cannot send the head of a response before its first chunk, and drops one that is silent for
    // 10 s; a stream of events is both. So it becomes a plain socket of Node's.
    const socket = this.takeConnection(slot)?.socket;
    if (socket === undefined) return;
    socket.allowHalfOpen = false; // a listener that says goodbye has gone
    const { listeners, unread } = this.#context;
    const listener = new StreamListener(socket, types, this.chunks, unread.of(instanceId));
    if (missed.every((event) => listener.send(event))) listeners.add(instanceId, listener);
    socket.on('close', () => listeners.remove(instanceId, listener));
  }

  /** RFC 6455, 4.4 */
  #refuseVersion(): void {
    this.#context.gate.responseGiven(this.#response);
    this.#response
      .writeStatus('426 Upgrade Required')
      .writeHeader('Content-Type', 'text/plain; charset=utf-8')
      .writeHeader('Sec-WebSocket-Version', webSocketVersion)
      .writeHeader('Upgrade', 'websocket')
      .end('Upgrade Required\n');
  }

  takeConnection(slot: number): RawConnection | undefined {
    const fd = this.#context.gate.take(this.#response);
    this.#response.close();
    if (fd < 0) return undefined;
    // Half-open: the client may say that nothing else is to come, and still read.
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    socket.on('close', () => this.#context.gate.release(slot));
    return { socket, fd };
  }

  /** Answers that depend on the instance alone hold until it changes; answers about images do not. */
  #give(reply: BodyReply, kind: number): void {
    const { gate } = this.#context;
    const { method, conditions } = this.snapshot;
    if (method === 'GET' && conditions === undefined && dependsOnInstanceAlone(reply))
      gate.responseGiven(this.#response, headOf(reply), reply.body, kind);
    else gate.responseGiven(this.#response);
  }

  /**
   * Is it answered before its body has come, and is that more than uWebSockets should read past? A client that waits
   * for "100 Continue" may not send it at all, so that the next request would be taken for it.
   */
  #leavesBody(): boolean {
    if (this.snapshot.body !== undefined) return false;
    const length = this.bodyLength;
    return length === undefined || exceeds(this.#context.limits['guest-body'], length) || this.#expects;
  }
}

function snapshotOf(request: HttpRequest): RequestSnapshot {
  const path = request.getUrl();
  return {
    method: request.getCaseSensitiveMethod(),
    path,
    query: request.getQuery(),
    body: undefined,
    conditions: hasConditions(path) ? conditionsOf(request) : undefined,
  };
}

function bodyLengthOf(request: HttpRequest): number | undefined {
  return request.getHeader('transfer-encoding') === '' ? Number(request.getHeader('content-length')) : undefined;
}

function conditionsOf(request: HttpRequest): Conditions {
  return {
    range: request.getHeader('range'),
    ifRange: request.getHeader('if-range'),
    ifNoneMatch: request.getHeader('if-none-match'),
  };
}

function upgradeOf(request: HttpRequest, context: us_socket_context_t): Upgrade {
  return {
    key: request.getHeader('sec-websocket-key'),
    version: request.getHeader('sec-websocket-version'),
    extensions: request.getHeader('sec-websocket-extensions'),
    context,
  };
}
