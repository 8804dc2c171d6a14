import type { EventEmitter } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Answer, readAnswer } from './answer.js';
import { ConnectionError } from './client-errors.js';
import { HeldRequest } from './held-request.js';

export type Headers = Readonly<Record<string, string>>;

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers?: Headers;
  readonly body?: string | Uint8Array | Readable;
  /** on a connection of its own, for what takes long */
  readonly alone?: boolean;
  /** ends it, answered or not */
  readonly signal?: AbortSignal | undefined;
}

/** Opens a connection to a daemon. */
export type Connect = () => Socket;

/** One connection, kept open: requests are answered in the order in which they were made. */
class OneConnection extends Agent {
  readonly #connect: Connect;

  constructor(open: Connect) {
    super({ keepAlive: true, maxSockets: 1 });
    this.#connect = open;
  }

  override createConnection(): Socket {
    return this.#connect();
  }
}

/** What is used of a WebSocket of ws, so that programs with this library need no types of ws. */
export interface EventSocket extends EventEmitter {
  pause(): void;
  resume(): void;
  terminate(): void;
}

/** HTTP and WebSockets over a Unix socket. */
export class Connection {
  readonly path: string;
  readonly #connect: Connect;
  readonly #kept: OneConnection;

  /** open: gives a connection that was made elsewhere */
  constructor(path: string, open: Connect = () => connect(path)) {
    this.path = path;
    this.#connect = open;
    this.#kept = new OneConnection(open);
  }

  /**
   * The answer, whatever its status.
   * @throws ConnectionError
   */
  async ask(asked: Asked): Promise<Answer> {
    const response = await this.stream(asked);
    const answer = await readAnswer(response).catch(this.#fail);
    if (asked.alone) response.destroy(); // an upload may have been refused before it was through
    return answer;
  }

  /** Sends all but the end of a request, on a connection of its own. */
  hold({ method, path, headers }: Omit<Asked, 'body'>, body: Uint8Array): HeldRequest {
    const own = { host: 'devlxd', 'content-length': String(body.length), ...headers };
    return new HeldRequest(request({ createConnection: this.#connect, method, path, headers: own }), body);
  }

  /**
   * Sends that end; the answer, whatever its status.
   * @throws ConnectionError
   */
  release(held: HeldRequest): Promise<Answer> {
    return held.release().catch(this.#fail);
  }

  /**
   * The same with a body that is yet to be read; it must be, or be destroyed.
   * @throws ConnectionError
   */
  async stream(asked: Asked): Promise<IncomingMessage> {
    try {
      return await this.#send(asked);
    } catch (error) {
      if (error instanceof OutOfDate && (asked.method !== 'POST' || error.isUnsent))
        return await this.#send(asked).catch(this.#fail);
      return this.#fail(error as Error);
    }
  }

  /** handshakeTimeout: milliseconds; 0: none */
  async webSocket(path: string, handshakeTimeout = 0): Promise<EventSocket> {
    const { WebSocket } = await import('ws'); // which most commands do without
    // node:http only sets the time limit on connections that it has made itself; ws takes it away when it is open.
    const createConnection = () => this.#connect().setTimeout(handshakeTimeout);
    return new WebSocket(`ws://devlxd${path}`, { createConnection, handshakeTimeout, perMessageDeflate: false });
  }

  /** Ends what is open, answered or not. */
  close(): void {
    this.#kept.destroy();
  }

  #send({ method, path, headers = {}, body, alone = false, signal }: Asked): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const agent = alone ? { createConnection: this.#connect } : { agent: this.#kept };
      const sent = request({ ...agent, method, path, signal, headers: { host: 'devlxd', ...headers } });
      sent.on('response', resolve);
      sent.on('error', (error) => reject(sent.reusedSocket ? new OutOfDate(error) : error));
      if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) sent.end(body);
      else pipeline(body, sent).catch(reject);
    });
  }

  readonly #fail = (error: Error): never => {
    throw new ConnectionError(this.path, error instanceof OutOfDate ? error.cause : error);
  };
}

/** The daemon has closed a connection that was open for long, while it was being used again. */
class OutOfDate extends Error {
  override readonly cause: Error;

  constructor(cause: Error) {
    super();
    this.cause = cause;
  }

  /** The last byte has not left: the daemon does nothing for a request that is not whole. */
  get isUnsent(): boolean {
    return (this.cause as NodeJS.ErrnoException).code === 'EPIPE';
  }
}
