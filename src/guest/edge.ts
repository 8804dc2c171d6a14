import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from 'uWebSockets.js';
import { Socket } from 'node:net';
import { type Caller, type Gate, isRoot, slotOf, stranger } from '../gate.js';
import type { EventType } from '../instances/events.js';
import type { Instance } from '../instances/model.js';
import type { Registry } from '../instances/registry.js';
import { exceeds, type Limits } from '../limits.js';
import type { Log } from '../log.js';
import type { Running } from '../running.js';
import { createApp, type GuestApp } from '../uws.js';
import { Heartbeat } from './heartbeat.js';
import { HeldRequests } from './held.js';
import { closeCodes, type Listeners } from './listeners.js';
import { type BodyReply, type ChangeReply, errors, errorType, type Reply } from './reply.js';
import { type Asked, answer } from './route.js';
import { type SocketData, StreamListener, WebSocketListener } from './streams.js';

/** A WebSocket upgrade as the client asked for it, copied out of the request. */
interface Upgrade {
  readonly key: string;
  readonly protocol: string;
  readonly extensions: string;
  readonly context: us_socket_context_t;
}

/** A request on its way, copied out of what uWebSockets takes back when the handler returns. */
interface Exchange {
  readonly response: HttpResponse;
  asked: Asked;
  readonly upgrade: Upgrade | undefined;
  /** the caller has gone: the response must not be touched */
  aborted: boolean;
}

/**
 * Where the API touches uWebSockets: finds out whose request it is, has it answered, writes the reply. No handler
 * sees an HttpResponse (docs/native-lifecycle.md has the rules that this file keeps).
 */
export class GuestEdge {
  readonly #gate: Gate;
  readonly #registry: Registry;
  readonly #running: Running;
  readonly #listeners: Listeners;
  readonly #limits: Limits;
  readonly #log: Log;
  readonly #held: HeldRequests;
  readonly #heartbeat: Heartbeat;
  #app: GuestApp | undefined;
  #requests = 0;

  constructor(gate: Gate, registry: Registry, running: Running, listeners: Listeners, limits: Limits, log: Log) {
    this.#gate = gate;
    this.#registry = registry;
    this.#running = running;
    this.#listeners = listeners;
    this.#limits = limits;
    this.#log = log;
    this.#held = new HeldRequests(limits['hold-seconds'], limits.strangers);
    this.#heartbeat = new Heartbeat(limits['ping-seconds']);
  }

  /** Builds the app and makes it the one that the gate fills. */
  async run(): Promise<void> {
    this.#app = await createApp(this.#gate, (app) =>
      app
        .ws<SocketData>('/1.0/events', {
          idleTimeout: 0, // the heartbeat does it, with as many pings as the protocol wants
          sendPingsAutomatically: false,
          maxPayloadLength: 1024, // guests have nothing to say here
          maxBackpressure: this.#limits['event-backlog'],
          upgrade: (response, request, context) => this.#receive(response, request, upgradeOf(request, context)),
          open: (socket) => this.#opened(socket),
          pong: (socket) => socket.getUserData().listener?.answered(),
          close: (socket) => this.#closed(socket),
        })
        .any('/*', (response, request) => this.#receive(response, request, undefined)),
    );
    this.#heartbeat.run();
    this.#running.on('started', () => this.#held.retryAll());
    this.#running.on('stopped', (instance) =>
      this.#listeners.end(instance.id, closeCodes.goingAway, 'the instance was stopped'),
    );
  }

  /** Tells every listener that the daemon goes, and closes what is open. */
  async stop(): Promise<void> {
    this.#heartbeat.stop();
    this.#held.giveUpAll();
    this.#listeners.endAll(closeCodes.restart, 'devlxd is stopping');
    await new Promise(setImmediate); // the close frames go out first
    this.#app?.close();
  }

  #receive(response: HttpResponse, request: HttpRequest, upgrade: Upgrade | undefined): void {
    const exchange: Exchange = { response, asked: askedOf(request), upgrade, aborted: false };
    try {
      if (hasBody(exchange.asked)) this.#receiveBody(exchange);
      else if (!this.#serve(exchange)) this.#hold(exchange);
    } catch (error) {
      this.#failed(exchange, error);
    }
  }

  /** Reads the body to its end, or to the limit, and serves then. */
  #receiveBody(exchange: Exchange): void {
    const chunks: Buffer[] = [];
    let length = 0;
    this.#watch(exchange);
    exchange.response.onData((chunk, isLast) => {
      length += chunk.byteLength;
      if (exceeds(this.#limits['guest-body'], length)) {
        if (!exchange.aborted) this.#inCork(exchange, () => writeLast(exchange, errors.bodyTooLarge));
        exchange.aborted = true;
        return;
      }
      chunks.push(Buffer.from(chunk.slice(0))); // uWebSockets takes chunk back
      if (!isLast || exchange.aborted) return;
      exchange.asked = { ...exchange.asked, body: Buffer.concat(chunks).toString('utf8') };
      this.#inCork(exchange, () => {
        if (!this.#serve(exchange)) this.#hold(exchange);
      });
    });
  }

  /** From here on the answer may come after the handler has returned. */
  #watch(exchange: Exchange): void {
    exchange.response.onAborted(() => {
      exchange.aborted = true;
    });
  }

  /** False: nobody knows yet whose request it is. */
  #serve(exchange: Exchange): boolean {
    const caller = this.#gate.callerOf(exchange.response);
    const instance = caller < 0 ? undefined : this.#running.at(slotOf(caller));
    if (instance !== undefined) {
      this.#reply(exchange, caller, instance, answer(instance, isRoot(caller), exchange.asked));
      return true;
    }
    if (caller >= 0 || caller === stranger) return false;
    this.#unknown(exchange);
    return true;
  }

  #hold(exchange: Exchange): void {
    this.#watch(exchange);
    this.#held.hold({
      retry: () => exchange.aborted || this.#again(exchange),
      giveUp: () => exchange.aborted || this.#inCork(exchange, () => this.#unknown(exchange)),
    });
  }

  #again(exchange: Exchange): boolean {
    let served = true;
    this.#inCork(exchange, () => {
      served = this.#serve(exchange);
    });
    return served;
  }

  /** Outside a handler nothing of uWebSockets corks writes, or keeps what is thrown from ending the process. */
  #inCork(exchange: Exchange, write: () => void): void {
    exchange.response.cork(() => {
      try {
        write();
      } catch (error) {
        this.#failed(exchange, error);
      }
    });
  }

  #reply(exchange: Exchange, caller: Caller, instance: Instance, reply: Reply): void {
    if (this.#log.isLevelEnabled('debug')) this.#trace(exchange, instance.name, reply);
    if (reply.kind === 'events') this.#stream(exchange, slotOf(caller), instance, reply.types);
    else if (reply.kind === 'change') this.#change(exchange, instance, reply);
    else write(exchange, reply);
  }

  #change(exchange: Exchange, { project, name }: Instance, { change, answer: reply }: ChangeReply): void {
    this.#watch(exchange);
    const stored = this.#registry.transact((transaction) => {
      const before = transaction.need(project, name);
      const after = change(before);
      if (after !== before) transaction.replace(before, after);
      return after;
    });
    const answered = (write: () => void): void => {
      if (!exchange.aborted) this.#inCork(exchange, write);
    };
    stored.then(
      ({ guestState }) => {
        this.#log.info({ instance: name, project, guestState }, 'guest state');
        answered(() => write(exchange, reply));
      },
      (error: unknown) => answered(() => this.#failed(exchange, error)),
    );
  }

  #unknown(exchange: Exchange): void {
    const peer = this.#gate.credentialsOf(exchange.response);
    // Not more than debug: anyone on the host may cause as many of these as they like.
    this.#log.debug({ ...peer, path: exchange.asked.path }, 'caller belongs to no registered instance');
    write(exchange, errors.unknownCaller);
  }

  #failed(exchange: Exchange, error: unknown): void {
    const request = ++this.#requests;
    this.#log.error({ err: error, request, ...exchange.asked }, 'guest request failed');
    if (!exchange.aborted) write(exchange, errors.internal);
  }

  #trace({ asked }: Exchange, instance: string, reply: Reply): void {
    const outcome = reply.kind === 'body' ? reply.status : reply.kind;
    this.#log.debug({ instance, method: asked.method, path: asked.path, outcome }, 'guest request');
  }

  #stream({ response, upgrade }: Exchange, slot: number, instance: Instance, types: ReadonlySet<EventType>): void {
    if (upgrade !== undefined) {
      this.#gate.detach(response); // the upgrade moves the socket: its caller goes along in SocketData
      const data: SocketData = { instanceId: instance.id, slot, types };
      response.upgrade(data, upgrade.key, upgrade.protocol, upgrade.extensions, upgrade.context);
      return;
    }
    // uWebSockets cannot send the head of a response before its first chunk, and drops one that is silent for
    // 10 s; a stream of events is both. So it becomes a plain socket of Node's.
    const fd = this.#gate.take(response);
    response.close();
    if (fd < 0) return;
    const socket = new Socket({ fd, readable: true, writable: true });
    const listener = new StreamListener(socket, types, this.#limits['event-backlog']);
    this.#listeners.add(instance.id, listener);
    socket.on('close', () => {
      this.#listeners.remove(instance.id, listener);
      this.#gate.release(slot);
    });
  }

  #opened(socket: WebSocket<SocketData>): void {
    const data = socket.getUserData();
    data.listener = new WebSocketListener(socket);
    this.#listeners.add(data.instanceId, data.listener);
    data.leave = this.#heartbeat.join(data.listener);
  }

  #closed(socket: WebSocket<SocketData>): void {
    const { instanceId, listener, leave, slot } = socket.getUserData();
    leave?.();
    listener?.closed();
    if (listener !== undefined) this.#listeners.remove(instanceId, listener);
    this.#gate.release(slot);
  }
}

function askedOf(request: HttpRequest): Asked {
  return { method: request.getCaseSensitiveMethod(), path: request.getUrl(), query: request.getQuery(), body: '' };
}

function hasBody({ method }: Asked): boolean {
  return method !== 'GET' && method !== 'HEAD';
}

function upgradeOf(request: HttpRequest, context: us_socket_context_t): Upgrade {
  return {
    key: request.getHeader('sec-websocket-key'),
    protocol: request.getHeader('sec-websocket-protocol'),
    extensions: request.getHeader('sec-websocket-extensions'),
    context,
  };
}

/** Answers and closes: what is still to come of the request is not read. */
function writeLast(exchange: Exchange, reply: BodyReply): void {
  exchange.response.writeStatus(reply.status).writeHeader('Content-Type', reply.type).end(reply.body, true);
}

function write({ response, asked }: Exchange, reply: BodyReply): void {
  if (reply.status !== '200 OK') response.writeStatus(reply.status); // uWebSockets' own, otherwise
  response.writeHeader('Content-Type', reply.type);
  if (reply.type === errorType) response.writeHeader('X-Content-Type-Options', 'nosniff');
  // endWithoutBody(length) counts the body that never comes as still missing, and uWebSockets ends the process.
  if (asked.method === 'HEAD')
    response.writeHeader('Content-Length', String(Buffer.byteLength(reply.body))).endWithoutBody();
  else response.end(reply.body);
}
