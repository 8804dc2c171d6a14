import { exceeds } from '../../limits/limits.js';
import type { GuestEvent } from '../../model/guest-events.js';
import type { Held, UnreadEvents } from './unread-events.js';

/** What a listener's socket is, as far as its queue is concerned. */
export interface EventSocket {
  /** does it copy what it cannot send at once? */
  readonly copies: boolean;
  /** true: the socket has sent it, and takes more */
  write(event: Buffer | string): boolean;
  /** The listener has read too little, and nothing more is written. */
  tooSlow(): void;
}

/** Shorter events are written without being charged: a socket is never given more than one that it cannot send. */
const shortest = 16 * 1024;

/**
 * The events that a listener has not been given yet. Its socket is given one at a time, and the next when it has sent
 * that: what waits here is shared with the instance's other listeners, what waits in a socket may not be.
 */
export class EventQueue {
  readonly #unread: UnreadEvents;
  readonly #socket: EventSocket;
  readonly #waiting: Held[] = [];
  #bytes = 0;
  /** what the socket has been given and has not sent */
  #inSocket: Held | undefined;
  #ready = true;
  /** set once nothing may be added any more */
  #last: (() => void) | undefined;

  constructor(unread: UnreadEvents, socket: EventSocket) {
    this.#unread = unread;
    this.#socket = socket;
  }

  /** false: nothing is added any more; also when it is the listener's own slowness that ends it, just now. */
  add({ text }: GuestEvent): boolean {
    if (this.#last !== undefined) return false;
    if (this.#ready) return this.#give(text);
    if (exceeds(this.#unread.limits['event-backlog'], this.#bytes)) {
      this.#unread.reached('event-backlog');
      return this.#tooSlow();
    }
    const held = this.#unread.share(text);
    if (held === undefined) return this.#tooSlow();
    this.#waiting.push(held);
    this.#bytes += held.bytes;
    return true;
  }

  /** The socket has sent all that it was given. */
  drained(): void {
    this.#inSocket?.free();
    this.#inSocket = undefined;
    this.#ready = true;
    while (this.#ready) {
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#last?.();
        return;
      }
      this.#bytes -= next.bytes;
      const given = this.#give(next.text);
      next.free();
      if (!given) return;
    }
  }

  /** Nothing is added any more; last is called when the socket has been given all that waits. */
  finish(last: () => void): void {
    if (this.#last !== undefined) return;
    this.#last = last;
    if (this.#ready) last();
  }

  /** Drops what is left: its reader has gone. */
  clear(): void {
    this.#last ??= () => undefined;
    this.#ready = false;
    this.#inSocket?.free();
    this.#inSocket = undefined;
    for (const held of this.#waiting.splice(0)) held.free();
  }

  #give(text: string): boolean {
    if (text.length < shortest) {
      this.#ready = this.#socket.write(text);
      return true;
    }
    const held = this.#socket.copies ? this.#unread.copy(text) : this.#unread.share(text);
    if (held === undefined) return this.#tooSlow();
    this.#ready = this.#socket.write(held.buffer ?? text);
    if (this.#ready) held.free();
    else this.#inSocket = held;
    return true;
  }

  #tooSlow(): false {
    this.clear();
    this.#socket.tooSlow();
    return false;
  }
}
