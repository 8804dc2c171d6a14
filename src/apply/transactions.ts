import type { BatchLine } from '../api/types.js';
import type { Item } from './plan.js';

/** What one batch of a daemon may have; 0: any number. */
export interface BatchLimits {
  readonly lines: number;
  readonly bytes: number;
}

/** The lines of one transaction, and their text as it is sent. */
export interface Part {
  readonly items: readonly Item[];
  readonly body: Buffer;
}

/**
 * One transaction where the daemon takes all of it at once, else as few as there can be. Then profiles that are changed
 * are one of their own: the entity tags of instances may change with them. items: profiles first
 */
export function partsOf(items: readonly Item[], limits: BatchLimits): Part[] {
  const all = filled(items, limits);
  const profiles = items.findIndex(({ kind }) => kind !== 'profile');
  if (all.length <= 1 || profiles <= 0) return all;
  return [...filled(items.slice(0, profiles), limits), ...filled(items.slice(profiles), limits)];
}

function filled(items: readonly Item[], limits: BatchLimits): Part[] {
  const parts: Part[] = [];
  let from = 0;
  const usual = Math.min(items.length, limits.lines || items.length) * usualBytes;
  let body = new Body(usual);
  const end = (to: number): void => {
    if (to > from) parts.push({ items: items.slice(from, to), body: body.taken() });
    [from, body] = [to, new Body(usual)];
  };
  for (const [index, { line }] of items.entries()) {
    const text = lineText(line);
    if ((limits.lines > 0 && index - from >= limits.lines) || !body.takes(text, limits.bytes)) end(index);
    body.add(text);
  }
  end(items.length);
  return parts;
}

/** The body of a batch that is made again. */
export function bodyOf(lines: Iterable<BatchLine>): Buffer {
  const body = new Body(usualBytes);
  for (const line of lines) body.add(lineText(line));
  return body.taken();
}

export function lineText(line: BatchLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** Bytes that a text of UTF-16 can have in UTF-8, for each of its units. */
const mostBytes = 3;

/** Bytes of a line, for a body that mostly need not be made larger. */
const usualBytes = 512;

/** Text as bytes at once: of a hundred thousand strings the collector would have to move each one twice. */
class Body {
  #bytes: Buffer;
  #length = 0;

  /** bytes: that it will probably have */
  constructor(bytes: number) {
    this.#bytes = Buffer.allocUnsafe(bytes);
  }

  /** whether it has room for one more line; one line it has room for in any case. most: bytes; 0: any number */
  takes(text: string, most: number): boolean {
    if (most === 0 || this.#length === 0 || this.#length + text.length * mostBytes <= most) return true;
    return this.#length + Buffer.byteLength(text) <= most;
  }

  add(text: string): void {
    const needed = this.#length + text.length * mostBytes;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#length += this.#bytes.write(text, this.#length);
  }

  taken(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** The line without the names of these profiles. */
export function withoutProfiles(line: BatchLine, without: ReadonlySet<string>): BatchLine {
  const { profiles } = (line.body ?? {}) as { readonly profiles?: readonly string[] };
  if (profiles === undefined || !profiles.some((name) => without.has(name))) return line;
  return { ...line, body: { ...line.body, profiles: profiles.filter((name) => !without.has(name)) } };
}
