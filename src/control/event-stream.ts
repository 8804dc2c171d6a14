import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { Fault, invalid } from '../errors.js';
import type { Registry } from '../instances/registry.js';
import type { LimitHits } from '../limits/limit-hits.js';
import { exceeds, type Limits } from '../limits/limits.js';
import { type ControlEvents, type HostListener, type Interest, typesOf } from './control-events.js';
import { listedProject } from './request-project.js';

const tooSlow = 1013;
/** How long a peer may take to read its close frame. */
const closeMilliseconds = 5000;
/** RFC 6455; the library takes a draft's as well. */
export const webSocketVersion = '13';
/** A listener has nothing to say. */
const maxPayload = 4096;

/** GET /1.0/events: WebSockets that follow the host. */
export class EventStreams {
  readonly #events: ControlEvents;
  readonly #registry: Registry;
  readonly #limits: Limits;
  readonly #limitHits: LimitHits;
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload,
    perMessageDeflate: false,
    // No subprotocol is spoken here.
    handleProtocols: () => false,
  });

  constructor(events: ControlEvents, registry: Registry, limits: Limits, limitHits: LimitHits) {
    this.#events = events;
    this.#registry = registry;
    this.#limits = limits;
    this.#limitHits = limitHits;
  }

  /**
   * Upgrades a request, whose socket is a WebSocket's from here on.
   * @throws Fault, when it is not one for this; then the socket is as it was
   */
  accept(url: URL, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (url.pathname !== '/1.0/events') throw invalid('Upgrade', 'only /1.0/events is a WebSocket');
    if (request.headers['sec-websocket-version'] !== webSocketVersion)
      throw new Fault('websocket-version', `Sec-WebSocket-Version: only ${webSocketVersion} is spoken here`);
    const query = url.searchParams;
    const interest = { types: typesOf(query), project: listedProject({ query }, this.#registry) };
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      const listener = new SocketListener(webSocket, interest, this.#limits, () => {
        leave();
        this.#limitHits.add('control-event-backlog');
      });
      const leave = this.#events.add(listener);
      webSocket.on('close', leave);
    });
  }

  stop(): void {
    this.#events.stop();
  }
}

class SocketListener implements HostListener {
  readonly interest: Interest;
  readonly #socket: WebSocket;
  readonly #limits: Limits;
  readonly #dropped: () => void;

  /** dropped: called when more than the limit waits to be read */
  constructor(socket: WebSocket, interest: Interest, limits: Limits, dropped: () => void) {
    this.interest = interest;
    this.#socket = socket;
    this.#limits = limits;
    this.#dropped = dropped;
    socket.on('error', () => undefined); // 'close' follows and is what counts
  }

  send(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(text);
    if (!exceeds(this.#limits['control-event-backlog'], this.#socket.bufferedAmount)) return;
    this.end(tooSlow, 'too many unread events');
    this.#dropped();
  }

  end(code: number, reason: string): void {
    this.#socket.close(code, reason);
    setTimeout(() => this.#socket.terminate(), closeMilliseconds).unref();
  }
}
