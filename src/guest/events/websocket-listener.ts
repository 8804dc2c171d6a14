import type { WebSocket } from 'uWebSockets.js';
import { textOrBytes } from '../../gate/send-text.js';
import type { EventType, GuestEvent } from '../../model/guest-events.js';
import { EventQueue } from './event-queue.js';
import { type FrameLimit, IncomingFrames } from './incoming-frames.js';
import { closeCodes, closeMilliseconds, type Listener } from './listeners.js';
import type { Pinged } from './ping.js';
import type { UnreadEvents } from './unread-events.js';

/** What uWebSockets keeps for one WebSocket: copied out of the connection before the upgrade moved it. */
export interface SocketData {
  readonly instanceId: number;
  readonly slot: number;
  /** number of its descriptor, which uWebSockets owns */
  readonly fd: number;
  readonly types: ReadonlySet<EventType>;
  /** what is sent first */
  readonly missed: readonly GuestEvent[];
  listener?: WebSocketListener;
}

/** What send() of a WebSocket says when nothing waits to be read. */
const sent = 1;
/** Pongs that may be missing. */
const patience = 3;

/** Events as WebSocket text messages. */
export class WebSocketListener implements Listener, Pinged {
  readonly types: ReadonlySet<EventType>;
  readonly #queue: EventQueue;
  readonly #unread: UnreadEvents;
  readonly #frames: IncomingFrames;
  #unanswered = 0;
  /** Has the daemon ended it, with a close frame that the peer is given time to read? */
  isEnding = false;
  #socket: WebSocket<SocketData> | undefined;

  constructor(socket: WebSocket<SocketData>, unread: UnreadEvents) {
    this.#socket = socket;
    this.#unread = unread;
    this.#frames = new IncomingFrames(unread.limits);
    this.types = socket.getUserData().types;
    this.#queue = new EventQueue(unread, {
      copies: true,
      write: (event) => socket.send(typeof event === 'string' ? textOrBytes(event) : event) === sent,
      tooSlow: () => {
        this.isEnding = true;
        socket.end(closeCodes.tooSlow, 'too many unread events');
        this.#closeSoon();
      },
    });
  }

  send(event: GuestEvent): boolean {
    return this.#queue.add(event);
  }

  end(code: number, reason: string): void {
    this.isEnding = true;
    this.#queue.finish(() => this.#socket?.end(code, reason));
    this.#closeSoon();
  }

  /** uWebSockets has sent some of what waited. */
  drained(): void {
    if (this.#socket?.getBufferedAmount() === 0) this.#queue.drained();
  }

  beat(): void {
    if (this.#unanswered === patience) {
      this.#unread.reached('ping-seconds');
      this.#socket?.close(); // the peer does not read: a close frame would not arrive
      return;
    }
    this.#unanswered++;
    this.#socket?.ping();
  }

  answered(): void {
    this.#unanswered = 0;
    this.heard();
  }

  /** A message or a pong has come. */
  heard(): void {
    this.#dropBeyond(this.#frames.add(performance.now()));
  }

  /** A ping has come, and uWebSockets has answered it. */
  pinged(payload: number): void {
    const unread = this.#socket?.getBufferedAmount() ?? 0;
    this.#dropBeyond(this.#frames.addPing(payload, unread, performance.now()));
  }

  /** The socket must not be touched any more. */
  closed(): void {
    this.#socket = undefined;
    this.#queue.clear();
  }

  #dropBeyond(limit: FrameLimit | undefined): void {
    if (limit === undefined) return;
    this.#unread.reached(limit);
    this.#socket?.close(); // not end(): it would go on reading
  }

  /** A peer that does not read its close frame must not keep the connection. */
  #closeSoon(): void {
    setTimeout(() => this.#socket?.close(), closeMilliseconds).unref();
  }
}
