import type { Socket } from 'node:net';
import { InFlight } from '../../concurrency/in-flight.js';
import { Semaphore } from '../../concurrency/semaphore.js';
import type { Limits } from '../../limits/limits.js';

/** What one instance is being sent. */
interface Line {
  readonly turns: Semaphore;
  readonly sockets: Set<Socket>;
}

/**
 * The exports of images. Each instance has a number of them at a time; further ones wait and are not refused. A reader
 * that stops reading holds up only its own instance.
 */
export class ExportQueue {
  readonly #limits: Limits;
  readonly #waits: (instanceId: number) => void;
  readonly #lines = new Map<number, Line>();
  readonly inFlight = new InFlight();

  /** waits: told of each that has to wait */
  constructor(limits: Limits, waits: (instanceId: number) => void) {
    this.#limits = limits;
    this.#waits = waits;
  }

  /** how many are being sent */
  get sending(): number {
    return this.#sum((turns) => turns.inside);
  }

  get waiting(): number {
    return this.#sum((turns) => turns.waiting);
  }

  /** of the instance that is being sent most */
  get mostOfInstance(): number {
    let most = 0;
    for (const { turns } of this.#lines.values()) most = Math.max(most, turns.inside);
    return most;
  }

  /** Runs answer, which never throws, as soon as it is the instance's turn, and closes the connection. Never throws. */
  async send(instanceId: number, socket: Socket, answer: () => Promise<void>): Promise<void> {
    socket.on('error', () => undefined); // what is being written fails, too
    socket.resume(); // whatever the guest goes on to say does not matter
    const line = this.#lines.get(instanceId) ?? { turns: this.#turns(), sockets: new Set() };
    this.#lines.set(instanceId, line);
    line.sockets.add(socket);
    if (line.turns.full) this.#waits(instanceId);
    const sent = line.turns.take(async () => {
      if (!socket.destroyed) await answer();
      socket.destroySoon();
    });
    this.inFlight.add(sent);
    await sent;
    line.sockets.delete(socket);
    if (line.turns.idle) this.#lines.delete(instanceId);
  }

  /** Sends more at a time, if that may be. */
  admit(): void {
    for (const { turns } of this.#lines.values()) turns.admit();
  }

  /** Ends what an instance is being sent. */
  end(instanceId: number): void {
    for (const socket of this.#lines.get(instanceId)?.sockets ?? []) socket.destroy();
  }

  stop(): void {
    for (const id of this.#lines.keys()) this.end(id);
  }

  #sum(of: (turns: Semaphore) => number): number {
    let sum = 0;
    for (const { turns } of this.#lines.values()) sum += of(turns);
    return sum;
  }

  #turns(): Semaphore {
    return new Semaphore(() => this.#limits['image-exports']);
  }
}
