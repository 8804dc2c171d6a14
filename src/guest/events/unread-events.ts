import type { LimitHits } from '../../limits/limit-hits.js';
import { exceeds, type Limits } from '../../limits/limits.js';
import type { FrameLimit } from './incoming-frames.js';

type Reached = 'event-backlog' | 'event-backlog-instance' | 'event-backlog-total' | 'ping-seconds' | FrameLimit;

/** An event in memory, and charged, until it is freed; once. */
export interface Held {
  readonly text: string;
  readonly bytes: number;
  /** for a socket that keeps what it is given instead of copying it */
  readonly buffer: Buffer | undefined;
  free(): void;
}

interface Shared {
  readonly buffer: Buffer;
  /** listeners that have not been given all of it */
  readers: number;
}

/**
 * What the listeners of one instance have not read. An event that waits for several listeners is in memory, and is
 * charged, once, also when each of them has had it read from the store.
 */
export class UnreadEvents {
  readonly #total: UnreadTotal;
  readonly #instanceId: number;
  readonly #shared = new Map<string, Shared>();
  #charged = 0;

  /** bytes */
  get charged(): number {
    return this.#charged;
  }

  constructor(total: UnreadTotal, instanceId: number) {
    this.#total = total;
    this.#instanceId = instanceId;
  }

  get limits(): Limits {
    return this.#total.limits;
  }

  /** Keeps an event for one more listener. undefined: no more may wait. */
  share(text: string): Held | undefined {
    const shared = this.#shared.get(text) ?? this.#add(text);
    if (shared === undefined) return undefined;
    shared.readers++;
    const free = (): void => {
      if (--shared.readers > 0) return;
      this.#shared.delete(text);
      this.#charge(-shared.buffer.length);
    };
    return { text, bytes: shared.buffer.length, buffer: shared.buffer, free };
  }

  /** The same for a copy that one listener's socket makes. */
  copy(text: string): Held | undefined {
    const bytes = Buffer.byteLength(text);
    if (!this.#fits(bytes)) return undefined;
    this.#charge(bytes);
    return { text, bytes, buffer: undefined, free: () => this.#charge(-bytes) };
  }

  /** Counts a listener that is dropped. */
  reached(limit: Reached): void {
    this.#total.limitHits.add(limit, this.#instanceId);
  }

  #add(text: string): Shared | undefined {
    const bytes = Buffer.byteLength(text);
    if (!this.#fits(bytes)) return undefined;
    this.#charge(bytes);
    const shared = { buffer: Buffer.from(text), readers: 0 };
    this.#shared.set(text, shared);
    return shared;
  }

  #fits(bytes: number): boolean {
    const { limits } = this;
    if (exceeds(limits['event-backlog-instance'], this.#charged + bytes)) this.reached('event-backlog-instance');
    else if (exceeds(limits['event-backlog-total'], this.#total.charged + bytes)) this.reached('event-backlog-total');
    else return true;
    return false;
  }

  #charge(bytes: number): void {
    this.#charged += bytes;
    this.#total.charged += bytes;
  }
}

/** What the listeners of all instances have not read. */
export class UnreadTotal {
  readonly limits: Limits;
  readonly limitHits: LimitHits;
  /** bytes */
  charged = 0;
  readonly #byInstance = new Map<number, WeakRef<UnreadEvents>>();

  constructor(limits: Limits, limitHits: LimitHits) {
    this.limits = limits;
    this.limitHits = limitHits;
  }

  /** bytes of the instance whose listeners have left most unread */
  get mostOfInstance(): number {
    let most = 0;
    for (const unread of this.#byInstance.values()) most = Math.max(most, unread.deref()?.charged ?? 0);
    return most;
  }

  /** The same for all listeners of an instance, as long as one of them refers to it. */
  of(instanceId: number): UnreadEvents {
    const known = this.#byInstance.get(instanceId)?.deref();
    if (known !== undefined) return known;
    const unread = new UnreadEvents(this, instanceId);
    this.#byInstance.set(instanceId, new WeakRef(unread));
    return unread;
  }

  forget(instanceId: number): void {
    this.#byInstance.delete(instanceId);
  }
}
