import type { Database } from './sqlite.js';
import type { Writer } from './writer.js';

/** A commit of which the first is written while the rest of it is made: all of it holds at its end, or nothing. */
export class PartedCommit {
  readonly #database: Database;
  readonly #writer: Writer;
  #failure: { readonly error: unknown } | undefined;

  /** refusal: why nothing can be written */
  constructor(database: Database, writer: Writer, refusal: Error | undefined) {
    this.#database = database;
    this.#writer = writer;
    if (refusal !== undefined) this.#failure = { error: refusal };
    this.#try(() => database.begin());
  }

  /** Nothing more is written after the first error, which `end` throws. */
  add(statements: string): void {
    this.#try(() => this.#writer.write(statements));
  }

  /** Durable when it is done. */
  end(statements: string): void {
    this.add(statements);
    this.#try(() => this.#database.commit());
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  giveUp(): void {
    this.#database.rollback();
    this.#writer.rolledBack();
  }

  #try(step: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      step();
    } catch (error) {
      this.#failure = { error };
      this.giveUp();
    }
  }
}
