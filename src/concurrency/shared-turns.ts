import { Semaphore } from './semaphore.js';

/** Few pieces of work at a time for all instances, and one for each: many of one instance do not make another wait for them all. */
export class SharedTurns {
  readonly #all: Semaphore;
  readonly #ofInstance = new Map<number, Semaphore>();

  /** most: at a time */
  constructor(most: number) {
    this.#all = new Semaphore(() => most);
  }

  /** Runs work when it is the instance's turn, and gives what it gives. */
  async take<Result>(instanceId: number, work: () => Promise<Result>): Promise<Result> {
    const own = this.#ofInstance.get(instanceId) ?? new Semaphore(() => 1);
    this.#ofInstance.set(instanceId, own);
    let result: Promise<Result> | undefined;
    try {
      await own.take(() =>
        this.#all.take(async () => {
          result = work();
          await result;
        }),
      );
      return await (result as unknown as Promise<Result>);
    } finally {
      if (own.idle) this.#ofInstance.delete(instanceId);
    }
  }
}
