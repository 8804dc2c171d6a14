import { IncomingMessage, ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';
import { type Answer, idleSeconds, textOf } from './answer.js';
import type { LongReply } from './control-reply.js';
import type { ControlSocket } from './control-socket.js';
import { send } from './send-reply.js';

/** Where the answer to a request goes. After a part of a long one an answer ends the connection, so that the part is not taken for all of it. */
export interface Outgoing {
  write(answer: Answer): void;
  /** @returns the status, once the reader has all of it, or has left */
  stream(reply: LongReply): Promise<number>;
}

/** To a request that node:http has read. */
export class ParsedOutgoing implements Outgoing {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
  }

  write(answer: Answer): void {
    if (this.#response.headersSent) this.#response.destroy();
    else if (this.#request.complete) this.#end(answer);
    else setImmediate(() => (this.#request.complete ? this.#end(answer) : this.#endEarly(answer))); // may be read already
  }

  #end(answer: Answer): void {
    writeHead(this.#response, answer).end(answer.text);
  }

  #endEarly(answer: Answer): void {
    void writeEarly(this.#request, this.#response, answer);
  }

  async stream(reply: LongReply): Promise<number> {
    await send(this.#response, reply);
    return this.#response.statusCode;
  }
}

/** To a request that was read without node:http, of which a long answer only needs the response. */
export class DirectOutgoing implements Outgoing {
  readonly #socket: ControlSocket;
  #response: ServerResponse | undefined;

  constructor(socket: ControlSocket) {
    this.#socket = socket;
  }

  write(answer: Answer): void {
    if (this.#response !== undefined) {
      this.#socket.destroy();
      return;
    }
    const length = Buffer.byteLength(answer.text);
    this.#socket.answer(textOf(answer, length), length === answer.text.length ? 'latin1' : 'utf8');
  }

  async stream(reply: LongReply): Promise<number> {
    const socket = this.#socket;
    const response = responseOn(socket);
    this.#response = response;
    const drained = (): boolean => response.emit('drain');
    socket.on('drain', drained);
    response.once('finish', () => {
      response.detachSocket(socket);
      socket.off('drain', drained);
      socket.answered();
      response.emit('close');
    });
    await send(response, reply);
    return response.statusCode;
  }
}

/** The response to a GET in HTTP/1.1, as node:http makes it where it has read one. */
function responseOn(socket: ControlSocket): ServerResponse {
  const request = new IncomingMessage(socket);
  Object.assign(request, { method: 'GET', httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1 });
  const response = new ServerResponse(request);
  response.setHeader('Connection', 'keep-alive').setHeader('Keep-Alive', `timeout=${idleSeconds}`);
  response.assignSocket(socket);
  return response;
}

/** With its length, so that head and body are one write, and no chunks. */
function writeHead(response: ServerResponse, { status, type, text, headers }: Answer, more = {}): ServerResponse {
  const length = Buffer.byteLength(text);
  return response.writeHead(status, { ...headers, 'Content-Type': type, 'Content-Length': length, ...more });
}

/** How long what is refused may go on coming. */
const refusedMilliseconds = 2000;

/**
 * Writes an answer before all of the request has come. The rest of it must not be taken for the next request, so
 * the connection is closed; but not at once, because what is sent into a closed one costs the sender the answer.
 */
async function writeEarly(request: IncomingMessage, response: ServerResponse, answer: Answer): Promise<void> {
  writeHead(response, answer, { Connection: 'close' }).write(answer.text);
  const signal = AbortSignal.timeout(refusedMilliseconds);
  await finished(request.resume(), { signal }).catch(() => undefined);
  response.end();
}
