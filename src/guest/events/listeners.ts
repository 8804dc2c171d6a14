import type { WrittenChange } from '../../model/changes.js';
import type { EventType, GuestEvent } from '../../model/guest-events.js';
import { isServed } from '../route.js';

/** Why an event stream ends, as WebSocket close codes (RFC 6455, 7.4.1, and the IANA registry). */
export const closeCodes = { goingAway: 1001, policy: 1008, restart: 1012, tooSlow: 1013 } as const;

/** One open event stream of a guest. */
export interface Listener {
  readonly types: ReadonlySet<EventType>;
  /** Sends, or queues up to its backlog limit; beyond it the listener ends itself. */
  send(event: GuestEvent): void;
  /** Ends the stream; it is removed when its connection has closed. */
  end(code: number, reason: string): void;
}

/** Collects what happens while a listener that has come back is told what it missed. */
export class CatchingUp implements Listener {
  readonly types: ReadonlySet<EventType>;
  readonly #events: GuestEvent[] = [];

  constructor(types: ReadonlySet<EventType>) {
    this.types = types;
  }

  send(event: GuestEvent): void {
    this.#events.push(event);
  }

  end(): void {
    // Its connection is what ends, and is seen to end by who holds it.
  }

  /** What was missed and what came in the meantime, each once, in order. */
  after(missed: readonly GuestEvent[]): GuestEvent[] {
    const last = missed.at(-1)?.timestamp ?? '';
    const heard = missed.filter(({ type }) => this.types.has(type));
    return [...heard, ...this.#events.filter(({ timestamp }) => timestamp > last)];
  }
}

/** Who listens to which instance, and the order in which they hear: that of the durable writes. */
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
      for (const listener of [...listeners]) if (listener.types.has(event.type)) listener.send(event);
    }
    if (!isServed(after)) this.end(after.id, closeCodes.policy, 'security.devlxd is false');
  }

  /** Ends every stream of one instance. */
  end(instanceId: number, code: number, reason: string): void {
    for (const listener of [...(this.#byInstance.get(instanceId) ?? [])]) listener.end(code, reason);
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
