import type { WebSocket } from 'uWebSockets.js';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { textOrBytes } from '../../gate/send-text.js';
import { exceeds, type Limits } from '../../limits/limits.js';
import type { EventType, GuestEvent } from '../../model/guest-events.js';
import { closeCodes, type Listener } from './listeners.js';
import type { Pinged } from './ping.js';

/** What uWebSockets keeps for one WebSocket: copied out of the connection before the upgrade moved it. */
export interface SocketData {
  readonly instanceId: number;
  readonly slot: number;
  readonly types: ReadonlySet<EventType>;
  /** what is sent first */
  readonly missed: readonly GuestEvent[];
  listener?: WebSocketListener;
}

/** What send() of a WebSocket says when its reader is behind. */
const behind = 0;
/** Pongs that may be missing. */
const patience = 3;
/** How long a peer may take to read its close frame. */
const closeMilliseconds = 5000;

/** Events as WebSocket text messages. */
export class WebSocketListener implements Listener, Pinged {
  readonly types: ReadonlySet<EventType>;
  readonly #limits: Limits;
  #behind = false;
  #unanswered = 0;
  readonly #reached: (limit: 'event-backlog' | 'ping-seconds') => void;
  #socket: WebSocket<SocketData> | undefined;

  /** reached: told of the limit because of which it ends */
  constructor(
    socket: WebSocket<SocketData>,
    limits: Limits,
    reached: (limit: 'event-backlog' | 'ping-seconds') => void,
  ) {
    this.#socket = socket;
    this.#limits = limits;
    this.#reached = reached;
    this.types = socket.getUserData().types;
  }

  send(event: GuestEvent): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const waiting = this.#behind ? socket.getBufferedAmount() : 0;
    if (!exceeds(this.#limits['event-backlog'], waiting)) {
      this.#behind = socket.send(textOrBytes(event.text)) === behind;
      return;
    }
    this.#reached('event-backlog');
    this.end(closeCodes.tooSlow, 'too many unread events');
  }

  end(code: number, reason: string): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    socket.end(code, reason);
    setTimeout(() => this.#socket?.close(), closeMilliseconds).unref();
  }

  beat(): void {
    if (this.#unanswered === patience) {
      this.#reached('ping-seconds');
      this.#socket?.close(); // nobody is there to read a close frame
      return;
    }
    this.#unanswered++;
    this.#socket?.ping();
  }

  answered(): void {
    this.#unanswered = 0;
  }

  /** The socket must not be touched any more. */
  closed(): void {
    this.#socket = undefined;
  }
}

const streamHead = [
  'HTTP/1.1 200 OK',
  'Content-Type: application/json',
  'Cache-Control: no-cache',
  'Transfer-Encoding: chunked',
  '',
  '',
].join('\r\n');

/** Events as one JSON document a line, in an endless chunked response. */
export class StreamListener implements Listener {
  readonly types: ReadonlySet<EventType>;
  readonly #socket: Socket;
  readonly #limits: Limits;
  readonly #dropped: () => void;

  /** dropped: called when more than the limit waits to be read */
  constructor(socket: Socket, types: ReadonlySet<EventType>, limits: Limits, dropped: () => void) {
    this.types = types;
    this.#dropped = dropped;
    this.#socket = socket;
    this.#limits = limits;
    socket.on('error', () => undefined); // 'close' follows and is what counts
    socket.resume(); // whatever the guest goes on to say does not matter, that it leaves does
    socket.write(streamHead);
  }

  send({ text }: GuestEvent): void {
    const line = `${text}\n`;
    this.#socket.write(`${Buffer.byteLength(line).toString(16)}\r\n${line}\r\n`);
    if (this.#socket.destroyed || !exceeds(this.#limits['event-backlog'], this.#socket.writableLength)) return;
    this.#dropped();
    this.#socket.destroy();
  }

  end(): void {
    this.#socket.write('0\r\n\r\n');
    this.#socket.destroySoon(); // not end(): a guest that keeps its side open must not keep us
    setTimeout(() => this.#socket.destroy(), closeMilliseconds).unref();
  }
}

/** The same in a response of node:http, which knows itself whether its client understands chunks. */
export class ChunkListener implements Listener {
  readonly types: ReadonlySet<EventType>;
  readonly #response: ServerResponse;
  readonly #limits: Limits;
  readonly #dropped: () => void;

  /** dropped: as for StreamListener */
  constructor(response: ServerResponse, types: ReadonlySet<EventType>, limits: Limits, dropped: () => void) {
    this.types = types;
    this.#response = response;
    this.#limits = limits;
    this.#dropped = dropped;
    response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' });
    response.flushHeaders();
  }

  send({ text }: GuestEvent): void {
    this.#response.write(`${text}\n`);
    const waiting = this.#response.writableLength + (this.#response.socket?.writableLength ?? 0);
    if (this.#response.destroyed || !exceeds(this.#limits['event-backlog'], waiting)) return;
    this.#dropped();
    this.#response.destroy();
  }

  end(): void {
    this.#response.end();
    this.#response.socket?.destroySoon();
  }
}
