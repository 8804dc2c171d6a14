import { once } from 'node:events';
import type { Socket } from 'node:net';

/** A connection, and the answers that come on it, in order. */
export class Line {
  readonly socket: Socket;
  readonly closed: Promise<'closed'>;
  #text = '';
  #head = false;

  constructor(socket: Socket) {
    this.socket = socket.setEncoding('latin1').on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.on('close', () => resolve('closed')));
    socket.on('data', (data: string) => {
      this.#text += data;
    });
  }

  /** What has come behind the answers that were asked for. */
  get unread(): string {
    return this.#text;
  }

  /** The next answer: status, headers but for the date, body. */
  async next(): Promise<string> {
    for (;;) {
      const head = this.#text.indexOf('\r\n\r\n') + 4;
      const length = this.#head
        ? 0
        : Number(/^content-length: (\d+)/im.exec(this.#text.slice(0, head))?.[1] ?? Number.NaN);
      if (head > 3 && this.#text.length >= head + length) {
        const answer = this.#text.slice(0, head + length);
        this.#text = this.#text.slice(head + length);
        this.#head = false;
        return answer.replace(/^(Date|uWebSockets): .*\r\n/gm, '');
      }
      const came = await Promise.race([once(this.socket, 'data'), this.closed]);
      if (came === 'closed') throw new Error(`closed after ${JSON.stringify(this.#text.slice(0, 300))}`);
    }
  }

  /** The next answer has no body, as one to HEAD. */
  expectHead(): void {
    this.#head = true;
  }

  async ask(request: string): Promise<string> {
    this.socket.write(request);
    return this.next();
  }
}
