import type { Log } from '../log.js';
import { labelOf, type Mirror, type Subject } from './mirror.js';

/** Lines of the log for one transaction about what is refused. */
const mostSaid = 20;
/** More than these are looked at again only when something has come or gone that they may have waited for. */
const mostTriedAgain = 100;

/** Of a name, or of a reason, which may say what was found: the whole list has to fit into a value of etcd. */
const mostCharacters = 500;

function cut(text: string): string {
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters)}...`.toWellFormed() : text;
}

/** What is not as the fleet says, and why. */
export class Refusals {
  readonly #log: Log;
  /** by its label */
  readonly #refused = new Map<string, { readonly subject: Subject; readonly why: string }>();

  constructor(log: Log) {
    this.#log = log;
  }

  get size(): number {
    return this.#refused.size;
  }

  subjects(): Subject[] {
    return [...this.#refused.values()].map(({ subject }) => subject);
  }

  shown(most: number): { name: string; why: string }[] {
    return [...this.#refused].slice(0, most).map(([name, { why }]) => ({ name: cut(name), why }));
  }

  /** What was refused for what something else was: it may be right now. */
  again(mirror: Mirror, subjects: readonly Subject[]): Subject[] {
    const frees = ({ kind, project, name }: Subject): boolean => kind !== 'instance' || !mirror.names(project, name);
    if (this.#refused.size > mostTriedAgain && !subjects.some(frees)) return [];
    const taken = new Set(subjects.map(labelOf));
    return [...this.#refused].flatMap(([label, { subject }]) => (taken.has(label) ? [] : [subject]));
  }

  /** why: of each; undefined: it is as the fleet says */
  note(subjects: readonly Subject[], why: readonly (string | undefined)[]): void {
    let said = 0;
    for (const [index, subject] of subjects.entries()) {
      const label = labelOf(subject);
      const found = why[index];
      const reason = found === undefined ? undefined : cut(found);
      const known = this.#refused.get(label)?.why;
      if (reason === undefined) this.#refused.delete(label);
      else this.#refused.set(label, { subject, why: reason });
      if (reason === undefined || reason === known || ++said > mostSaid) continue;
      this.#log.warn({ source: 'etcd', subject: cut(label), reason }, 'not as the fleet says');
    }
    if (said > mostSaid) this.#log.warn({ source: 'etcd', more: said - mostSaid }, 'more is not as the fleet says');
  }
}
