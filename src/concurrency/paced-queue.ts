import { setTimeout as pause } from 'node:timers/promises';
import { Semaphore } from './semaphore.js';

/** How often each instance may do it. */
interface Pace {
  /** 0: as often as it likes */
  readonly perSecond: () => number;
  /** as many seconds' worth may be done at once */
  readonly burstSeconds: number;
}

interface Line {
  readonly turns: Semaphore;
  /** when its next one would be due, had they come evenly; milliseconds */
  due: number;
}

/**
 * Lets each instance do something at a pace, one at a time and in the order in which it was asked for; what comes too
 * soon waits. For what costs more than an answer from memory.
 */
export class PacedQueue {
  readonly #pace: Pace;
  readonly #waits: (instanceId: number) => void;
  readonly #lines = new Map<number, Line>();
  readonly #hurry = new AbortController();

  /** waits: told of each that comes too soon */
  constructor(pace: Pace, waits: (instanceId: number) => void) {
    this.#pace = pace;
    this.#waits = waits;
  }

  /** Runs work, which never throws, when its time has come, unless it is not wanted any more by then. */
  async take(instanceId: number, wanted: () => boolean, work: () => Promise<void>): Promise<void> {
    if (this.#pace.perSecond() === 0) return work();
    const line = this.#lines.get(instanceId) ?? { turns: new Semaphore(() => 1), due: Number.NEGATIVE_INFINITY };
    this.#lines.set(instanceId, line);
    await line.turns.take(async () => {
      if (wanted()) await this.#wait(instanceId, line);
      if (wanted()) await work();
    });
  }

  /** Nothing waits any longer. */
  hurry(): void {
    this.#hurry.abort();
  }

  forget(instanceId: number): void {
    this.#lines.delete(instanceId);
  }

  async #wait(instanceId: number, line: Line): Promise<void> {
    const perSecond = this.#pace.perSecond();
    if (perSecond === 0) return; // since it came
    const now = performance.now();
    line.due = Math.max(line.due, now - this.#pace.burstSeconds * 1000) + 1000 / perSecond;
    if (line.due <= now) return;
    this.#waits(instanceId);
    await pause(line.due - now, undefined, this.#hurry).catch(() => undefined); // in a hurry: at once
  }
}
