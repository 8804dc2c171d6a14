import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { TestDaemon } from './daemon.js';
import type { Guest, Guests } from './guest-processes.js';
import { ask, Session } from './http.js';

const path = '/1.0/config/user.mark';

/**
 * Guests that ask for what is theirs, over and over: half of them on connections that they keep, half on a new one
 * each time. Whatever is no right answer is a failure.
 */
export class Askers {
  readonly failures: string[] = [];
  answered = 0;
  readonly #socket: string;
  readonly #asking: Promise<void>[];
  #ended = false;

  private constructor(socket: string, guests: readonly (readonly [Guest, string])[]) {
    this.#socket = socket;
    this.#asking = guests.map(([guest, mark], index) =>
      index % 2 === 0 ? this.#onOneConnection(guest, mark) : this.#onNewConnections(guest, mark),
    );
  }

  /** So many guests, registered and asking. */
  static async start(daemon: Pick<TestDaemon, 'socket' | 'register'>, guests: Guests, count: number): Promise<Askers> {
    const asking = guests.spawn(count).map((guest, index) => [guest, `mark of ${index}`] as const);
    await Promise.all(
      asking.map(([guest, mark], index) => daemon.register(`asker${index}`, guest.pid, { 'user.mark': mark })),
    );
    const askers = new Askers(daemon.socket, asking);
    await askers.more(count);
    return askers;
  }

  /** Waits for this many further answers. */
  async more(count: number): Promise<void> {
    const enough = this.answered + count;
    while (this.answered < enough && this.failures.length === 0) await turn();
  }

  /** Everyone stops asking; gives the number of answers. */
  async end(): Promise<number> {
    this.#ended = true;
    await Promise.all(this.#asking);
    return this.answered;
  }

  async #onOneConnection(guest: Guest, mark: string): Promise<void> {
    const session = new Session(guest.connect(this.#socket));
    await this.#repeat(async () => assert.equal((await session.ask(path)).body, mark));
    await session.close();
  }

  #onNewConnections(guest: Guest, mark: string): Promise<void> {
    return this.#repeat(async () => assert.equal((await ask(guest.connect(this.#socket), path)).body, mark));
  }

  async #repeat(asked: () => Promise<void>): Promise<void> {
    while (!this.#ended) {
      try {
        await asked();
        this.answered++;
      } catch (error) {
        this.failures.push(String(error));
        return;
      }
      await turn();
    }
  }
}
