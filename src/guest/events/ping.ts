import type { Limits } from '../../limits/limits.js';

/** A peer that is pinged periodically. */
export interface Pinged {
  /** Sends a ping, or ends a peer that has not answered for too long. */
  beat(): void;
}

/** Pings are spread over this many batches per period, so that thousands are not sent at once. */
const parts = 10;

/** Beats everyone once per period, a tenth of them at a time. */
export class Pinger {
  readonly #groups = Array.from({ length: parts }, () => new Set<Pinged>());
  readonly #limits: Limits;
  #timer: NodeJS.Timeout | undefined;
  #joined = 0;
  #turn = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Again when the limit has changed. */
  run(): void {
    this.stop();
    const seconds = this.#limits['ping-seconds'];
    if (seconds === 0) return;
    this.#timer = setInterval(() => this.#beatNext(), (seconds * 1000) / parts);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  join(living: Pinged): void {
    this.#groups[this.#joined++ % parts]?.add(living);
  }

  leave(living: Pinged): void {
    for (const group of this.#groups) if (group.delete(living)) return;
  }

  #beatNext(): void {
    const group = this.#groups[this.#turn++ % parts] as Set<Pinged>;
    for (const living of [...group]) living.beat();
  }
}
