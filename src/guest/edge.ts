import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from 'uWebSockets.js';
import { Socket } from 'node:net';
import { type Caller, type Gate, isRoot, slotOf, stranger } from '../gate.js';
import type { EventType, GuestEvent } from '../instances/events.js';
import type { Instance } from '../instances/model.js';
import type { Registry } from '../instances/registry.js';
import { exceeds, type Limits } from '../limits.js';
import type { Log } from '../log.js';
import type { Running } from '../running.js';
import { createApp, type GuestApp } from '../uws.js';
import { type Exchange, exchangeOf, hasBody, write, writeLast } from './exchange.js';
import { Heartbeat } from './heartbeat.js';
import { HeldRequests } from './held.js';
import { CatchingUp, closeCodes, type Listeners } from './listeners.js';
import { type ChangeReply, type EventsReply, errors, type Reply } from './reply.js';
import { answer, isServed } from './route.js';
import { type SocketData, StreamListener, WebSocketListener } from './streams.js';

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
          upgrade: (response, request, context) => this.#receive(response, request, context),
          open: (socket) => this.#opened(socket),
          pong: (socket) => socket.getUserData().listener?.answered(),
          close: (socket) => this.#closed(socket),
        })
        .any('/*', (response, request) => this.#receive(response, request)),
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

  #receive(response: HttpResponse, request: HttpRequest, context?: us_socket_context_t): void {
    const exchange = exchangeOf(response, request, context);
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
    if (reply.kind === 'events') this.#listen(exchange, slotOf(caller), instance, reply);
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

  #listen(exchange: Exchange, slot: number, { id }: Instance, { types, since }: EventsReply): void {
    if (since === undefined) {
      this.#stream(exchange, slot, id, types, []);
      return;
    }
    this.#watch(exchange);
    const meanwhile = new CatchingUp(types);
    this.#listeners.add(id, meanwhile);
    const resume = (write: () => void): void => {
      this.#listeners.remove(id, meanwhile); // and nothing is told before the stream itself listens
      if (!exchange.aborted) this.#inCork(exchange, write);
    };
    this.#registry.eventsAfter(id, since).then(
      (missed) =>
        resume(() => {
          const instance = this.#running.at(slot);
          if (instance === undefined || !isServed(instance)) write(exchange, errors.forbidden);
          else if (missed === undefined) write(exchange, errors.gone);
          else this.#stream(exchange, slot, id, types, meanwhile.after(missed));
        }),
      (error: unknown) => resume(() => this.#failed(exchange, error)),
    );
  }

  #stream(
    { response, upgrade }: Exchange,
    slot: number,
    instanceId: number,
    types: ReadonlySet<EventType>,
    missed: readonly GuestEvent[],
  ): void {
    if (upgrade !== undefined) {
      this.#gate.detach(response); // the upgrade moves the socket: its caller goes along in SocketData
      const data: SocketData = { instanceId, slot, types, missed };
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
    for (const event of missed) listener.send(event);
    this.#listeners.add(instanceId, listener);
    socket.on('close', () => {
      this.#listeners.remove(instanceId, listener);
      this.#gate.release(slot);
    });
  }

  #opened(socket: WebSocket<SocketData>): void {
    const data = socket.getUserData();
    data.listener = new WebSocketListener(socket);
    for (const event of data.missed) data.listener.send(event);
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
