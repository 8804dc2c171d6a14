import type { Node, YAMLMap, YAMLSeq } from 'yaml';
import { FieldEdit, startOfFirst } from './edit-field.js';
import { fieldLines, fieldText, userLines, userText } from './field-lines.js';
import { endOf, Insertions, isEmpty } from './insertions.js';
import type { FieldPlan, Side, UserPlan } from './plan.js';
import { printed } from './printed.js';
import { yaml } from './read-yaml.js';
import { Refusal } from './refusal.js';
import { pairsOf, type ReadPair, rangeOf, SharedNodes } from './shared-nodes.js';
import type { Reading, Value } from './values.js';

const onlyComments = /^(?:[ ]*(?:#.*)?\r?\n)*$/;

/** Inserts what plans say into the text of a document. Whether that is right is seen when the result is read. */
export class Edit {
  readonly #insertions: Insertions;
  readonly #reading: Reading;
  readonly #shared: SharedNodes;
  readonly #fields: FieldEdit;

  constructor(body: string, eol: string, reading: Reading, side: Side) {
    this.#insertions = new Insertions(body, eol);
    this.#reading = reading;
    this.#shared = new SharedNodes(this.#insertions, reading);
    this.#fields = new FieldEdit(this.#insertions, reading, this.#shared, side);
  }

  /** @throws Refusal where there is no place that is certain */
  made(contents: Node | null, plans: readonly UserPlan[]): string {
    const changed = plans.filter(({ index, fields }) => index !== undefined && fields.length > 0);
    const fresh = plans.filter(({ index }) => index === undefined);
    const pair = yaml().isMap(contents) ? pairsOf(contents).find(({ key }) => this.#isUsers(key)) : undefined;
    if (pair === undefined) this.#addUsers(contents, fresh);
    else if (pair.value === null || isEmpty(pair.value)) this.#fillUsers(pair, fresh);
    else if (yaml().isSeq(pair.value)) this.#extendUsers(pair.value, changed, fresh);
    else this.#wrapUsers(pair.value, changed, fresh);
    return this.#insertions.toString();
  }

  #isUsers(key: Node): boolean {
    const value = this.#reading.of(key);
    return value.kind === 'text' && value.text === 'users';
  }

  #addUsers(contents: Node | null, fresh: readonly UserPlan[]): void {
    const lines = ['users:', ...fresh.flatMap(userLines)];
    if (yaml().isMap(contents)) {
      if (contents.flow) this.#fields.addToFlow(contents, `"users": [${fresh.map(userText).join(', ')}]`);
      else this.#addFirst(contents, lines);
      return;
    }
    const { text } = this.#insertions;
    this.#insertions.addLines(onlyComments.test(text) ? 0 : text.length, 0, lines);
  }

  /** Before the first key: the end of a block depends on what is in it. */
  #addFirst(contents: YAMLMap, lines: readonly string[]): void {
    const at = startOfFirst(contents);
    const column = this.#insertions.columnOf(at);
    if (onlyComments.test(this.#insertions.text.slice(0, at - column))) this.#insertions.addLines(0, column, lines);
    else this.#insertions.addBefore(at, lines);
  }

  /** `users:` with nothing behind it. */
  #fillUsers({ key }: ReadPair, fresh: readonly UserPlan[]): void {
    this.#insertions.addLines(endOf(key), this.#insertions.columnOf(rangeOf(key)[0]), fresh.flatMap(userLines));
  }

  #extendUsers(users: YAMLSeq, changed: readonly UserPlan[], fresh: readonly UserPlan[]): void {
    if (this.#shared.has(users)) throw new Refusal('not certain');
    for (const { index, fields } of changed) this.#extendUser(users, users.items[index as number] as Node, fields);
    if (fresh.length > 0) this.#fields.addItems(users, fresh.flatMap(userLines), fresh.map(userText));
  }

  /** `users: root`, or a word that means null. */
  #wrapUsers(value: Node, changed: readonly UserPlan[], fresh: readonly UserPlan[]): void {
    if (yaml().isAlias(value)) throw new Refusal('not certain');
    const [start, end] = [this.#shared.startOf(value), endOf(value)];
    if (this.#reading.of(value).kind !== 'text') {
      this.#insertions.addInstead(start, end, `[${fresh.map(userText).join(', ')}]`);
      return;
    }
    const [own] = changed;
    this.#insertions.add(start, own === undefined ? '[' : '[{"name": ');
    this.#insertions.add(end, own === undefined ? '' : endOfUser(own.fields));
    this.#insertions.add(end, `${fresh.map((plan) => `, ${userText(plan)}`).join('')}]`);
  }

  #extendUser(users: YAMLSeq, item: Node, fields: readonly FieldPlan[]): void {
    const read = this.#reading.of(item);
    if (read.kind === 'text') this.#nameUser(users, item, fields);
    else if (yaml().isAlias(item)) this.#replaceUser(item, read, fields);
    else if (!yaml().isMap(item)) throw new Refusal('not certain');
    else if (item.flow && this.#shared.has(item)) {
      this.#shared.copyToFirstAlias(item);
      this.#replaceUser(item, read, fields);
    } else {
      this.#shared.part(item);
      for (const field of fields) this.#fields.extend(item, field);
    }
  }

  /** A name becomes a mapping. */
  #nameUser(users: YAMLSeq, item: Node, fields: readonly FieldPlan[]): void {
    const [start, end] = [this.#shared.startOf(item), endOf(item)];
    if (users.flow) {
      this.#insertions.add(start, '{"name": ');
      this.#insertions.add(end, endOfUser(fields));
    } else {
      const column = this.#insertions.columnOf(start);
      this.#insertions.add(start, 'name: ');
      this.#insertions.addLines(end, column, fields.flatMap(fieldLines));
    }
  }

  /** A user that is described elsewhere is described here as well, with the keys. */
  #replaceUser(item: Node, read: Value, fields: readonly FieldPlan[]): void {
    if (read.kind !== 'map') throw new Refusal('not certain');
    const keys = new Set<Value>(fields.map(({ key }) => key));
    const others = read.pairs.filter(([key]) => !keys.has(key));
    const texts = others.map(([key, value]) => `${printed(key)}: ${printed(value)}`);
    const whole = `{${[...texts, ...fields.map(fieldText)].join(', ')}}`;
    this.#insertions.addInstead(this.#shared.startOf(item), endOf(item), whole);
  }
}

function endOfUser(fields: readonly FieldPlan[]): string {
  return `${fields.map((field) => `, ${fieldText(field)}`).join('')}}`;
}
