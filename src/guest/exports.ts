import type { Socket } from 'node:net';
import type { Download } from '../images/download.js';
import type { Images } from '../images/images.js';
import type { Image } from '../images/model.js';
import { type RawConnection, transmit } from '../images/transmit.js';
import type { Log } from '../log.js';
import { UnderWay } from '../under-way.js';
import { errors } from './errors.js';
import { rawAnswer } from './reply.js';
import { Turns } from './turns.js';

/** What one instance is being sent. */
interface Line {
  readonly turns: Turns;
  readonly sockets: Set<Socket>;
}

/**
 * Sends images to guests. Of each instance so many are sent at a time and the next wait: they are not refused, and a
 * reader that stops reading holds up nobody but its own instance.
 */
export class Exports {
  readonly #images: Images;
  readonly #most: number;
  readonly #log: Log;
  readonly #lines = new Map<number, Line>();
  readonly underWay = new UnderWay();

  /** most: exports of one instance at the same time; 0: any number */
  constructor(images: Images, most: number, log: Log) {
    this.#images = images;
    this.#most = most;
    this.#log = log;
  }

  /** Answers with an image, as soon as it is the instance's turn, and closes the connection. Never throws. */
  async send(instanceId: number, connection: RawConnection, image: Image, download: Download): Promise<void> {
    const { socket } = connection;
    socket.on('error', () => undefined); // what is being written fails, too
    socket.resume(); // whatever the guest goes on to say does not matter
    const line = this.#lines.get(instanceId) ?? { turns: new Turns(this.#most), sockets: new Set() };
    this.#lines.set(instanceId, line);
    line.sockets.add(socket);
    const sent = line.turns.take(() => this.#sendNow(connection, image, download));
    this.underWay.add(sent);
    await sent;
    line.sockets.delete(socket);
    if (line.turns.idle) this.#lines.delete(instanceId);
  }

  /** Ends what an instance is being sent. */
  end(instanceId: number): void {
    for (const socket of this.#lines.get(instanceId)?.sockets ?? []) socket.destroy();
  }

  stop(): void {
    for (const id of this.#lines.keys()) this.end(id);
  }

  async #sendNow(connection: RawConnection, image: Image, { status, headers, pieces }: Download): Promise<void> {
    const { socket } = connection;
    const head = rawAnswer(status, headers);
    try {
      const { files, release } = await this.#images.open(image);
      await transmit(connection, [head, ...pieces], files).finally(release);
    } catch (error) {
      if (!socket.destroyed) this.#failed(socket, image.fingerprint, error);
    }
    socket.destroySoon();
  }

  /** Not the reader's doing. When the answer has begun, only a connection that ends too early can say so. */
  #failed(socket: Socket, fingerprint: string, error: unknown): void {
    this.#log.error({ err: error, fingerprint }, 'image export failed');
    if (socket.bytesWritten > 0) return;
    const { status, type, body } = errors.imageUnreadable;
    const length = Buffer.byteLength(body);
    const headers = [
      ['Content-Type', type],
      ['Content-Length', `${length}`],
    ] as const;
    socket.write(Buffer.concat([rawAnswer(status, headers), Buffer.from(body)]));
  }
}
