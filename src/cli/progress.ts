import { fitted } from '../text/width.js';

const stepMilliseconds = 100;
const barColumns = 30;

/** A bar on standard error, on a terminal and nowhere else; it is gone when the work has ended. */
export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  #shownAt = 0;

  constructor(stream = process.stderr) {
    this.#stream = stream;
  }

  /** fraction: 0 to 1; details: behind the bar */
  show(doing: string, fraction: number, details = ''): void {
    const now = Date.now();
    if (!this.#stream.isTTY || (now - this.#shownAt < stepMilliseconds && fraction < 1)) return;
    this.#shownAt = now;
    const full = Math.round(barColumns * fraction);
    const bar = `${'#'.repeat(full)}${'.'.repeat(barColumns - full)}`;
    const line = `${doing} [${bar}] ${String(Math.floor(100 * fraction)).padStart(3)}% ${details}`.trimEnd();
    this.#stream.write(`\r${fitted(line, (this.#stream.columns || 80) - 1)}\x1b[K`);
  }

  end(): void {
    if (this.#stream.isTTY && this.#shownAt > 0) this.#stream.write('\r\x1b[K');
  }
}

/** Passes bytes on and shows how far they have come. size: bytes in all */
export async function* withProgress(
  doing: string,
  bytes: AsyncIterable<Uint8Array>,
  size: number,
  bar = new ProgressBar(),
): AsyncGenerator<Uint8Array> {
  let done = 0;
  try {
    for await (const chunk of bytes) {
      yield chunk;
      done += chunk.length;
      bar.show(doing, done / size, `of ${(size / 2 ** 20).toFixed(1)} MiB`);
    }
  } finally {
    bar.end();
  }
}
