import type { LimitHits } from '../limits/limit-hits.js';
import { exceeds, type Limits } from '../limits/limits.js';
import { markedText } from '../text/utf8.js';

/** What is allocated first: as much as any body that means something needs. */
const firstBytes = 1024;

/** A body while it is being read. */
export class RequestBody {
  readonly #bodies: RequestBodies;
  readonly instanceId: number;
  /** Closes the connection. */
  readonly cut: () => void;
  #bytes = Buffer.alloc(0);
  #length = 0;

  constructor(bodies: RequestBodies, instanceId: number, cut: () => void) {
    this.#bodies = bodies;
    this.instanceId = instanceId;
    this.cut = cut;
  }

  /** of memory */
  get held(): number {
    return this.#bytes.length;
  }

  /** with a lone surrogate, where it is not UTF-8 */
  get text(): string {
    return markedText(this.#bytes.subarray(0, this.#length));
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
    this.#bodies.charge(this, size - this.#bytes.length);
    this.#bytes = bytes;
  }
}

/**
 * The bodies that have begun and not ended, oldest first. A body that a client means to send is here for a moment; when
 * they take more memory than they may, the oldest one is of a client that does not go on, and its connection is closed.
 */
export class RequestBodies {
  readonly #limits: Limits;
  readonly #limitHits: LimitHits;
  readonly #byInstance = new Map<number, Set<RequestBody>>();
  readonly #all = new Set<RequestBody>();
  readonly #charged = new Map<number, number>();
  #total = 0;

  constructor(limits: Limits, limitHits: LimitHits) {
    this.#limits = limits;
    this.#limitHits = limitHits;
  }

  /** bytes of memory */
  get total(): number {
    return this.#total;
  }

  /** of the instance whose bodies take most */
  get mostOfInstance(): number {
    return Math.max(0, ...this.#charged.values());
  }

  begin(instanceId: number, cut: () => void): RequestBody {
    const body = new RequestBody(this, instanceId, cut);
    const bodies = this.#byInstance.get(instanceId) ?? new Set();
    this.#byInstance.set(instanceId, bodies.add(body));
    this.#all.add(body);
    return body;
  }

  /** It has been read, or its connection has closed; once or more often. */
  end(body: RequestBody): void {
    if (!this.#all.delete(body)) return;
    const { instanceId, held } = body;
    this.#total -= held;
    const bodies = this.#byInstance.get(instanceId);
    bodies?.delete(body);
    if (bodies?.size === 0) {
      this.#byInstance.delete(instanceId);
      this.#charged.delete(instanceId);
    } else this.#charged.set(instanceId, this.#of(instanceId) - held);
  }

  charge(body: RequestBody, bytes: number): void {
    const { instanceId } = body;
    this.#total += bytes;
    this.#charged.set(instanceId, this.#of(instanceId) + bytes);
    while (exceeds(this.#limits['guest-body-instance'], this.#of(instanceId)))
      if (!this.#cutOldest(this.#byInstance.get(instanceId), body, 'guest-body-instance')) break;
    while (exceeds(this.#limits['guest-body-total'], this.#total))
      if (!this.#cutOldest(this.#all, body, 'guest-body-total')) break;
  }

  #of(instanceId: number): number {
    return this.#charged.get(instanceId) ?? 0;
  }

  /** Never the one that grows; false: there is no other. */
  #cutOldest(
    bodies: Iterable<RequestBody> | undefined,
    growing: RequestBody,
    limit: 'guest-body-instance' | 'guest-body-total',
  ): boolean {
    for (const oldest of bodies ?? []) {
      if (oldest === growing) continue;
      this.#limitHits.add(limit, oldest.instanceId);
      this.end(oldest);
      oldest.cut();
      return true;
    }
    return false;
  }
}
