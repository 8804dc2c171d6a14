import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { type Expected, type ModelGuest, type Prediction, predict } from './model.js';

/** What is written at once, perhaps not before so many answers have come. */
export interface Piece {
  readonly bytes: Buffer;
  readonly after?: number;
}

/** More than any answer takes, on a machine that does other things as well: what has not come by then never comes. */
const patienceMilliseconds = 30_000;
const question = Buffer.from('GET /1.0/config/user.mark HTTP/1.1\r\nHost: lxd\r\n\r\n');
const state = /"state":"(?:Started|Ready)"/g;

/** One connection, which is held against the model. */
export class Conversation {
  readonly #guest: ModelGuest;
  readonly #socket: Socket;
  readonly #closed: Promise<unknown>;
  #isClosed = false;
  #received = '';
  /** of what was received, what has been looked at, and how many answers that were */
  #seen = 0;
  #answers = 0;

  constructor(guest: ModelGuest, socket: Socket) {
    this.#guest = guest;
    this.#socket = socket.setEncoding('latin1').on('error', () => undefined);
    socket.on('data', (data: string) => {
      this.#received += data;
    });
    this.#closed = new Promise<void>((resolve) => {
      socket.once('close', () => {
        this.#isClosed = true;
        resolve();
      });
    });
  }

  /** @returns what is wrong about the answers, in a sentence */
  async hold(pieces: readonly Piece[]): Promise<string | undefined> {
    const timeout = AbortSignal.timeout(patienceMilliseconds);
    timeout.onabort = () => this.#socket.destroy();
    try {
      const wrong = await this.#hold(pieces);
      return timeout.aborted ? `${wrong ?? 'nothing more came'}, and nothing happened any more` : wrong;
    } finally {
      timeout.onabort = null;
      this.#socket.destroy();
    }
  }

  async #hold(pieces: readonly Piece[]): Promise<string | undefined> {
    const all = Buffer.concat(pieces.map(({ bytes }) => bytes));
    const isOpen = predict(this.#guest, all).left === 'open';
    const whole = isOpen ? Buffer.concat([all, question]) : all;
    const expected = predict(this.#guest, whole);
    let sent = 0;
    for (const { bytes, after } of isOpen ? [...pieces, { bytes: question }] : pieces) {
      if (after !== undefined) {
        const wrong = await this.#see(expected, after);
        if (wrong !== undefined) return wrong;
      } else if (sent > 0) await turn();
      // A write to a connection that the daemon closes would take answers that are under way from us.
      if (sent > 0 && predict(this.#guest, whole.subarray(0, sent)).left === 'closed') break;
      this.#socket.write(bytes);
      sent += bytes.length;
    }
    return (await this.#see(expected, expected.answers.length)) ?? this.#end(expected);
  }

  async #end({ left }: Prediction): Promise<string | undefined> {
    if (left === 'closed') await this.#closed;
    if (left === 'detached' || this.#seen === this.#received.length) return undefined;
    return `more than was asked for: ${excerpt(this.#received.slice(this.#seen))}`;
  }

  /** Waits for the first answers. */
  async #see({ answers }: Prediction, count: number): Promise<string | undefined> {
    while (this.#answers < count) {
      const expected = answers[this.#answers] as Expected;
      const got = this.#next(expected);
      if (typeof got === 'string') return `answer ${this.#answers + 1}: ${got}`;
      if (got) this.#answers++;
      else if (this.#isClosed)
        return `closed instead of answer ${this.#answers + 1}, ${told(expected)}, behind ${excerpt(this.#received.slice(-100))}`;
      else await Promise.race([this.#more(), this.#closed]);
    }
    return undefined;
  }

  /** A write that fails is followed by the close; what came before counts all the same. */
  #more(): Promise<unknown> {
    return new Promise((resolve) => this.#socket.once('data', resolve));
  }

  /** True: it has come, and is right. False: it has not come whole. */
  #next(expected: Expected): boolean | string {
    // A client that waits for its body's turn is told at once; RFC 9110, 10.1.1.
    const rest = this.#received.slice(this.#seen).replace(/^(?:HTTP\/1\.1 100 Continue\r\n\r\n)+/, '');
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const head = rest.slice(0, end + 2);
    if (expected.orRefused && head.startsWith('HTTP/1.1 400 ')) {
      this.#seen = this.#received.length;
      return true;
    }
    const wrong = wrongHead(head, expected);
    if (wrong !== undefined) return `${wrong} in ${excerpt(rest)}, not ${told(expected)}`;
    const announced = headersOf(head).get('content-length') ?? expected.body?.length ?? 0;
    const length = expected.isHead || expected.body === undefined ? 0 : Number(announced);
    const body = rest.slice(end + 4, end + 4 + length);
    if (body.length < length) return false;
    this.#seen = this.#received.length - rest.length + end + 4 + length;
    const isRight = expected.isHead || expected.body === undefined || plain(body) === plain(expected.body);
    return isRight || `the body is ${excerpt(body)}, not ${excerpt(expected.body as string)}`;
  }
}

function headersOf(head: string): ReadonlyMap<string, string> {
  const lines = [...head.matchAll(/^([\w-]+): ?(.*)\r$/gm)];
  return new Map(lines.map(([, name = '', value = '']) => [name.toLowerCase(), value]));
}

/** Streams and images tell more of themselves than the model does. */
function wrongHead(head: string, { status, headers, body }: Expected): string | undefined {
  if (!head.startsWith(`HTTP/1.1 ${status} `)) return 'another status';
  const given = headersOf(head);
  const absent = body === undefined ? [] : ['connection', 'x-content-type-options'];
  for (const name of new Set([...Object.keys(headers), ...absent])) {
    const isOfState = name === 'content-length' && plain(body ?? '') !== body;
    if (!isOfState && given.get(name) !== headers[name]) return `another ${name}`;
  }
  return undefined;
}

function plain(body: string): string {
  return body.replace(state, '"state":"..."');
}

function told({ status, body = 'a stream' }: Expected): string {
  return `${status} ${excerpt(body)}`;
}

export function excerpt(text: string): string {
  return JSON.stringify(text.slice(0, 300));
}
