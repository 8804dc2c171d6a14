/** Begins with a letter; nothing in it means anything to YAML. */
const word = String.raw`[A-Za-z][\w./-]{0,200}`;
const inWord = String.raw`(?:[\w./@+=-]|:(?=[\w/]))*`;
const plain = String.raw`[\w/]${inWord}(?: [\w/]${inWord})*`;
const quoted = String.raw`"[^"\\\x00-\x1f\x7f-\uffff]*"|'[^'\x00-\x1f\x7f-\uffff]*'`;
const simple = String.raw`[\w/][\w./@+=-]*`;

const entry = new RegExp(
  String.raw`^(${word}):(?: (?:(${plain}|${quoted})|(\|)|(\{\}|\[\])|\[(${simple}(?:, ${simple})*)\]))?$`,
);
const item = new RegExp(`^- (${plain}|${quoted})$`);
const oddCharacter = /[^\n\x20-\x7e\u00a0-\u2027\u202a-\ufefe\uff00-\ufffd]/;
/** Spaces before a line; what is deeper would need much of the stack, for which the library has a sentence. */
const deepest = 100;
/** Read as nothing, and not as what they say. */
const nothings = new Set(['null', 'Null', 'NULL']);

interface Line {
  readonly indent: number;
  readonly text: string;
}

/** Not that plain, or wrong. */
class NotPlain extends Error {}

/**
 * The value of a YAML document in which everything is as simple as it mostly is: maps and lists by indentation, values
 * on one line, and literal blocks. undefined: the document has something else, or is wrong. What it gives is what the
 * library gives, at a small part of the cost: a hundred thousand instances are half a million lines.
 */
export function plainYamlIn(text: string): unknown {
  if (!text.endsWith('\n') || oddCharacter.test(text)) return undefined;
  try {
    return new PlainReader(text).document();
  } catch (error) {
    if (error instanceof NotPlain) return undefined;
    throw error;
  }
}

class PlainReader {
  readonly #lines: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#lines = text.slice(0, -1).split('\n');
  }

  document(): unknown {
    while (this.#lines[this.#at]?.startsWith('#')) this.#at++;
    const first = this.#next();
    if (first === undefined || first.indent !== 0) throw new NotPlain();
    const value = this.#block(first);
    if (this.#next() !== undefined) throw new NotPlain();
    return value;
  }

  /** The next line that is not empty; it stays the next one. */
  #next(): Line | undefined {
    while (this.#lines[this.#at] === '') this.#at++;
    const line = this.#lines[this.#at];
    if (line === undefined) return undefined;
    let indent = 0;
    while (line.charCodeAt(indent) === 0x20) indent++;
    if (indent > deepest) throw new NotPlain();
    return { indent, text: line.slice(indent) };
  }

  #block({ indent, text }: Line): unknown {
    return text.startsWith('- ') ? this.#list(indent) : this.#map(indent);
  }

  #list(indent: number): unknown[] {
    const list: unknown[] = [];
    for (let line = this.#next(); line?.indent === indent && line.text.startsWith('- '); line = this.#next()) {
      const [, scalar] = item.exec(line.text) ?? [];
      if (scalar === undefined) list.push(this.#map(indent + 2, line.text.slice(2)));
      else {
        this.#at++;
        list.push(scalarOf(scalar));
        this.#endsAt(indent);
      }
    }
    return list;
  }

  /** first: its first entry, behind the mark of a list's item */
  #map(indent: number, first?: string): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    let text = first ?? this.#textAt(indent);
    while (text !== undefined) {
      const [, key, ...value] = entry.exec(text) ?? [];
      if (key === undefined || nothings.has(key) || Object.hasOwn(map, key)) throw new NotPlain();
      this.#at++;
      map[key] = this.#value(indent, value);
      this.#endsAt(indent);
      text = this.#textAt(indent);
    }
    return map;
  }

  /** In the order of the groups of `entry`, of which one was found or none. */
  #value(indent: number, [scalar, block, empty, words]: readonly (string | undefined)[]): unknown {
    if (scalar !== undefined) return scalarOf(scalar);
    if (block !== undefined) return this.#literal(indent);
    if (empty !== undefined) return empty === '{}' ? {} : [];
    return words === undefined ? this.#inner(indent) : words.split(', ').map(scalarOf);
  }

  /** What stands below a key with nothing behind it. */
  #inner(indent: number): unknown {
    const line = this.#next();
    if (line === undefined) return '';
    if (line.indent > indent) return this.#block(line);
    return line.indent === indent && line.text.startsWith('- ') ? this.#list(indent) : '';
  }

  /** The text of the next line, where it belongs to the map of this indentation. */
  #textAt(indent: number): string | undefined {
    const line = this.#next();
    return line?.indent === indent && !line.text.startsWith('- ') ? line.text : undefined;
  }

  /** A line that goes on is something else than this understands. */
  #endsAt(indent: number): void {
    const line = this.#next();
    if (line !== undefined && line.indent > indent) throw new NotPlain();
  }

  /** `key: |` */
  #literal(indent: number): string {
    const first = this.#lines[this.#at] ?? '';
    const depth = first.search(/[^ ]/);
    if (depth <= indent) throw new NotPlain();
    const texts: string[] = [];
    for (; this.#at < this.#lines.length; this.#at++) {
      const line = this.#lines[this.#at] as string;
      if (line !== '' && line.search(/[^ ]/) < depth) break;
      texts.push(line.slice(depth));
    }
    while (texts.at(-1) === '') texts.pop();
    return `${texts.join('\n')}\n`;
  }
}

function scalarOf(text: string): string {
  const first = text.charAt(0);
  if (first === '"' || first === "'") return text.slice(1, -1);
  return nothings.has(text) ? '' : text;
}
