import type { Socket } from 'node:net';
import type { EventType, GuestEvent } from '../../model/guest-events.js';
import { EventQueue } from './event-queue.js';
import { closeMilliseconds, type Listener } from './listeners.js';
import type { UnreadEvents } from './unread-events.js';

const headLines = ['HTTP/1.1 200 OK', 'Content-Type: application/json', 'Cache-Control: no-cache'];

/** Events as one JSON document a line, in an endless response: in chunks, or until the connection ends. */
export class StreamListener implements Listener {
  readonly types: ReadonlySet<EventType>;
  readonly #socket: Socket;
  readonly #chunks: boolean;
  readonly #queue: EventQueue;

  /** chunks: does the client understand them? */
  constructor(socket: Socket, types: ReadonlySet<EventType>, chunks: boolean, unread: UnreadEvents) {
    this.types = types;
    this.#chunks = chunks;
    this.#socket = socket;
    this.#queue = new EventQueue(unread, {
      copies: false,
      write: (event) => this.#write(event),
      tooSlow: () => socket.destroy(),
    });
    socket.on('error', () => undefined); // 'close' follows and is what counts
    socket.on('drain', () => this.#queue.drained());
    socket.on('close', () => this.#queue.clear());
    // A listener has nothing to say, and LXD ends one that does.
    socket.once('data', () => {
      socket.pause();
      this.end();
    });
    const framing = chunks ? 'Transfer-Encoding: chunked' : 'Connection: close';
    socket.write([...headLines, framing, '', ''].join('\r\n'));
  }

  send(event: GuestEvent): boolean {
    return this.#queue.add(event);
  }

  end(): void {
    this.#queue.finish(() => this.#close());
    setTimeout(() => this.#socket.destroy(), closeMilliseconds).unref();
  }

  #write(event: Buffer | string): boolean {
    const socket = this.#socket;
    if (!socket.writable) return false;
    socket.cork();
    if (this.#chunks) socket.write(`${(Buffer.byteLength(event) + 1).toString(16)}\r\n`);
    socket.write(event);
    socket.write(this.#chunks ? '\n\r\n' : '\n');
    socket.uncork();
    return !socket.writableNeedDrain;
  }

  #close(): void {
    if (this.#chunks && this.#socket.writable) this.#socket.write('0\r\n\r\n');
    this.#socket.destroySoon(); // not end(): a guest that keeps its side open must not keep us
  }
}
