import type { Written } from '../model/changes.js';
import { addStatements } from './statements.js';
import type { Answer, Request } from './store-worker.js';
import { StatementList } from './writer.js';

/** Characters of statements that go to the worker at once. */
const partLength = 64 * 1024;

/** The store's thread. */
interface Thread {
  /** Its answer. @throws Fault */
  ask(request: Request): Promise<Answer>;
  /** Asks nothing. */
  send(request: Request): void;
}

/**
 * A commit whose changes come one by one. Of many the first are written while the others are made; all of it holds at its
 * end, or nothing.
 */
export class OpenCommit {
  readonly #thread: Thread;
  readonly #list = new StatementList();
  /** the answer to all of it, which is awaited at its end */
  #begun: Promise<Answer> | undefined;

  constructor(thread: Thread) {
    this.#thread = thread;
  }

  add(change: Written): void {
    addStatements(this.#list, change);
    if (this.#list.length < partLength) return;
    if (this.#begun === undefined) {
      this.#begun = this.#thread.ask({ kind: 'begin' });
      this.#begun.catch(() => undefined);
    }
    this.#thread.send({ kind: 'part', statements: this.#list.take() });
  }

  /**
   * Durable when it is done.
   * @throws Fault store-full or store-failed; nothing was written then
   */
  async end(): Promise<void> {
    const statements = this.#list.take();
    if (this.#begun === undefined) await this.#thread.ask({ kind: 'write', statements });
    else {
      this.#thread.send({ kind: 'last', statements });
      await this.#begun;
    }
  }

  /** Nothing of it is written. */
  giveUp(): void {
    if (this.#begun !== undefined) this.#thread.send({ kind: 'give-up' });
  }
}
