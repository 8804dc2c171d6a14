import type { ServerResponse } from 'node:http';
import { exceeds, type Limits } from '../../limits/limits.js';
import type { EventType, GuestEvent } from '../../model/guest-events.js';
import type { Listener } from './listeners.js';

/** Events in a response of node:http, which knows itself whether its client understands chunks. */
export class ChunkListener implements Listener {
  readonly types: ReadonlySet<EventType>;
  readonly #response: ServerResponse;
  readonly #limits: Limits;
  readonly #dropped: () => void;

  /** dropped: called when more than the limit waits to be read */
  constructor(response: ServerResponse, types: ReadonlySet<EventType>, limits: Limits, dropped: () => void) {
    this.types = types;
    this.#response = response;
    this.#limits = limits;
    this.#dropped = dropped;
    response.on('error', () => undefined); // 'close' follows and is what counts
    response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache' });
    response.flushHeaders();
  }

  send({ text }: GuestEvent): boolean {
    if (!this.#response.writable) return false;
    this.#response.write(`${text}\n`);
    const waiting = this.#response.writableLength + (this.#response.socket?.writableLength ?? 0);
    if (this.#response.destroyed || !exceeds(this.#limits['event-backlog'], waiting)) return !this.#response.destroyed;
    this.#dropped();
    this.#response.destroy();
    return false;
  }

  end(): void {
    this.#response.end();
    this.#response.socket?.destroySoon();
  }
}
