import type { WrittenChange } from '../../model/changes.js';
import type { EventType, GuestEvent } from '../../model/guest-events.js';
import { isServed } from '../route.js';

/** Why an event stream ends, as WebSocket close codes (RFC 6455, 7.4.1, and the IANA registry). */
export const closeCodes = { goingAway: 1001, policy: 1008, restart: 1012, tooSlow: 1013 } as const;

/** How long a peer may take to read what is left when its stream ends. */
export const closeMilliseconds = 5000;

/** One open event stream of a guest. */
export interface Listener {
  readonly types: ReadonlySet<EventType>;
  /** Sends, or queues up to its backlog limit. false: the listener has ended, by itself when that was too much. */
  send(event: GuestEvent): boolean;
  /** Ends the stream, once what waits has been read. Nothing more is sent to it. */
  end(code: number, reason: string): void;
}

/** Collects what happens while a listener that has come back is told what it missed. */
export class CatchingUp implements Listener {
  readonly types: ReadonlySet<EventType>;
  readonly #events: GuestEvent[] = [];
  #ended = false;

  constructor(types: ReadonlySet<EventType>) {
    this.types = types;
  }

  send(event: GuestEvent): boolean {
    this.#events.push(event);
    return true;
  }

  end(): void {
    this.#ended = true;
  }

  /** The instance's streams were ended in the meantime: this one hears nothing more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What was missed and what came in the meantime, each once, in order. */
  after(missed: readonly GuestEvent[]): GuestEvent[] {
    const last = missed.at(-1)?.timestamp ?? '';
    const heard = missed.filter(({ type }) => this.types.has(type));
    return [...heard, ...this.#events.filter(({ timestamp }) => timestamp > last)];
  }
}

/** The event streams of each instance. They all hear of the changes in the order of the durable writes. */
export class Listeners {
  readonly #byInstance = new Map<number, Set<Listener>>();

  add(instanceId: number, listener: Listener): void {
    const listeners = this.#byInstance.get(instanceId);
    if (listeners === undefined) this.#byInstance.set(instanceId, new Set([listener]));
    else listeners.add(listener);
  }

  remove(instanceId: number, listener: Listener): void {
    const listeners = this.#byInstance.get(instanceId);
    if (listeners?.delete(listener) && listeners.size === 0) this.#byInstance.delete(instanceId);
  }

  /** Called with what one commit has changed, in order. */
  deliver(changes: readonly WrittenChange[]): void {
    for (const change of changes) this.#deliver(change);
  }

  #deliver({ after, events }: WrittenChange): void {
    const listeners = after && this.#byInstance.get(after.id);
    if (after === undefined || listeners === undefined) return;
    for (const event of events) {
      for (const listener of [...listeners]) {
        if (listener.types.has(event.type) && !listener.send(event)) this.remove(after.id, listener);
      }
    }
    if (!isServed(after)) this.end(after.id, closeCodes.policy, 'security.devlxd is false');
  }

  /** Ends every stream of one instance: none of them is here any more when the next event is delivered. */
  end(instanceId: number, code: number, reason: string): void {
    const listeners = this.#byInstance.get(instanceId) ?? [];
    this.#byInstance.delete(instanceId);
    for (const listener of listeners) listener.end(code, reason);
  }

  /** Ends every stream there is. */
  endAll(code: number, reason: string): void {
    for (const id of [...this.#byInstance.keys()]) this.end(id, code, reason);
  }

  /** Open streams of one instance. */
  of(instanceId: number): number {
    return this.#byInstance.get(instanceId)?.size ?? 0;
  }

  /** Open streams. */
  get size(): number {
    let size = 0;
    for (const listeners of this.#byInstance.values()) size += listeners.size;
    return size;
  }
}
