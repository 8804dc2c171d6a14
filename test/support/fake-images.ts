import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface FakeImage {
  readonly fingerprint: string;
  readonly project: string;
  readonly public: boolean;
  readonly cached: boolean;
  /** 'split': as a form, which LXD sends without a length */
  readonly form: 'unified' | 'split';
  readonly size: number;
  readonly filename: string;
}

const piece = Buffer.alloc(64 * 1024, 'devlxd');

/** The n-th byte of every image is the n-th of this, over and over. */
export function imageBytes(start: number, end: number): Buffer {
  return Buffer.concat(
    Array.from({ length: Math.ceil(end / piece.length) }, () => piece),
    end,
  ).subarray(start);
}

/** LXD's images as lxd/images.go and Go's http.ServeContent give them. */
export class FakeImages {
  readonly images: FakeImage[] = [];
  readonly exports = { inAll: 0, atOnce: 0, mostAtOnce: 0, bytes: 0 };
  /** the body ends, or the connection breaks, after this many bytes */
  breaksAfter = Number.POSITIVE_INFINITY;

  add(fingerprint: string, given: Partial<FakeImage> = {}): void {
    const image = {
      project: 'default',
      public: false,
      cached: false,
      form: 'unified',
      size: 1000,
      filename: `${fingerprint}.tar.xz`,
    } as const;
    this.images.push({ fingerprint, ...image, ...given });
  }

  /** undefined: not found */
  find(beginning: string, project: string): FakeImage | undefined {
    return this.images.find((image) => image.fingerprint.startsWith(beginning) && image.project === project);
  }

  async export(image: FakeImage, { headers: { range } }: IncomingMessage, response: ServerResponse): Promise<void> {
    this.exports.inAll++;
    this.exports.mostAtOnce = Math.max(this.exports.mostAtOnce, ++this.exports.atOnce);
    response.on('close', () => this.exports.atOnce--);
    const first = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    if (image.form === 'split') {
      response.writeHead(200, { 'Content-Type': 'multipart/form-data; boundary=b0undary' });
    } else {
      response.writeHead(first > 0 ? 206 : 200, {
        'Content-Type': 'application/octet-stream',
        'Content-Disposition': `inline;filename=${Buffer.from(image.filename).toString('latin1')}`,
        'Accept-Ranges': 'bytes',
        'Last-Modified': 'Mon, 23 Nov 2026 12:00:00 GMT',
        'Content-Length': image.size - first,
        ...(first > 0 ? { 'Content-Range': `bytes ${first}-${image.size - 1}/${image.size}` } : {}),
      });
    }
    const body = Readable.from(this.#bytes(first, image.size));
    await pipeline(body, response).catch(() => response.destroy());
  }

  async *#bytes(first: number, size: number): AsyncGenerator<Buffer> {
    for (let at = first; at < size; ) {
      const start = at % piece.length;
      const next = piece.subarray(start, Math.min(piece.length, start + size - at));
      if (at + next.length > this.breaksAfter) throw new Error('broken');
      yield next;
      at += next.length;
      this.exports.bytes += next.length;
    }
  }
}
