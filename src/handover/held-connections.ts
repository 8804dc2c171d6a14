import type { HeldCaller } from '../gate/gate.js';
import type { LimitHits } from '../limits/limit-hits.js';
import { connectionName } from './connection-names.js';
import type { HandoverConnection } from './protocol.js';

/** The service manager's descriptor store, which outlives this process, however it ends. */
export interface ConnectionStore {
  /** Without waiting. False: the service manager is behind. */
  tryStoreConnection(name: string, fd: number): boolean;
  /** Without waiting. False: the service manager is behind. */
  tryDropConnection(name: string): boolean;
  dropConnection(name: string): void;
}

/** Held connections that may lie in the store: each has a name there, and the kernel takes 128 KiB of names. */
const mostStored = 1024;
/** Connections that may be stored at once, and in the long run: each is two messages to process 1 of the host. */
const burst = 256;
const perSecond = 64;

/** The kernel may hold as few as ten messages that the service manager has not read. */
const retryMilliseconds = 5;

/**
 * The connections of held callers lie in the service manager's descriptor store while they are held: after a kill -9 the
 * next process goes on holding them, with their requests, of which nothing was read. A connection that is let go leaves
 * the store before it is answered, so the next process never gets one in the middle of a request.
 *
 * Without a service manager this does nothing.
 */
export class HeldConnections {
  readonly #store: ConnectionStore | undefined;
  readonly #limitHits: LimitHits;
  /** names by ticket */
  readonly #stored = new Map<number, string>();
  /** held, and not stored yet */
  readonly #waiting = new Map<number, HeldCaller>();
  /** names that the service manager could not be told to drop yet */
  readonly #leaving: string[] = [];
  #tokens = burst;
  #filledAt = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(store: ConnectionStore | undefined, limitHits: LimitHits) {
    this.#store = store;
    this.#limitHits = limitHits;
  }

  /** The service manager has passed these; what is not held any more leaves its store. */
  received(connections: readonly HandoverConnection[]): void {
    const used = new Set<string>();
    for (const connection of connections) {
      const { name = connectionName(connection) } = connection;
      if (connection.ticket !== undefined) this.#stored.set(connection.ticket, name);
      else used.add(name);
    }
    for (const name of used) this.#store?.dropConnection(name);
  }

  hold(callers: readonly HeldCaller[]): void {
    if (this.#store === undefined) return;
    for (const caller of callers) this.#waiting.set(caller.ticket, caller);
    this.#send();
    const missing = callers.filter(({ ticket }) => this.#waiting.has(ticket));
    if (missing.length > 0) this.#limitHits.add('held-connections', undefined, missing.length);
  }

  letGo(tickets: readonly number[]): void {
    for (const ticket of tickets) {
      const name = this.#stored.get(ticket);
      if (name !== undefined) this.#leaving.push(name);
      this.#stored.delete(ticket);
      this.#waiting.delete(ticket);
    }
    this.#send();
  }

  /** The ticket, if its connection lies in the store. */
  stored(ticket: number): number | undefined {
    return this.#stored.has(ticket) ? ticket : undefined;
  }

  /** What is held stays in the store, for the next process. */
  stop(): void {
    clearTimeout(this.#retry);
    for (const name of this.#leaving.splice(0)) this.#store?.dropConnection(name);
    this.#waiting.clear();
  }

  #send(): void {
    if (this.#store === undefined) return;
    clearTimeout(this.#retry);
    this.#refill();
    this.#drop(this.#store);
    if (this.#leaving.length === 0) this.#put(this.#store);
    if (this.#leaving.length > 0 || this.#waiting.size > 0)
      this.#retry = setTimeout(() => this.#send(), retryMilliseconds).unref();
  }

  #drop(store: ConnectionStore): void {
    const told = this.#leaving.findIndex((name) => !store.tryDropConnection(name));
    this.#leaving.splice(0, told < 0 ? this.#leaving.length : told);
  }

  #put(store: ConnectionStore): void {
    for (const [ticket, { fd, startTicks }] of this.#waiting) {
      if (this.#tokens < 1 || this.#stored.size >= mostStored) return;
      const name = connectionName({ socket: 'guest', caller: undefined, startTicks, ticket });
      if (!store.tryStoreConnection(name, fd)) return;
      this.#tokens--;
      this.#stored.set(ticket, name);
      this.#waiting.delete(ticket);
    }
  }

  #refill(): void {
    const now = performance.now();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) / 1000) * perSecond);
    this.#filledAt = now;
  }
}
