/** From here on bytes are shared: what is shorter goes out at once, or nearly so. */
const shortest = 16 * 1024;

/**
 * The bytes of long answers while they are being read: one copy for all readers of the same bytes. A guest may leave as many
 * answers unread as it has connections.
 */
export class SharedBuffers {
  readonly #known = new Map<string, WeakRef<Buffer>>();
  readonly #unused = new FinalizationRegistry<string>((text) => {
    if (this.#known.get(text)?.deref() === undefined) this.#known.delete(text);
  });

  /** They must not be changed. */
  of(text: string): Buffer {
    const known = this.#known.get(text)?.deref();
    if (known !== undefined) return known;
    const bytes = Buffer.from(text);
    if (text.length < shortest) return bytes;
    this.#known.set(text, new WeakRef(bytes));
    this.#unused.register(bytes, text);
    return bytes;
  }
}
