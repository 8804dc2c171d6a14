import { isUtf8 } from 'node:buffer';
import { invalid } from '../errors.js';
import { LimitFault } from '../limits/limit-fault.js';
import type { CountedLimit } from '../limits/limit-hits.js';
import { exceeds, type Limits } from '../limits/limits.js';

const [quote, backslash, comma, newline] = [0x22, 0x5c, 0x2c, 0x0a];
const [openObject, closeObject, openArray, closeArray] = [0x7b, 0x7d, 0x5b, 0x5d];

/** 1 for each byte that means something, inside a string and outside: most of a body is skipped. */
const inside = marked([quote, backslash, newline]);
const outside = marked([quote, comma, newline, openObject, closeObject, openArray, closeArray]);

function marked(bytes: readonly number[]): Uint8Array {
  const marks = new Uint8Array(256);
  for (const byte of bytes) marks[byte] = 1;
  return marks;
}

/** The next byte from there on that means something. */
function next(meaning: Uint8Array, chunk: Buffer, from: number): number {
  let at = from;
  while (at < chunk.length && meaning[chunk[at] as number] === 0) at++;
  return at;
}

/** Where the string ends whose first byte this is: at its quote, at a newline, or with the chunk. */
function endOfString(chunk: Buffer, from: number): number {
  let at = next(inside, chunk, from);
  while (chunk[at] === backslash) {
    if (chunk[at + 1] === newline) return at + 1;
    at = next(inside, chunk, at + 2);
  }
  return at;
}

/** An object or a list that is open, and the member of it that is being read. */
interface Level {
  readonly isObject: boolean;
  /** a character for each byte */
  key: string;
  index: number;
}

/**
 * Counts what a JSON text consists of while it arrives, so that one that is too much is refused before it is parsed,
 * with the field that is too much. It judges no syntax: JSON.parse does.
 */
export class JsonScan {
  readonly #limits: Limits;
  readonly #isLines: boolean;
  #levels: Level[] = [];
  /** nothing of the line has been looked at */
  #atStart = true;
  #line = 1;
  #values = 0;
  #inString = false;
  #escaped = false;
  /** the string, or what comes next, is a key of an object */
  #atKey = false;
  #key = '';

  /** isLines: one document a line */
  constructor(limits: Limits, isLines: boolean) {
    this.#limits = limits;
    this.#isLines = isLines;
  }

  /** @throws Fault invalid-value, naming the field */
  add(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; ) {
      const end = this.#isLines && this.#atStart ? this.#endOfUsualLine(chunk, from) : -1;
      if (end < 0) from = this.#addCarefully(chunk, from);
      else {
        from = end + 1;
        this.#nextLine();
      }
    }
  }

  /** Up to the end of a line, or of the chunk. */
  #addCarefully(chunk: Buffer, first: number): number {
    this.#atStart = false;
    for (let at = first; at < chunk.length; at++) {
      const from = at;
      if (!this.#escaped) at = next(this.#inString ? inside : outside, chunk, at);
      if (this.#inString && this.#atKey) this.#extendKey(chunk.toString('latin1', from, at));
      const byte = chunk[at];
      if (byte === undefined) return at;
      if (this.#take(byte)) return at + 1;
    }
    return chunk.length;
  }

  /** @returns whether a line has ended */
  #take(byte: number): boolean {
    const ends = this.#isLines && byte === newline;
    if (ends) this.#nextLine();
    else if (this.#inString) this.#inside(byte);
    else this.#between(byte);
    return ends;
  }

  /**
   * Where the line ends that begins there, if nothing of it can be too much; -1: something may be, or it goes on in the next
   * chunk. Most lines are such, and nothing has to be known of them but how many there are.
   */
  #endOfUsualLine(chunk: Buffer, from: number): number {
    let [values, opened, longest] = [0, 0, 0];
    let at = next(outside, chunk, from);
    for (; at < chunk.length && chunk[at] !== newline; at = next(outside, chunk, at + 1)) {
      const byte = chunk[at];
      if (byte === quote) {
        const start = at + 1;
        at = endOfString(chunk, start);
        longest = Math.max(longest, at - start);
        if (chunk[at] !== quote) return -1;
      } else if (byte === openObject || byte === openArray) opened++;
      else if (byte === comma) values++;
    }
    const { 'config-key': key, 'json-depth': depth, 'json-values': most } = this.#limits;
    return at >= chunk.length || exceeds(key, longest) || exceeds(depth, opened) || exceeds(most, values + opened)
      ? -1
      : at;
  }

  /** Where it has come to: "config.user.a", or "line 3: config.user.a". */
  get field(): string {
    const path = this.#levels.map(({ isObject, key, index }) => (isObject ? key : String(index)));
    const bytes = Buffer.from(path.filter((part) => part !== '').join('.') || 'body', 'latin1');
    const field = bytes.toString('utf8');
    return this.#isLines ? `line ${this.#line}: ${field}` : field;
  }

  #inside(byte: number): void {
    if (byte === quote && !this.#escaped) {
      this.#endString();
      return;
    }
    this.#escaped = byte === backslash && !this.#escaped;
    if (this.#atKey) this.#extendKey(String.fromCharCode(byte));
  }

  #extendKey(bytes: string): void {
    this.#key += bytes;
    this.#check('config-key', this.#key.length, 'a key has more than LIMIT bytes');
  }

  #between(byte: number): void {
    if (byte === quote) this.#inString = true;
    else if (byte === openObject || byte === openArray) this.#open(byte === openObject);
    else if (byte === comma) this.#nextMember();
    else if (byte === closeObject || byte === closeArray) {
      this.#levels.pop();
      this.#atKey = false;
    }
  }

  #open(isObject: boolean): void {
    this.#count();
    this.#levels.push({ isObject, key: '', index: 0 });
    this.#atKey = isObject;
    this.#check('json-depth', this.#levels.length, 'nested more than LIMIT levels deep');
  }

  #nextMember(): void {
    const level = this.#levels.at(-1);
    if (level === undefined) return;
    if (!level.isObject) level.index++;
    this.#atKey = level.isObject;
    this.#count();
  }

  #endString(): void {
    this.#inString = false;
    const level = this.#levels.at(-1);
    if (!this.#atKey || level === undefined) return;
    level.key = this.#key;
    this.#key = '';
    this.#atKey = false;
  }

  #nextLine(): void {
    if (!this.#atStart) this.#reset();
    this.#check('batch-lines', this.#line++, 'a batch has at most LIMIT lines');
  }

  #reset(): void {
    this.#levels = [];
    this.#atStart = true;
    this.#key = '';
    this.#values = 0;
    this.#inString = false;
    this.#escaped = false;
    this.#atKey = false;
  }

  /** Names the object or list around the value that is too much, and not its last member. */
  #count(): void {
    this.#values++;
    if (!exceeds(this.#limits['json-values'], this.#values)) return;
    this.#levels.pop();
    this.#check('json-values', this.#values, 'a JSON document has at most LIMIT values');
  }

  #check(limit: CountedLimit & keyof Limits, amount: number, sentence: string): void {
    const most = this.#limits[limit];
    if (!exceeds(most, amount)) return;
    const text = `${this.field}: ${sentence.replace('LIMIT', String(most))} (--limit-${limit})`;
    throw new LimitFault(limit, 'invalid-value', text);
  }
}

/**
 * @throws Fault invalid-value with the field that has the first byte that is not UTF-8: each such byte would become the
 * same replacement character, and what was sent would be lost
 */
export function checkUtf8(body: Buffer, limits: Limits, isLines: boolean): void {
  if (isUtf8(body)) return;
  const at = firstBadByte(body);
  const scan = new JsonScan(limits, isLines);
  scan.add(body.subarray(0, at));
  throw invalid(scan.field, `not UTF-8 at byte ${at} of the body; send text, or encode the bytes (base64)`);
}

/** Where the text that comes of the bytes has a replacement character that is none of them. */
function firstBadByte(body: Buffer): number {
  const text = body.toString('utf8');
  let [from, offset] = [0, 0];
  for (let at = text.indexOf('\ufffd'); at >= 0; at = text.indexOf('\ufffd', from)) {
    offset += Buffer.byteLength(text.slice(from, at));
    const isSent = body[offset] === 0xef && body[offset + 1] === 0xbf && body[offset + 2] === 0xbd;
    if (!isSent) return offset;
    offset += 3;
    from = at + 1;
  }
  return body.length;
}
