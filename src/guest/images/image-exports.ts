import { downloadOf } from '../../images/download.js';
import type { Images } from '../../images/image-library.js';
import type { LimitHits } from '../../limits/limit-hits.js';
import type { Limits } from '../../limits/limits.js';
import { isForGuests } from '../../model/image.js';
import { type Instance, peerOf } from '../../model/instance.js';
import type { SourceImages } from '../../sources/exported-images.js';
import type { GuestExchange } from '../exchange.js';
import { errors } from '../guest-errors.js';
import type { GuestLog } from '../guest-log.js';
import { type BodyReply, type ExportReply, rawReply } from '../guest-reply.js';
import { ExportQueue } from './export-queue.js';
import { sendLocalImage } from './local-image.js';
import { SourceImageSender } from './source-image.js';

/** Sends images to guests: devlxd's own, or the ones of the source that the instance belongs to. */
export class ImageExports {
  readonly #images: Images;
  readonly #ofSource: SourceImageSender | undefined;
  readonly #queue: ExportQueue;
  readonly #log: GuestLog;

  constructor(images: Images, ofSource: SourceImages | undefined, limits: Limits, limitHits: LimitHits, log: GuestLog) {
    this.#images = images;
    this.#ofSource = ofSource && new SourceImageSender(ofSource, log);
    this.#queue = new ExportQueue(limits, (id) => limitHits.add('image-exports', id));
    this.#log = log;
  }

  /**
   * Takes the connection and sends the image on it.
   * @param count told the status, unless the guest has left before there is one
   * @returns what is to be answered instead
   */
  send(
    exchange: GuestExchange,
    slot: number,
    instance: Instance,
    reply: ExportReply,
    count: (status: string) => void,
  ): BodyReply | undefined {
    if (peerOf(instance) === undefined) return this.#sendOwn(exchange, slot, instance, reply, count);
    this.#sendOfSource(exchange, slot, instance, reply, count);
    return undefined;
  }

  /** how many are being sent now */
  get sending(): number {
    return this.#queue.sending;
  }

  get waiting(): number {
    return this.#queue.waiting;
  }

  /** of these that are being sent, those of the instance that has most */
  get mostOfInstance(): number {
    return this.#queue.mostOfInstance;
  }

  /** More may be sent at a time. */
  admit(): void {
    this.#queue.admit();
  }

  /** Ends what an instance is being sent. */
  end(instanceId: number): void {
    this.#queue.end(instanceId);
  }

  /** Waits for readers, but not longer than that, and ends what is left. */
  async linger(seconds: number): Promise<void> {
    await this.#queue.inFlight.ended(seconds);
    this.#queue.stop();
  }

  #sendOwn(
    exchange: GuestExchange,
    slot: number,
    { id }: Instance,
    { fingerprint, conditions }: ExportReply,
    count: (status: string) => void,
  ): BodyReply | undefined {
    const image = this.#images.get(fingerprint);
    if (image === undefined) return this.#sendOfFleet(exchange, slot, id, { fingerprint, conditions }, count);
    if (!isForGuests(image)) return errors.noSuchImage(fingerprint);
    const download = downloadOf(image, conditions);
    const pieces = exchange.snapshot.method === 'HEAD' ? [] : download.pieces;
    const connection = exchange.takeConnection(slot);
    count(download.status);
    if (connection === undefined) return undefined;
    const answer = () => sendLocalImage(connection, this.#images, image, { ...download, pieces }, this.#log);
    void this.#queue.send(id, connection.socket, answer);
    return undefined;
  }

  /** One that is not here yet is fetched in the instance's turn, and sent from here. */
  #sendOfFleet(
    exchange: GuestExchange,
    slot: number,
    instanceId: number,
    { fingerprint, conditions }: Omit<ExportReply, 'kind'>,
    count: (status: string) => void,
  ): BodyReply | undefined {
    const { origin } = this.#images;
    const offers = origin === undefined ? false : origin.offers(fingerprint);
    if (offers === undefined) return errors.imagesAway;
    if (origin === undefined || !offers) return errors.noSuchImage(fingerprint);
    const headOnly = exchange.snapshot.method === 'HEAD';
    const connection = exchange.takeConnection(slot);
    if (connection === undefined) return undefined;
    const answer = async (): Promise<void> => {
      const image = await origin.fetch(fingerprint).catch(() => undefined); // which says why in the log
      if (image === undefined) {
        count(errors.imagesAway.status);
        connection.socket.write(rawReply(errors.imagesAway, headOnly));
        return;
      }
      const download = downloadOf(image, conditions);
      count(download.status);
      const pieces = headOnly ? [] : download.pieces;
      await sendLocalImage(connection, this.#images, image, { ...download, pieces }, this.#log);
    };
    void this.#queue.send(instanceId, connection.socket, answer);
    return undefined;
  }

  /** A refusal comes from the source as well, in the instance's turn: the source is asked for few images at a time. */
  #sendOfSource(
    exchange: GuestExchange,
    slot: number,
    { id, project }: Instance,
    reply: ExportReply,
    count: (status: string) => void,
  ): void {
    const wanted = { ...reply, project, headOnly: exchange.snapshot.method === 'HEAD', chunks: exchange.chunks };
    const socket = exchange.takeConnection(slot)?.socket;
    if (socket === undefined) return;
    void this.#queue.send(id, socket, async () => this.#ofSource?.send(socket, wanted, count));
  }
}
