/** The parts of the commit that is being sent, which may be too long for one message. */
export class CommitParts<Statement> {
  #number = 0;
  #statements: Statement[] = [];

  /** Keeps a part until the last one comes. What is left of another commit was given up by its sender. */
  add(number: number, statements: string): void {
    if (number !== this.#number) this.#statements = [];
    this.#number = number;
    for (const statement of JSON.parse(statements)) this.#statements.push(statement);
  }

  /** All of them, with the last one. */
  take(number: number, last: string): readonly Statement[] {
    this.add(number, last);
    const statements = this.#statements;
    this.#statements = [];
    return statements;
  }
}
