import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { HostClient, instancePath } from '../../src/cli/with-client.js';
import { Random } from '../fuzz/random.js';
import { TestDaemon } from '../support/daemon.js';
import { EventStream, type GuestEvent } from '../support/event-stream.js';
import { type Guest, Guests } from '../support/guest-processes.js';

export interface EventsOptions {
  readonly seed: number;
  readonly guests: number;
  /** of each guest */
  readonly changes: number;
  /** how often the daemon is killed with -9 meanwhile */
  readonly kills: number;
  readonly progress?: (changed: number) => void;
}

export interface EventsResult {
  readonly events: number;
  readonly reconnects: number;
  /** operators' requests that were under way when the daemon was killed, and were made again */
  readonly repeated: number;
}

const operators = 16;
const retryMilliseconds = 20;

/**
 * Guests that listen, leave and come back at random while operators change them and the daemon is killed. Every
 * listener must hear every change of its own guest, once, in order, and nothing else.
 */
export async function eventsAtScale(options: EventsOptions): Promise<EventsResult> {
  const daemon = await TestDaemon.start();
  const guests = new Guests();
  try {
    return await run(daemon, guests, options);
  } finally {
    await guests.close();
    await daemon.remove();
  }
}

async function run(daemon: TestDaemon, guests: Guests, options: EventsOptions): Promise<EventsResult> {
  const random = new Random(options.seed);
  const listeners = guests.spawn(options.guests).map((guest, n) => new Listener(`g${n}`, guest, daemon, random));
  await Promise.all(listeners.map(({ name, guest }) => daemon.register(name, guest.pid)));
  for (const listener of listeners) await listener.open();
  const listening = Promise.all(listeners.map((listener) => listener.listenFor(options.changes)));
  const changing = new Changing(daemon, options);
  await Promise.all([changing.run(listeners.map(({ name }) => name)), listening]);
  for (const listener of listeners) listener.check(options.changes);
  const reconnects = listeners.reduce((sum, listener) => sum + listener.reconnects, 0);
  return { events: options.guests * options.changes, reconnects, repeated: changing.repeated };
}

/** The operators: each guest's key counts up, and whoever meets a dead daemon tries again. */
class Changing {
  repeated = 0;
  readonly #daemon: TestDaemon;
  readonly #options: EventsOptions;
  #changed = 0;

  constructor(daemon: TestDaemon, options: EventsOptions) {
    this.#daemon = daemon;
    this.#options = options;
  }

  async run(names: readonly string[]): Promise<void> {
    const { changes, kills } = this.#options;
    for (let n = 0; n < changes; n++) {
      const todo = [...names];
      const round = Promise.all(Array.from({ length: operators }, () => this.#operator(todo, n)));
      const isKill = kills > 0 && (n + 1) % Math.ceil(changes / (kills + 1)) === 0;
      if (isKill) await this.#kill();
      await round;
    }
  }

  async #operator(todo: string[], n: number): Promise<void> {
    const client = new HostClient(this.#daemon.runDir);
    for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
      while (!(await this.#change(client, name, n))) await pause(retryMilliseconds);
      this.#options.progress?.(++this.#changed);
    }
    await client.close();
  }

  async #change(client: HostClient, name: string, n: number): Promise<boolean> {
    try {
      await client.request('PATCH', instancePath(name), { config: { 'user.n': String(n) } });
      return true;
    } catch {
      this.repeated++;
      return false;
    }
  }

  async #kill(): Promise<void> {
    await this.#daemon.end('SIGKILL');
    await this.#daemon.run();
  }
}

class Listener {
  readonly name: string;
  readonly guest: Guest;
  reconnects = 0;
  readonly #daemon: TestDaemon;
  readonly #random: Random;
  readonly #heard: GuestEvent[] = [];
  #stream: EventStream | undefined;

  constructor(name: string, guest: Guest, daemon: TestDaemon, random: Random) {
    this.name = name;
    this.guest = guest;
    this.#daemon = daemon;
    this.#random = random;
  }

  /** A WebSocket or a chunked stream, from where it left off. */
  async open(): Promise<void> {
    const last = this.#heard.at(-1)?.timestamp;
    const query = last === undefined ? '' : `?since=${last}`;
    const way = this.#random.percent(50) ? EventStream.webSocket : EventStream.chunked;
    for (;;) {
      try {
        this.#stream = await way(this.guest, this.#daemon.socket, query);
        return;
      } catch (error) {
        assert.doesNotMatch(String(error), /410 Gone|response: 410/, 'the events of so short a time are kept');
        await pause(retryMilliseconds);
      }
    }
  }

  async listenFor(count: number): Promise<void> {
    while (this.#heard.length < count) {
      const stream = this.#stream as EventStream;
      const enough = Math.min(count - this.#heard.length, 1 + this.#random.below(count / 4));
      await stream.atLeast(enough);
      stream.end();
      this.#heard.push(...stream.events);
      if (this.#heard.length >= count) return;
      this.reconnects++;
      await this.open();
    }
  }

  check(count: number): void {
    const values = this.#heard.map(({ metadata }) => metadata['value']);
    assert.deepEqual(
      values,
      Array.from({ length: count }, (_, n) => String(n)),
      this.name,
    );
    const stamps = this.#heard.map(({ timestamp }) => timestamp);
    assert.deepEqual([...new Set(stamps)].sort(), stamps);
  }
}
