import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { Connection, type Headers } from '../client/connection.js';
import { dialects, type SourceSetting } from './dialects.js';

/** A source's own API, on its socket. What is not answered in time fails: a source that hangs holds up nothing for ever. */
export class SourceApi {
  readonly #source: SourceSetting;
  readonly #seconds: number;
  // One request after the other, however many there are to be made.
  readonly #connection: Connection;

  /** seconds: how long an answer may take; 0: any time */
  constructor(source: SourceSetting, seconds: number) {
    this.#source = source;
    this.#seconds = seconds;
    this.#connection = new Connection(source.socketPath);
  }

  /**
   * What is in the answer; undefined: not found. patience: as many times longer may it take
   * @throws Error, which says whose answer it is, or is not
   */
  async get(path: string, patience = 1): Promise<unknown> {
    const seconds = this.#seconds * patience;
    const signal = seconds === 0 ? undefined : AbortSignal.timeout(seconds * 1000);
    const { status, text } = await this.#connection
      .ask({ method: 'GET', path, signal })
      .catch((error: Error) => this.#fail(path, signal?.aborted ? `no answer within ${seconds} s` : reasonOf(error)));
    if (status === 404) return undefined;
    if (status !== 200) this.#fail(path, `${status} ${text.slice(0, 200)}`);
    return (JSON.parse(text) as { metadata: unknown }).metadata;
  }

  /**
   * The answer, whatever its status, on a connection of its own; only its head must come in time. gone: ends it, also
   * while its body is read
   * @throws Error
   */
  async stream(path: string, headers: Headers, gone: AbortSignal): Promise<IncomingMessage> {
    const late = new AbortController();
    const timer = this.#seconds === 0 ? undefined : setTimeout(() => late.abort(), this.#seconds * 1000);
    const signal = AbortSignal.any([gone, late.signal]);
    try {
      return await this.#connection.stream({ method: 'GET', path, headers, alone: true, signal });
    } catch (error) {
      return this.#fail(path, late.signal.aborted ? `no answer within ${this.#seconds} s` : reasonOf(error as Error));
    } finally {
      clearTimeout(timer);
    }
  }

  webSocket(path: string): WebSocket {
    return this.#connection.webSocket(path, this.#seconds * 1000);
  }

  /** Requests under way fail. */
  close(): void {
    this.#connection.close();
  }

  #fail(path: string, reason: string): never {
    const { name, socketPath } = this.#source;
    throw new Error(`${dialects[name].title} on ${socketPath}: GET ${path}: ${reason}`);
  }
}

/** Without the sentence that is for those who look for a devlxd. */
function reasonOf({ message, cause }: Error): string {
  return cause instanceof Error ? cause.message : message;
}
