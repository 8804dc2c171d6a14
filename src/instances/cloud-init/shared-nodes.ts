import type { Alias, Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import type { Insertions } from './insertions.js';
import { printed } from './printed.js';
import { Refusal } from './refusal.js';
import type { Reading } from './values.js';

/** A pair as the parser makes it. */
export type ReadPair = Pair<Node, Node | null>;

export function pairsOf(map: YAMLMap): ReadPair[] {
  return map.items as ReadPair[];
}

export function rangeOf(node: Node): [start: number, end: number] {
  const [start, end] = node.range as [number, number, number];
  return [start, end];
}

/** Nodes that stand in several places of a document by an anchor and aliases. */
export class SharedNodes {
  readonly #insertions: Insertions;
  readonly #reading: Reading;

  constructor(insertions: Insertions, reading: Reading) {
    this.#insertions = insertions;
    this.#reading = reading;
  }

  has(node: Node): boolean {
    return this.#aliasesOf(node).length > 0;
  }

  /**
   * Lets a block be changed in its own place only: its anchor becomes a comment, and the first alias a copy with that
   * anchor.
   */
  part(node: YAMLMap | YAMLSeq): void {
    if (!this.has(node)) return;
    const start = this.startOf(node);
    this.#insertions.addInstead(start, start + `&${node.anchor}`.length, '');
    this.copyToFirstAlias(node);
  }

  copyToFirstAlias(node: Node): void {
    const [alias] = this.#aliasesOf(node);
    if (alias === undefined) throw new Refusal('not certain');
    this.#insertions.addInstead(...rangeOf(alias), `&${alias.source} ${printed(this.#reading.of(node))}`);
  }

  /** Where a node begins, with its anchor. */
  startOf(node: Node): number {
    const [start] = rangeOf(node);
    const { anchor } = node as Scalar;
    if (anchor === undefined) return start;
    const at = this.#insertions.text.lastIndexOf(`&${anchor}`, start);
    const between = this.#insertions.text.slice(at + 1 + anchor.length, start).split('\n');
    if (at < 0 || !between.every((line) => /^ *(?:#.*)?\r?$/.test(line))) throw new Refusal('not certain');
    return at;
  }

  #aliasesOf(node: Node): readonly Alias[] {
    return this.#reading.aliasesOf(node as Scalar);
  }
}
