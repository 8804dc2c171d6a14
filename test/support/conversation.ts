import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventually } from './eventually.js';

/** A connection of the control socket on which bytes are sent as they are. */
export class Conversation {
  readonly socket: Socket;
  received = '';
  closed = false;

  private constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.setEncoding('utf8').on('data', (data: string) => {
      this.received += data;
    });
    this.socket.on('error', () => undefined);
    this.socket.on('end', () => {
      this.closed = true;
      this.socket.end();
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  static async begin(path: string): Promise<Conversation> {
    const conversation = new Conversation(path);
    await once(conversation.socket, 'connect');
    return conversation;
  }

  /** Until the kernel has it */
  send(bytes: string | Buffer): Promise<void> {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  /** The answer to one request that has a whole answer with its length. */
  async ask(bytes: string | Buffer, isAnswered = isWhole): Promise<string> {
    const before = this.received.length;
    await this.send(bytes);
    await eventually('it is answered', () => this.closed || isAnswered(this.received.slice(before)));
    return this.received.slice(before);
  }

  end(): void {
    this.socket.destroy();
  }
}

function isWhole(answer: string): boolean {
  const [head = '', ...rest] = answer.split('\r\n\r\n');
  if (rest.length === 0) return false;
  const length = /^HTTP\/1\.1 \d+ [\w ]+\r\n(?:.*\r\n)*content-length: (\d+)/i.exec(head)?.[1];
  return Buffer.byteLength(rest.join('\r\n\r\n')) >= Number(length ?? 0);
}
