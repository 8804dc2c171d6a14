import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from 'uWebSockets.js';
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { InFlight } from '../concurrency/in-flight.js';
import type { Caller, Credentials, Gate } from '../gate/gate.js';
import { createApp, type GuestApp } from '../gate/uws-app.js';
import type { Conditions } from '../images/download.js';
import type { RawConnection } from '../images/transmit.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { LimitHits } from '../limits/limit-hits.js';
import { exceeds, type Limits } from '../limits/limits.js';
import type { GuestDispatcher } from './dispatcher.js';
import { closeCodes, type Listeners } from './events/listeners.js';
import { Pinger } from './events/ping.js';
import { type SocketData, StreamListener, WebSocketListener } from './events/streams.js';
import type { GuestExchange, Opening } from './exchange.js';
import { errors } from './guest-errors.js';
import type { BodyReply } from './guest-reply.js';
import { hasConditions, type RequestSnapshot } from './route.js';
import type { SharedBuffers } from './shared-buffers.js';

/** A WebSocket upgrade as the client snapshot for it, copied out of the request. */
interface Upgrade {
  readonly key: string;
  readonly protocol: string;
  readonly extensions: string;
  readonly context: us_socket_context_t;
}

/** Between two looks at the connections that are still open when the daemon stops. */
const lookMilliseconds = 10;

/** What every exchange needs; one object, since there is one exchange a request. */
interface ServerContext {
  readonly gate: Gate;
  readonly listeners: Listeners;
  readonly limits: Limits;
  readonly inFlight: InFlight;
  readonly limitHits: LimitHits;
  readonly bytes: SharedBuffers;
}

/**
 * Where nearly all requests come in: through uWebSockets. docs/native-lifecycle.md has the rules that this file keeps.
 */
export class UwsServer {
  readonly #context: ServerContext;
  readonly #dispatcher: GuestDispatcher;
  readonly #running: RunningInstances;
  readonly #pinger: Pinger;
  #app: GuestApp | undefined;

  constructor(
    gate: Gate,
    dispatcher: GuestDispatcher,
    running: RunningInstances,
    listeners: Listeners,
    limits: Limits,
  ) {
    this.#context = {
      gate,
      listeners,
      limits,
      inFlight: dispatcher.inFlight,
      limitHits: dispatcher.limitHits,
      bytes: dispatcher.bytes,
    };
    this.#dispatcher = dispatcher;
    this.#running = running;
    this.#pinger = new Pinger(limits);
  }

  /** Builds the app and makes it the one that the gate fills. */
  async run(): Promise<void> {
    this.#app = await createApp(this.#context.gate, (app) =>
      app
        .ws<SocketData>('/1.0/events', {
          idleTimeout: 0, // the pinger does it, with as many pings as the protocol wants
          sendPingsAutomatically: false,
          maxPayloadLength: 1024, // guests have nothing to say here
          maxBackpressure: 0, // the listener looks itself: this could not change any more
          upgrade: (response, request, context) => this.#receive(response, request, context),
          open: (socket) => this.#opened(socket),
          pong: (socket) => socket.getUserData().listener?.answered(),
          close: (socket) => this.#closed(socket),
        })
        .any('/*', (response, request) => this.#receive(response, request)),
    );
    this.#pinger.run();
    this.#running.on('stopped', (instance) =>
      this.#context.listeners.end(instance.id, closeCodes.goingAway, 'the instance was stopped'),
    );
  }

  limitsChanged(): void {
    this.#pinger.run();
  }

  /** Tells every listener that the daemon goes. */
  stop(): void {
    this.#pinger.stop();
    this.#context.listeners.endAll(closeCodes.restart, 'devlxd is stopping');
  }

  /** Closes connections as their answers have been read, and at last all that are open. */
  async linger(): Promise<void> {
    const { gate, listeners, limits } = this.#context;
    const seconds = limits['drain-seconds'];
    const deadline = seconds === 0 ? Number.POSITIVE_INFINITY : performance.now() + seconds * 1000;
    for (gate.part(false); gate.counters().connections > 0 && performance.now() < deadline; gate.part(false))
      await pause(lookMilliseconds);
    const left = gate.counters().connections;
    if (left > 0) this.#context.limitHits.add('drain-seconds', undefined, left);
    listeners.endAll(closeCodes.restart, 'devlxd is stopping'); // those who came by a connection that was open
    await new Promise(setImmediate); // the close frames go out first
    this.#app?.close();
  }

  #receive(response: HttpResponse, request: HttpRequest, context?: us_socket_context_t): void {
    const upgrade = context && upgradeOf(request, context);
    const exchange = new UwsExchange(this.#context, response, snapshotOf(request), upgrade);
    const { method } = exchange.snapshot;
    if (method === 'GET' || method === 'HEAD') this.#dispatcher.receive(exchange);
    else
      exchange.readBody(
        () => this.#dispatcher.receive(exchange),
        () => this.#dispatcher.refusedBody(exchange.caller()),
      );
  }

  #opened(socket: WebSocket<SocketData>): void {
    const data = socket.getUserData();
    const { limits, limitHits } = this.#context;
    data.listener = new WebSocketListener(socket, limits, (limit) => limitHits.add(limit, data.instanceId));
    for (const event of data.missed) data.listener.send(event);
    this.#context.listeners.add(data.instanceId, data.listener);
    this.#pinger.join(data.listener);
  }

  #closed(socket: WebSocket<SocketData>): void {
    const { instanceId, listener, slot } = socket.getUserData();
    if (listener !== undefined) {
      this.#pinger.leave(listener);
      listener.closed();
      this.#context.listeners.remove(instanceId, listener);
    }
    this.#context.gate.release(slot);
  }
}

/** A request of uWebSockets, with everything that it takes back when the handler returns copied out. */
class UwsExchange implements GuestExchange {
  snapshot: RequestSnapshot;
  aborted = false;
  readonly #context: ServerContext;
  readonly #response: HttpResponse;
  readonly #upgrade: Upgrade | undefined;

  constructor(context: ServerContext, response: HttpResponse, snapshot: RequestSnapshot, upgrade: Upgrade | undefined) {
    this.#context = context;
    this.#response = response;
    this.snapshot = snapshot;
    this.#upgrade = upgrade;
  }

  get chunks(): boolean {
    return true; // what is not HTTP/1.1 comes in by the other edge
  }

  caller(): Caller {
    return this.#context.gate.callerOf(this.#response);
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

  /** Reads the body to its end, or to the limit. */
  readBody(done: () => void, refused: () => void): void {
    const chunks: Buffer[] = [];
    let length = 0;
    const end = this.#context.inFlight.begin();
    this.watch(end);
    this.#response.onData((chunk, isLast) => {
      if (this.aborted) return;
      length += chunk.byteLength;
      if (exceeds(this.#context.limits['guest-body'], length)) {
        end();
        refused();
        this.#response.cork(() => this.#refuseBody());
        return;
      }
      chunks.push(Buffer.from(chunk.slice(0))); // uWebSockets takes chunk back
      if (!isLast) return;
      this.snapshot = { ...this.snapshot, body: Buffer.concat(chunks).toString('utf8') };
      this.#response.cork(done);
      end(); // what it asks for is under way by now
    });
  }

  write(reply: BodyReply): void {
    const response = this.#response;
    this.#keep(reply);
    if (reply.status !== '200 OK') response.writeStatus(reply.status); // uWebSockets' own, otherwise
    response.writeHeader('Content-Type', reply.type);
    if (reply.status !== '200 OK') response.writeHeader('X-Content-Type-Options', 'nosniff');
    if (this.snapshot.method === 'HEAD') {
      // endWithoutBody(length) counts the body that never comes as still missing, and uWebSockets ends the process.
      response.writeHeader('Content-Length', String(Buffer.byteLength(reply.body))).endWithoutBody();
    } else if (reply.closes) response.end(reply.body, true);
    else this.#end(reply.body);
  }

  stream({ instanceId, slot, types, missed }: Opening): void {
    const upgrade = this.#upgrade;
    if (upgrade !== undefined) {
      this.#context.gate.detach(this.#response); // the upgrade moves the socket: its caller goes along in SocketData
      const data: SocketData = { instanceId, slot, types, missed };
      this.#response.upgrade(data, upgrade.key, upgrade.protocol, upgrade.extensions, upgrade.context);
      return;
    }
    // uWebSockets cannot send the head of a response before its first chunk, and drops one that is silent for
    // 10 s; a stream of events is both. So it becomes a plain socket of Node's.
    const socket = this.takeConnection(slot)?.socket;
    if (socket === undefined) return;
    socket.allowHalfOpen = false; // a listener that says goodbye has gone
    const { limits, limitHits } = this.#context;
    const dropped = (): void => limitHits.add('event-backlog', instanceId);
    const listener = new StreamListener(socket, types, limits, dropped);
    for (const event of missed) listener.send(event);
    this.#context.listeners.add(instanceId, listener);
    socket.on('close', () => this.#context.listeners.remove(instanceId, listener));
  }

  takeConnection(slot: number): RawConnection | undefined {
    const fd = this.#context.gate.take(this.#response);
    this.#response.close();
    if (fd < 0) return undefined;
    // Half-open: who has snapshot may say that there is nothing else to come.
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    socket.on('close', () => this.#context.gate.release(slot));
    return { socket, fd };
  }

  /**
   * Not response.end(): when the reader has gone, or its buffer is full, that may forget the body, take the request
   * for one that was never answered, and end the process.
   */
  #end(body: string): void {
    const response = this.#response;
    const [, done] = response.tryEnd(body, Buffer.byteLength(body));
    if (done) return;
    const bytes = this.#context.bytes.of(body);
    this.watch();
    response.onWritable((offset) => {
      const [flushed] = response.tryEnd(bytes.subarray(offset), bytes.length);
      return flushed;
    });
  }

  /** Answers that depend on the instance alone hold until it changes; those about images do not. */
  #keep({ status, type, body }: BodyReply): void {
    const { method, conditions } = this.snapshot;
    if (method !== 'GET' || conditions !== undefined || status.startsWith('5')) return;
    const nosniff = status === '200 OK' ? '' : 'X-Content-Type-Options: nosniff\r\n';
    this.#context.gate.cacheResponse(this.#response, `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\n${nosniff}`, body);
  }

  /** Answers and closes: what is still to come of the request is not read. */
  #refuseBody(): void {
    this.aborted = true;
    const { status, type, body } = errors.bodyTooLarge;
    this.#response.writeStatus(status).writeHeader('Content-Type', type).end(body, true);
  }
}

function snapshotOf(request: HttpRequest): RequestSnapshot {
  const path = request.getUrl();
  return {
    method: request.getCaseSensitiveMethod(),
    path,
    query: request.getQuery(),
    body: '',
    conditions: hasConditions(path) ? conditionsOf(request) : undefined,
  };
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
    protocol: request.getHeader('sec-websocket-protocol'),
    extensions: request.getHeader('sec-websocket-extensions'),
    context,
  };
}
