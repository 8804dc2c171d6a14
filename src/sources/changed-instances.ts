import { keyOf } from '../instances/record-table.js';
import type { Happened, Named } from './source.js';

/** An instance that could not be read is asked for again after this, then after twice as long, and so on. */
const firstPause = 100;
const longestPause = 30_000;

/** After as many attempts in a row, 3 s, an instance is unread until something happens to it. */
const patientAttempts = 5;

/** The source has reported a change of this instance. */
export interface Change extends Named {
  /** its init may be another */
  readonly started: boolean;
  /** the source has deleted it, and said nothing of it since */
  readonly deleted: boolean;
}

interface Unread {
  readonly change: Change;
  readonly attempts: number;
  /** milliseconds of performance.now() */
  readonly due: number;
}

/** The instances that the source is to be asked for, each once, however often it has changed. */
export class ChangedInstances {
  /** changed since they were asked for */
  readonly #changed = new Map<string, Change>();
  /** could not be read, and have not changed since */
  readonly #unread = new Map<string, Unread>();

  /** that have changed */
  get size(): number {
    return this.#changed.size;
  }

  /** Is nothing known to be other than it was read? What stays unread counts no longer. */
  get isSettled(): boolean {
    return this.#changed.size === 0 && [...this.#unread.values()].every(({ attempts }) => attempts > patientAttempts);
  }

  /** until one is to be asked for again, milliseconds; infinite: none is */
  get pause(): number {
    return Math.max(0, Math.min(...[...this.#unread.values()].map(({ due }) => due)) - performance.now());
  }

  add({ project, name }: Named, what: Happened): void {
    const key = keyOf(project, name);
    const before = this.#changed.get(key) ?? this.#unread.get(key)?.change;
    const started = what === 'started' || before?.started === true;
    this.#changed.set(key, { project, name, started, deleted: what === 'deleted' });
  }

  /** The next to be asked for, which is taken out. */
  take(): Change | undefined {
    const [first] = this.#changed.values();
    const next = first ?? [...this.#unread.values()].find(({ due }) => due <= performance.now())?.change;
    if (next !== undefined) this.#changed.delete(keyOf(next.project, next.name));
    return next;
  }

  /** It could not be read. @returns is it time to say so? */
  postpone(change: Change): boolean {
    const key = keyOf(change.project, change.name);
    const attempts = (this.#unread.get(key)?.attempts ?? 0) + 1;
    const due = performance.now() + Math.min(firstPause * 2 ** (attempts - 1), longestPause);
    this.#unread.set(key, { change, attempts, due });
    return attempts === patientAttempts + 1;
  }

  /** It was read, or there is none. */
  settle({ project, name }: Named): void {
    this.#unread.delete(keyOf(project, name));
  }

  /** All are asked for together. @returns the keys of instances whose init may be another, which a list does not tell */
  takeAll(): Set<string> {
    const all = [...this.#changed.values(), ...[...this.#unread.values()].map(({ change }) => change)];
    this.#changed.clear();
    this.#unread.clear();
    return new Set(all.filter(({ started }) => started).map(({ project, name }) => keyOf(project, name)));
  }
}
