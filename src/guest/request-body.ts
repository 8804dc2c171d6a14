import { exceeds } from '../limits/limits.js';
import { markedText } from '../text/utf8.js';
import type { MemoryShares, MemoryUser } from './memory-shares.js';

/** What is allocated first: as much as any body that means something needs. */
const firstBytes = 1024;

/** A body while it is being read. */
export class RequestBody implements MemoryUser {
  readonly #shares: MemoryShares;
  readonly instanceId: number;
  /** Closes the connection. */
  readonly cut: () => void;
  #bytes = Buffer.alloc(0);
  #length = 0;

  constructor(shares: MemoryShares, instanceId: number, cut: () => void) {
    this.#shares = shares;
    this.instanceId = instanceId;
    this.cut = cut;
    shares.begin(this);
  }

  /** of memory */
  get held(): number {
    return this.#bytes.length;
  }

  /** with a lone surrogate, where it is not UTF-8 */
  get text(): string {
    return markedText(this.#bytes.subarray(0, this.#length));
  }

  /** It has been read, or its connection has closed; once or more often. */
  end(): void {
    this.#shares.end(this);
  }

  /** Copies one piece. false: the body is longer than it may be. */
  add(piece: Uint8Array, most: number): boolean {
    const length = this.#length + piece.length;
    if (exceeds(most, length)) return false;
    if (length > this.#bytes.length) this.#grow(length, most);
    this.#bytes.set(piece, this.#length);
    this.#length = length;
    return true;
  }

  /** One buffer, which doubles: however small the pieces are, they cost no more than their bytes. */
  #grow(length: number, most: number): void {
    const doubled = Math.max(length, 2 * this.#bytes.length, firstBytes);
    const size = most === 0 ? doubled : Math.min(doubled, most);
    const bytes = Buffer.alloc(size);
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#shares.charge(this, size - this.#bytes.length);
    this.#bytes = bytes;
  }
}
