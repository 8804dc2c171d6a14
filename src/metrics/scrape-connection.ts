import type { Socket } from 'node:net';
import { longestHead, type Refusal, readScrapeRequest, type ScrapeRequest, tooLong } from './scrape-request.js';
import type { Scrape } from './scrapes.js';

/** From its accept to its end. */
const longestMilliseconds = 10_000;

/** What comes after the head is read up to this, so that the answer is not lost with a reset, and then no more. */
const mostIgnored = 64 * 1024;

/** What a connection is doing. */
export type ScrapeState = 'reading' | 'waiting' | 'writing';

/** One request, one answer, and its end: nothing that a caller sends is more than the head of a GET. */
export class ScrapeConnection {
  readonly socket: Socket;
  readonly #take: (request: ScrapeRequest) => Promise<Scrape>;
  readonly #token: string | undefined;
  #state: ScrapeState = 'reading';
  #head = Buffer.alloc(0);
  #ignored = 0;

  /** token: what the caller must show; undefined: nothing */
  constructor(socket: Socket, token: string | undefined, take: (request: ScrapeRequest) => Promise<Scrape>) {
    this.socket = socket;
    this.#take = take;
    this.#token = token;
    const timer = setTimeout(() => this.close(), longestMilliseconds).unref();
    socket.on('error', () => undefined); // it closes, which is what counts
    socket.on('close', () => clearTimeout(timer));
    socket.on('data', (data: Buffer) => this.#read(data));
  }

  get state(): ScrapeState {
    return this.#state;
  }

  close(): void {
    this.socket.destroy();
  }

  #read(data: Buffer): void {
    if (this.#state !== 'reading') {
      this.#ignored += data.length;
      if (this.#ignored > mostIgnored) this.close();
      return;
    }
    this.#head = Buffer.concat([this.#head, data.subarray(0, longestHead + 1)]);
    const end = this.#head.indexOf('\r\n\r\n');
    if (end >= 0 && end <= longestHead) void this.#answer(this.#head.toString('latin1', 0, end));
    else if (this.#head.length > longestHead) this.#refuse(tooLong);
  }

  async #answer(head: string): Promise<void> {
    this.#state = 'waiting';
    const request = readScrapeRequest(head, this.#token);
    if ('status' in request) {
      this.#refuse(request, head.startsWith('HEAD '));
      return;
    }
    try {
      const scrape = await this.#take(request);
      const pieces = request.gzip ? [await scrape.gzipped()] : scrape.pieces;
      const coding = request.gzip ? 'Content-Encoding: gzip\r\n' : '';
      this.#write('200 OK', `Content-Type: ${scrape.contentType}\r\n${coding}Vary: Accept-Encoding\r\n`, pieces);
    } catch {
      this.close(); // the daemon ends
    }
  }

  #refuse({ status, headers = '', sentence }: Refusal, headOnly = false): void {
    const body = headOnly ? [] : [Buffer.from(`${sentence}\n`)];
    this.#write(status, `Content-Type: text/plain; charset=utf-8\r\n${headers}`, body);
  }

  #write(status: string, headers: string, pieces: readonly Buffer[]): void {
    if (this.socket.destroyed) return;
    this.#state = 'writing';
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const general = `Content-Length: ${length}\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n`;
    this.socket.write(`HTTP/1.1 ${status}\r\n${headers}${general}\r\n`);
    for (const piece of pieces) this.socket.write(piece);
    this.socket.end();
  }
}
