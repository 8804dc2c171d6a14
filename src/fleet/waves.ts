import { createHash } from 'node:crypto';
import type { Rollout } from '../model/instance.js';
import { labelOf, type Subject } from './mirror.js';

/** A change that this host takes later. */
interface Later {
  readonly revision: string;
  readonly rollout: Rollout;
  /** from 0 */
  readonly wave: number;
  /** milliseconds of performance.now() */
  readonly due: number;
  readonly timer: NodeJS.Timeout | undefined;
}

/** As the fleet is told of it. */
export interface WaveShown {
  /** profile default/web */
  readonly name: string;
  /** of this host, from 1 */
  readonly wave: number;
  readonly waves: number;
  readonly stopped: boolean;
}

/**
 * Changes of profiles that the hosts of a fleet take in parts. Which part a host is in follows from its name, and it
 * counts from the moment at which it hears of the change: no clock is compared with another.
 */
export class Waves {
  readonly #host: string;
  readonly #due: (subject: Subject) => void;
  readonly #later = new Map<string, Later>();

  constructor(host: string, due: (subject: Subject) => void) {
    this.#host = host;
    this.#due = due;
  }

  /** Is this change, put at a revision, not to be taken yet? It is asked again when its time has come. */
  postpones(subject: Subject, rollout: Rollout | undefined, revision: string): boolean {
    const label = labelOf(subject);
    const known = this.#later.get(label);
    if (known?.revision === revision) return isWaiting(known);
    this.done(subject);
    if (rollout === undefined) return false;
    const wave = this.#waveOf(subject, rollout.waves);
    const milliseconds = wave * rollout.seconds * 1000;
    const timer = rollout.stopped ? undefined : setTimeout(() => this.#due(subject), milliseconds).unref();
    const later = { revision, rollout, wave, due: performance.now() + milliseconds, timer };
    this.#later.set(label, later);
    return isWaiting(later);
  }

  /** It is taken, or there is nothing to take any more. */
  done(subject: Subject): void {
    const label = labelOf(subject);
    clearTimeout(this.#later.get(label)?.timer);
    this.#later.delete(label);
  }

  get waiting(): WaveShown[] {
    return [...this.#later].flatMap(([name, later]) => {
      const { waves, stopped } = later.rollout;
      return isWaiting(later) ? [{ name, wave: later.wave + 1, waves, stopped }] : [];
    });
  }

  /** Of the changes that wait, the revision of the oldest one; undefined: none waits */
  get oldest(): bigint | undefined {
    const revisions = [...this.#later.values()].filter(isWaiting).map(({ revision }) => BigInt(revision));
    return revisions.reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined);
  }

  stop(): void {
    for (const { timer } of this.#later.values()) clearTimeout(timer);
  }

  #waveOf({ project, name }: Subject, waves: number): number {
    const text = JSON.stringify([this.#host, project, name]);
    return createHash('sha256').update(text).digest().readUInt32BE() % waves;
  }
}

/** A timer may fire a moment before the clock says so. */
const earlyMilliseconds = 5;

function isWaiting({ rollout, due }: Later): boolean {
  return rollout.stopped || performance.now() < due - earlyMilliseconds;
}
