import { exceeds, type Limits } from '../limits.js';

/** A request that waits for its caller's instance to be registered. */
export interface HeldRequest {
  /** Tries again; true when the request has been answered, or its caller has left. */
  retry(): boolean;
  /** Answers that the caller is unknown. limit: which one was reached */
  giveUp(limit: 'strangers' | 'hold-seconds'): void;
}

interface Entry {
  readonly request: HeldRequest;
  readonly timer: NodeJS.Timeout;
}

/**
 * Requests of callers who are in no registered instance. A guest that boots faster than it is registered gets its
 * data, not an error: cloud-init takes an error for "there is no such data source" and keeps to that for the boot.
 */
export class HeldRequests {
  readonly #entries = new Set<Entry>();
  readonly #limits: Limits;
  /** so many have been held */
  inAll = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  hold(request: HeldRequest): void {
    const { 'hold-seconds': seconds, strangers: most } = this.#limits;
    if (seconds === 0 || exceeds(most, this.size + 1)) {
      request.giveUp('strangers');
      return;
    }
    const timer = setTimeout(() => {
      this.#entries.delete(entry);
      request.giveUp('hold-seconds');
    }, seconds * 1000);
    const entry: Entry = { request, timer };
    this.#entries.add(entry);
    this.inAll++;
  }

  /** An instance was registered: whoever waited for it is answered now. */
  retryAll(): void {
    for (const entry of this.#entries) {
      if (!entry.request.retry()) continue;
      clearTimeout(entry.timer);
      this.#entries.delete(entry);
    }
  }

  /** Nobody waits any longer. */
  giveUpAll(): void {
    for (const { request, timer } of this.#entries) {
      clearTimeout(timer);
      request.giveUp('hold-seconds');
    }
    this.#entries.clear();
  }
}
