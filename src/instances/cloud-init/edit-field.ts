import type { Node, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import { fieldLines, fieldText, keyLine, listText } from './field-lines.js';
import { endOf, endOfPair, type Insertions, isEmpty } from './insertions.js';
import type { FieldPlan, Side } from './plan.js';
import { quoted } from './quoted.js';
import { yaml } from './read-yaml.js';
import { Refusal } from './refusal.js';
import { pairsOf, type ReadPair, rangeOf, type SharedNodes } from './shared-nodes.js';
import type { Reading } from './values.js';

/** Inserts keys into one field of users. */
export class FieldEdit {
  readonly #insertions: Insertions;
  readonly #reading: Reading;
  readonly #shared: SharedNodes;
  readonly #side: Side;

  constructor(insertions: Insertions, reading: Reading, shared: SharedNodes, side: Side) {
    this.#insertions = insertions;
    this.#reading = reading;
    this.#shared = shared;
    this.#side = side;
  }

  extend(user: YAMLMap, field: FieldPlan): void {
    const pair = field.isNew ? undefined : pairsOf(user).find(({ key }) => this.#reading.of(key) === field.key);
    if (pair === undefined) this.#add(user, field);
    else if (pair.value === null || isEmpty(pair.value)) this.#fill(user, pair, field);
    else if (yaml().isAlias(pair.value)) this.#insertions.addInstead(...rangeOf(pair.value), listText(field));
    else if (yaml().isSeq(pair.value)) this.#extendList(pair.value, field);
    else this.#wrap(user, pair.value, field);
  }

  /** New items of a list, as lines or as texts. */
  addItems(list: YAMLSeq, lines: readonly string[], texts: readonly string[]): void {
    const [start] = rangeOf(list);
    if (list.flow) this.addToFlow(list, texts.join(', '));
    else if (this.#side === 'last') this.#insertions.addLines(endOf(list), this.#insertions.columnOf(start), lines);
    else this.#insertions.addBefore(start, lines);
  }

  addToFlow(collection: YAMLMap | YAMLSeq, text: string): void {
    const last = collection.items.at(-1) as Node | ReadPair | undefined;
    if (last === undefined) this.#insertions.add(rangeOf(collection)[0] + 1, text);
    else this.#insertions.add('key' in last ? endOfPair(last) : endOf(last), `, ${text}`);
  }

  #add(user: YAMLMap, field: FieldPlan): void {
    const start = startOfFirst(user);
    const name = pairsOf(user).find(({ key }) => (key as Scalar).source === 'name');
    if (user.flow) this.addToFlow(user, fieldText(field));
    else if (name === undefined || this.#side === 'first') this.#insertions.addBefore(start, fieldLines(field));
    else this.#insertions.addLines(endOfPair(name), this.#insertions.columnOf(start), fieldLines(field));
  }

  /** A key with nothing behind it. */
  #fill(user: YAMLMap, { key }: ReadPair, { added }: FieldPlan): void {
    if (user.flow) throw new Refusal('not certain');
    this.#insertions.addLines(endOf(key), this.#insertions.columnOf(rangeOf(key)[0]), added.map(keyLine));
  }

  #extendList(list: YAMLSeq, field: FieldPlan): void {
    if (list.flow && this.#shared.has(list)) {
      this.#shared.copyToFirstAlias(list);
      this.#insertions.addInstead(this.#shared.startOf(list), endOf(list), listText(field));
      return;
    }
    this.#shared.part(list);
    this.addItems(list, field.added.map(keyLine), field.added.map(quoted));
  }

  /** A string becomes the first item of a list; what means null becomes a comment. */
  #wrap(user: YAMLMap, value: Node, field: FieldPlan): void {
    const [start, end] = [this.#shared.startOf(value), endOf(value)];
    if (this.#reading.of(value).kind !== 'text') {
      this.#insertions.addInstead(start, end, listText(field));
    } else if ((value as Scalar).type?.startsWith('BLOCK')) {
      const column = this.#insertions.columnOf(startOfFirst(user));
      this.#insertions.add(start, `${this.#insertions.eol}${' '.repeat(column)}- `);
      this.#insertions.addLines(end, column, field.added.map(keyLine));
    } else {
      this.#insertions.add(start, '[');
      this.#insertions.add(end, `, ${field.added.map(quoted).join(', ')}]`);
    }
  }
}

export function startOfFirst(map: YAMLMap): number {
  const [first] = pairsOf(map);
  return first === undefined ? 0 : rangeOf(first.key)[0];
}
