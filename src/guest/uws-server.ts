import type { HttpRequest, HttpResponse, us_socket_context_t, WebSocket } from 'uWebSockets.js';
import { setTimeout as pause } from 'node:timers/promises';
import { slotOf } from '../gate/caller.js';
import type { Gate } from '../gate/gate.js';
import { stopReading } from '../gate/unix-socket.js';
import { createApp, type GuestApp } from '../gate/uws-app.js';
import type { RunningInstances } from '../instances/running-instances.js';
import type { Limits } from '../limits/limits.js';
import type { GuestDispatcher } from './dispatcher.js';
import { closeCodes, type Listeners } from './events/listeners.js';
import { Pinger } from './events/ping.js';
import { UnreadTotal } from './events/unread-events.js';
import { type SocketData, WebSocketListener } from './events/websocket-listener.js';
import { MemoryShares } from './memory-shares.js';
import { UnreadAnswers } from './unread-answers.js';
import { type ServerContext, UwsExchange } from './uws-exchange.js';
import { tokens } from './work.js';

/** The code of a connection that is closed already, RFC 6455, 7.1.5. */
const wasClosed = 1006;

/** Between two looks at the connections that are still open when the daemon stops. */
const lookMilliseconds = 10;

/**
 * Where nearly all requests come in: through uWebSockets. docs/native-lifecycle.md has the rules that this file keeps.
 */
export class UwsServer {
  readonly #context: ServerContext;
  readonly #dispatcher: GuestDispatcher;
  readonly #running: RunningInstances;
  readonly #pinger: Pinger;
  /** what the answers take that guests have not read */
  readonly unreadAnswers: MemoryShares;
  #app: GuestApp | undefined;

  constructor(
    gate: Gate,
    dispatcher: GuestDispatcher,
    running: RunningInstances,
    listeners: Listeners,
    limits: Limits,
  ) {
    const { limitHits } = dispatcher;
    const bodies = new MemoryShares({ instance: 'guest-body-instance', total: 'guest-body-total' }, limits, limitHits);
    this.unreadAnswers = new MemoryShares(
      { instance: 'unread-answers-instance', total: 'unread-answers-total' },
      limits,
      limitHits,
    );
    this.#context = {
      gate,
      listeners,
      limits,
      inFlight: dispatcher.inFlight,
      limitHits,
      bodies,
      answers: new UnreadAnswers(this.unreadAnswers),
      instanceIdOf: (caller) => (caller === undefined || caller < 0 ? undefined : running.at(slotOf(caller))?.id),
      unread: new UnreadTotal(limits, limitHits),
    };
    this.#dispatcher = dispatcher;
    this.#running = running;
    this.#pinger = new Pinger(limits);
  }

  /** What listeners have not read, for the metrics. */
  get unread(): UnreadTotal {
    return this.#context.unread;
  }

  /** Bodies that are being read, for the metrics. */
  get bodies(): MemoryShares {
    return this.#context.bodies;
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
          drain: (socket) => socket.getUserData().listener?.drained(),
          message: (socket) => this.#charged(socket)?.heard(),
          ping: (socket, payload) => this.#charged(socket)?.pinged(payload.byteLength),
          pong: (socket) => this.#charged(socket)?.answered(),
          close: (socket, code) => this.#closed(socket, code),
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
    for (gate.closeIdle(); gate.counters().connections > 0 && performance.now() < deadline; gate.closeIdle())
      await pause(lookMilliseconds);
    const left = gate.counters().connections;
    if (left > 0) this.#context.limitHits.add('drain-seconds', undefined, left);
    listeners.endAll(closeCodes.restart, 'devlxd is stopping'); // listeners that were upgraded on a connection that was open
    await new Promise(setImmediate); // the close frames go out first
    this.#app?.close();
  }

  #receive(response: HttpResponse, request: HttpRequest, context?: us_socket_context_t): void {
    this.#dispatcher.receive(new UwsExchange(this.#context, response, request, context));
  }

  #opened(socket: WebSocket<SocketData>): void {
    const data = socket.getUserData();
    const { gate, listeners, unread } = this.#context;
    gate.watchFrames(socket, data.slot);
    data.listener = new WebSocketListener(socket, unread.of(data.instanceId));
    const { listener } = data;
    if (data.missed.every((event) => listener.send(event))) listeners.add(data.instanceId, listener);
    this.#pinger.join(listener);
  }

  /** A frame has come: its instance pays for it. */
  #charged(socket: WebSocket<SocketData>): WebSocketListener | undefined {
    const { listener, slot } = socket.getUserData();
    this.#context.gate.charge(slot, tokens.frame);
    return listener;
  }

  #closed(socket: WebSocket<SocketData>, code: number): void {
    const { instanceId, listener, slot, fd } = socket.getUserData();
    // After a close frame uWebSockets waits for the end of the connection, which would be charged to no instance.
    if (code !== wasClosed && listener?.isEnding !== true) stopReading(fd);
    if (listener !== undefined) {
      this.#pinger.leave(listener);
      listener.closed();
      this.#context.listeners.remove(instanceId, listener);
    }
    this.#context.gate.forgetFrames(fd);
    this.#context.gate.release(slot);
  }
}
