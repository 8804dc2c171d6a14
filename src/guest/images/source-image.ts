import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { Conditions } from '../../images/download.js';
import type { SourceImages } from '../../sources/exported-images.js';
import { errorsOf } from '../guest-errors.js';
import type { GuestLog } from '../guest-log.js';
import { type BodyReply, rawAnswer, rawReply } from '../guest-reply.js';

/** The image that a guest has asked for. */
export interface WantedImage {
  /** of the instance */
  readonly project: string;
  readonly fingerprint: string;
  readonly conditions: Conditions;
  /** without the file */
  readonly headOnly: boolean;
  /** may a body without a length come in chunks? */
  readonly chunks: boolean;
}

const passedStatuses = [200, 206, 304, 416];
const passedHeaders = [
  'Content-Type',
  'Content-Disposition',
  'Content-Length',
  'Content-Range',
  'Accept-Ranges',
  'ETag',
  'Last-Modified',
  'X-Incus-Type',
  'Date',
];

/** Hands the images of a source on to guests, as they come. */
export class SourceImageSender {
  readonly #images: SourceImages;
  readonly #log: GuestLog;
  #failing = false;

  constructor(images: SourceImages, log: GuestLog) {
    this.#images = images;
    this.#log = log;
  }

  /**
   * Answers with an image of the source, read no faster than the guest reads. Never throws.
   * begun: told the status, unless the guest has gone before there is one
   */
  async send(socket: Socket, wanted: WantedImage, begun: (status: string) => void): Promise<void> {
    const answer = await this.#ask(socket, wanted);
    if (answer === undefined) return;
    if ('kind' in answer) {
      begun(answer.status);
      socket.write(rawReply(answer, wanted.headOnly));
      return;
    }
    begun(statusOf(answer));
    await pass(answer, socket, wanted).catch(() => socket.destroy()); // the source or the guest has gone
  }

  /** undefined: the guest has gone */
  async #ask(socket: Socket, wanted: WantedImage): Promise<IncomingMessage | BodyReply | undefined> {
    const { project, fingerprint, conditions } = wanted;
    const errors = errorsOf(this.#images.name);
    const gone = new AbortController();
    socket.once('close', () => gone.abort());
    try {
      const answer = await this.#images.export(project, fingerprint, conditions, gone.signal);
      this.#failing = false;
      if (answer === undefined || answer.statusCode === 404) return discard(answer, errors.noSuchImage(fingerprint));
      if (passedStatuses.includes(answer.statusCode ?? 0)) return answer;
      discard(answer, errors.imagesAway);
      throw new Error(`the export of an image was answered with ${answer.statusCode}`);
    } catch (error) {
      if (socket.destroyed) return undefined;
      this.#failed(error, fingerprint);
      return errors.imagesAway;
    }
  }

  /** Told once: guests may ask as often as they like. */
  #failed(error: unknown, fingerprint: string): void {
    if (!this.#failing) this.#log.warn({ err: error, fingerprint }, 'images of the source cannot be had');
    this.#failing = true;
  }
}

function discard(answer: IncomingMessage | undefined, reply: BodyReply): BodyReply {
  answer?.on('error', () => undefined).destroy();
  return reply;
}

function statusOf({ statusCode = 0 }: IncomingMessage): string {
  return `${statusCode} ${STATUS_CODES[statusCode]}`;
}

async function pass(answer: IncomingMessage, socket: Socket, { headOnly, chunks }: WantedImage): Promise<void> {
  const headers = passedHeaders.flatMap((name): [string, string][] => {
    const value = answer.headers[name.toLowerCase()];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  const chunked = chunks && answer.headers['content-length'] === undefined;
  socket.write(rawAnswer(statusOf(answer), chunked ? [...headers, ['Transfer-Encoding', 'chunked']] : headers));
  if (headOnly) answer.on('error', () => undefined).destroy();
  else if (chunked) await pipeline(answer, inChunks, socket, { end: false });
  else await pipeline(answer, socket, { end: false });
}

/** RFC 9112, 7.1: a body whose end can be told from a connection that broke. */
async function* inChunks(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of body) {
    yield Buffer.from(`${piece.length.toString(16)}\r\n`);
    yield piece;
    yield Buffer.from('\r\n');
  }
  yield Buffer.from('0\r\n\r\n');
}
