import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';

/** A connection of a guest, and the answers that have come on it, in order; each character is a byte. */
export class AnswerLine {
  readonly socket: Socket;
  readonly closed: Promise<'closed'>;
  #text = '';

  constructor(socket: Socket) {
    this.socket = socket;
    this.socket.setEncoding('latin1').on('error', () => undefined);
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve('closed')));
    this.socket.on('data', (data: string) => {
      this.#text += data;
    });
  }

  /** The next answer as it came: status, headers, body. */
  async whole(): Promise<string> {
    for (;;) {
      const head = this.#text.indexOf('\r\n\r\n') + 4;
      const length = Number(/^content-length: (\d+)/im.exec(this.#text.slice(0, head))?.[1] ?? Number.NaN);
      if (head > 3 && this.#text.length >= head + length) {
        const answer = this.#text.slice(0, head + length);
        this.#text = this.#text.slice(head + length);
        return answer;
      }
      const came = await Promise.race([once(this.socket, 'data'), this.closed]);
      assert.notEqual(came, 'closed', `after ${this.#text}`);
    }
  }

  /** The same without what the moment and the way of the answer decide. */
  async next(): Promise<string> {
    return plainAnswer(await this.whole());
  }

  async ask(request: string): Promise<string> {
    this.socket.write(request, 'latin1');
    return this.next();
  }
}

export function plainAnswer(answer: string): string {
  return answer.replace(/^(Date|uWebSockets): .*\r\n/gm, '');
}

/** Only uWebSockets names itself. */
export function isOfUws(answer: string): boolean {
  return /^uWebSockets: /m.test(answer.split('\r\n\r\n', 1)[0] ?? '');
}
