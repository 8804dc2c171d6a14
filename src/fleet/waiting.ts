import { keyOf } from '../instances/record-table.js';
import type { Subject } from './mirror.js';

/** What differs, or may differ, from what is stored, each once. */
export class Waiting {
  readonly #subjects = new Map<string, Subject>();

  get size(): number {
    return this.#subjects.size;
  }

  add(subject: Subject): void {
    this.#subjects.set(`${subject.kind} ${keyOf(subject.project, subject.name)}`, subject);
  }

  /**
   * All of it, and nothing is waiting any more: projects and profiles first, since instances need them; and instances
   * that are gone before others, which may have their uuid now.
   */
  take(isGone: (instance: Subject) => boolean): Subject[] {
    const all = [...this.#subjects.values()];
    this.#subjects.clear();
    const instances = all.filter(({ kind }) => kind === 'instance');
    return [
      ...all.filter(({ kind }) => kind === 'project' || kind === 'image'),
      ...all.filter(({ kind }) => kind === 'profile'),
      ...instances.filter(isGone),
      ...instances.filter((instance) => !isGone(instance)),
    ];
  }
}
