import { setTimeout as pause } from 'node:timers/promises';
import { HostClient, instancePath } from '../../src/cli/with-client.js';
import { ConnectionError } from '../../src/client/client-errors.js';
import type { Random } from '../fuzz/random.js';
import type { Guests } from '../support/guest-processes.js';
import type { HonestGuest } from './honest.js';

const retryMilliseconds = 20;
/** Between two writes of one operator: the same beside hostile guests, so that what the disk takes can be compared. */
const restMilliseconds = 500;

/** Operators who change, rename and restart honest guests, at random, and make again what a dead daemon did not answer. */
export class Operators {
  changes = 0;
  renames = 0;
  restarts = 0;
  repeated = 0;
  readonly #client: HostClient;
  readonly #guests: Guests;
  readonly #all: readonly HonestGuest[];
  readonly #random: Random;
  #renamed = 0;

  constructor(runDir: string, guests: Guests, all: readonly HonestGuest[], random: Random) {
    this.#client = new HostClient(runDir);
    this.#guests = guests;
    this.#all = all;
    this.#random = random;
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const honest = this.#random.pick(this.#all);
      if (honest.busy) continue;
      honest.busy = true;
      const what = this.#random.below(100);
      if (what < 80) await this.#reconfigure(honest);
      else await this.#cut(honest, what < 90 ? this.#rename : this.#restart);
      honest.busy = false;
      await pause(restMilliseconds);
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #reconfigure(honest: HonestGuest): Promise<void> {
    const version = ++honest.version.asked;
    await this.#request('PATCH', instancePath(honest.name), { config: honest.config(version) });
    honest.version.written = version;
    this.changes++;
  }

  async #cut(honest: HonestGuest, action: (honest: HonestGuest) => Promise<void>): Promise<void> {
    honest.isCut = true;
    honest.cuts++;
    await action(honest);
    honest.isCut = false;
  }

  readonly #rename = async (honest: HonestGuest): Promise<void> => {
    const name = `guest${honest.n}-${++this.#renamed}`;
    await this.#request(
      'PUT',
      `${instancePath(honest.name)}/state`,
      { action: 'stop' },
      /already stopped|not running/i,
    );
    // A name that is gone is one that an unanswered request has changed already.
    await this.#request('POST', instancePath(honest.name), { name }, /^ApiError: Instance .* not found/);
    honest.name = name;
    await this.#start(honest);
    this.renames++;
  };

  readonly #restart = async (honest: HonestGuest): Promise<void> => {
    honest.guest.kill();
    honest.guest = this.#guests.one();
    await this.#start(honest);
    this.restarts++;
  };

  /** The end of the init before it may not have been noticed yet. */
  async #start({ name, guest: { pid } }: HonestGuest): Promise<void> {
    for (;;) {
      await this.#request('PUT', `${instancePath(name)}/state`, { action: 'start', pid }, /already running|another/i);
      const state = (await this.#request('GET', `${instancePath(name)}/state`)) as { pid: number };
      if (state.pid === pid) return;
      await pause(retryMilliseconds);
    }
  }

  /** done: an error that says that it has been done already, or cannot be yet */
  async #request(
    method: 'GET' | 'PUT' | 'POST' | 'PATCH',
    path: string,
    body?: object,
    done?: RegExp,
  ): Promise<unknown> {
    for (;;) {
      try {
        return await this.#client.request(method, path, body);
      } catch (error) {
        if (done?.test(String(error))) return undefined;
        // An operation that was under way is unknown to the next daemon.
        if (!(error instanceof ConnectionError) && !/Operation not found/.test(String(error))) throw error;
        this.repeated++;
        await pause(retryMilliseconds);
      }
    }
  }
}
