import type { Node, Pair, Scalar } from 'yaml';
import { yaml } from './read-yaml.js';
import { Refusal } from './refusal.js';

const restOfLine = /^[ ]*(?:#.*)?\r?$/;

/** What is to be inserted into a text, and where. */
export class Insertions {
  readonly text: string;
  readonly eol: string;
  readonly #all: { readonly at: number; readonly inserted: string }[] = [];

  constructor(text: string, eol: string) {
    this.text = text;
    this.eol = eol;
  }

  add(at: number, inserted: string): void {
    this.#all.push({ at, inserted });
  }

  /** Whole lines, after the line that a node ends in. */
  addLines(end: number, column: number, lines: readonly string[]): void {
    const at = this.#nextLine(end);
    const isLast = at === this.text.length && at > 0 && this.text[at - 1] !== '\n';
    const whole = lines.map((line) => `${' '.repeat(column)}${line}`);
    this.add(at, whole.map((line) => (isLast ? `${this.eol}${line}` : `${line}${this.eol}`)).join(''));
  }

  /** Lines before the one that begins here, or that begins here behind the dash of an item. */
  addBefore(at: number, lines: readonly string[]): void {
    const next = `${this.eol}${' '.repeat(this.columnOf(at))}`;
    this.add(at, lines.map((line) => `${line}${next}`).join(''));
  }

  /** In the place of what stands from here to there, which becomes a comment; in flow style more may follow on the line. */
  addInstead(start: number, end: number, inserted: string): void {
    if (this.text.slice(start, end).includes('\n')) throw new Refusal('not certain');
    this.add(start, inserted === '' ? '#' : `${inserted} #`);
    if (restOfLine.test(this.#restAfter(end))) return;
    const [indentation = ''] = /^[ -]*/.exec(this.text.slice(this.text.lastIndexOf('\n', start - 1) + 1, start)) ?? [];
    this.add(end, `${this.eol}${' '.repeat(indentation.length + 1)}`);
  }

  /** @throws Refusal where there is more on the line before it than indentation and dashes */
  columnOf(at: number): number {
    const start = this.text.lastIndexOf('\n', at - 1) + 1;
    if (!/^(?!---)[ -]*$/.test(this.text.slice(start, at))) throw new Refusal('not certain');
    return at - start;
  }

  toString(): string {
    let result = '';
    let done = 0;
    // The sort is stable: what is inserted at one place keeps its order.
    for (const { at, inserted } of this.#all.sort((a, b) => a.at - b.at)) {
      result += this.text.slice(done, at) + inserted;
      done = at;
    }
    return result + this.text.slice(done);
  }

  #nextLine(end: number): number {
    if (end === 0 || this.text[end - 1] === '\n') return end;
    const rest = this.#restAfter(end);
    if (!restOfLine.test(rest.replace(/^ *:/, ''))) throw new Refusal('not certain');
    return Math.min(end + rest.length + 1, this.text.length);
  }

  #restAfter(end: number): string {
    const newline = this.text.indexOf('\n', end);
    return this.text.slice(end, newline < 0 ? undefined : newline);
  }
}

/** The end of the last thing that is written of a node. */
export function endOf(node: Node): number {
  const { isMap, isSeq } = yaml();
  const [start = 0, end = start] = node.range ?? [];
  if ((!isMap(node) && !isSeq(node)) || node.flow) return end;
  const last = node.items.at(-1);
  if (last === undefined) return end;
  return isMap(node) ? endOfPair(last as Pair<Node, Node | null>) : endOf(last as Node);
}

export function endOfPair({ key, value }: Pair<Node, Node | null>): number {
  return value === null || isEmpty(value) ? endOf(key) : endOf(value);
}

export function isEmpty(node: Node): boolean {
  return yaml().isScalar(node) && (node as Scalar).type === 'PLAIN' && (node as Scalar).source === '' && !node.anchor;
}
