import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type Asked, Connection, type EventSocket, type Headers } from '../client/connection.js';
import { dialects, type SourceSetting } from '../config/dialects.js';
import type { Limits } from '../limits/limits.js';
import { socketPathOf } from './source-socket.js';

/** How long a source may take to answer; 0: any time. */
export type SourceLimits = Pick<Limits, 'source-seconds'>;

/** The source has answered, with neither what it was asked for nor that there is none. */
export class Refused extends Error {}

/** A source's own API, on its socket. Each request has a time limit, so a source that hangs blocks nothing. */
export class SourceApi {
  readonly #source: SourceSetting;
  readonly #limits: SourceLimits;
  // One request after the other, however many there are to be made.
  readonly #connection: Connection;
  /** what waits for an answer */
  readonly #waiting = new Set<AbortController>();
  #closed = false;
  #socketPath: string;

  constructor(source: SourceSetting, limits: SourceLimits) {
    this.#source = source;
    this.#limits = limits;
    this.#socketPath = source.socketPath;
    const open = (): Socket => {
      this.#socketPath = socketPathOf(source);
      return connect(this.#socketPath);
    };
    this.#connection = new Connection(source.socketPath, open);
  }

  /** at which it was asked last */
  get socketPath(): string {
    return this.#socketPath;
  }

  /**
   * What is in the answer; undefined: not found. patience: as many times longer may it take
   * @throws Refused when the answer is another; Error, which says that there was none
   */
  get(path: string, patience = 1): Promise<unknown> {
    return this.#answer({ method: 'GET', path }, patience);
  }

  /** The same, of a change of what is there. */
  patch(path: string, change: object): Promise<unknown> {
    const headers = { 'Content-Type': 'application/json' };
    return this.#answer({ method: 'PATCH', path, headers, body: JSON.stringify(change) }, 1);
  }

  async #answer(asked: Asked, patience: number): Promise<unknown> {
    const ask = (signal: AbortSignal) => this.#connection.ask({ ...asked, signal });
    const { status, text } = await this.#inTime(asked, this.#limits['source-seconds'] * patience, ask);
    if (status === 404) return undefined;
    if (status !== 200) throw new Refused(this.#sentence(asked, `${status} ${text.slice(0, 200)}`));
    return (JSON.parse(text) as { metadata: unknown }).metadata;
  }

  /**
   * The answer, whatever its status, on a connection of its own; only its head must come in time. gone: ends it, also
   * while its body is read
   * @throws Error
   */
  stream(path: string, headers: Headers, gone: AbortSignal): Promise<IncomingMessage> {
    const asked = { method: 'GET', path, headers, alone: true };
    return this.#inTime(asked, this.#limits['source-seconds'], (waiting) =>
      this.#connection.stream({ ...asked, signal: AbortSignal.any([gone, waiting]) }),
    );
  }

  async webSocket(path: string): Promise<EventSocket> {
    const socket = await this.#connection.webSocket(path, this.#limits['source-seconds'] * 1000);
    if (this.#closed) socket.terminate();
    return socket;
  }

  /** What waits for an answer fails, and so does what is asked from here on. */
  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting) waiting.abort();
    this.#connection.close();
  }

  async #inTime<Result>(asked: Asked, seconds: number, ask: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    if (this.#closed) this.#fail(asked, 'closed');
    const waiting = new AbortController();
    this.#waiting.add(waiting);
    let late = false;
    const giveUp = (): void => {
      late = true;
      waiting.abort();
    };
    const timer = seconds === 0 ? undefined : setTimeout(giveUp, seconds * 1000);
    try {
      return await ask(waiting.signal);
    } catch (error) {
      return this.#fail(asked, late ? `no answer within ${seconds} s` : reasonOf(error as Error));
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(waiting);
    }
  }

  #fail(asked: Asked, reason: string): never {
    throw new Error(this.#sentence(asked, reason));
  }

  #sentence({ method, path }: Asked, reason: string): string {
    return `${dialects[this.#source.name].title} on ${this.#socketPath}: ${method} ${path}: ${reason}`;
  }
}

/** Without the sentence that helps to find a devlxd: this is another daemon. */
function reasonOf({ message, cause }: Error): string {
  return cause instanceof Error ? cause.message : message;
}
