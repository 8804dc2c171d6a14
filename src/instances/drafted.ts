import { Fault } from '../errors.js';
import type { Layer } from './layer.js';
import { type Keyed, keyOf, list, need, type Table } from './record-table.js';

/** What a transaction can do with one kind of records: it sees them as they will be once all before it is durable. */
export interface Drafted<R extends Keyed> {
  get(project: string, name: string): R | undefined;
  /** @throws Fault not-found */
  need(project: string, name: string): R;
  byId(id: R['id']): R | undefined;
  /** All there are, in no order. */
  values(): Iterable<R>;
  /** All of a project, or all there are, by name. */
  list(project?: string): R[];
  /** A number for a new one. */
  newId(): number;
  /** @throws Fault already-exists */
  create(record: R): void;
  /**
   * Puts another version in the place of what `get` gave; a changed name renames it.
   * @throws Fault already-exists, when the new name is taken
   */
  replace(before: R, after: R): void;
  remove(before: R): void;
}

/** Records of a transaction, in a layer of its own. */
export class DraftedRecords<R extends Keyed> implements Drafted<R> {
  readonly #layer: Layer<R>;
  readonly #table: Table<R>;
  readonly #changed: (before: R | undefined, after: R | undefined) => void;

  constructor(layer: Layer<R>, table: Table<R>, changed: (before: R | undefined, after: R | undefined) => void) {
    this.#layer = layer;
    this.#table = table;
    this.#changed = changed;
  }

  get(project: string, name: string): R | undefined {
    const record = this.#layer.get(keyOf(project, name));
    return record && this.shown(record);
  }

  need(project: string, name: string): R {
    return this.shown(need(this.#layer, project, name));
  }

  byId(id: R['id']): R | undefined {
    const record = this.#layer.byId(id);
    return record && this.shown(record);
  }

  *values(): Generator<R, void, void> {
    for (const record of this.#layer.values()) yield this.shown(record);
  }

  list(project?: string): R[] {
    return list(this.#layer, project).map((record) => this.shown(record));
  }

  newId(): number {
    return this.#table.newId();
  }

  create(after: R): void {
    this.#enter(after);
    this.#changed(undefined, after);
  }

  replace(before: R, after: R): void {
    this.#checkLatest(before);
    if (before.name === after.name && before.project === after.project) this.#layer.put(after);
    else {
      this.#layer.remove(before);
      this.#enter(after);
    }
    this.#changed(before, after);
  }

  remove(before: R): void {
    this.#checkLatest(before);
    this.#layer.remove(before);
    this.#changed(before, undefined);
  }

  /** What a transaction sees of a record. */
  protected shown(record: R): R {
    return record;
  }

  /** What is written of that. */
  protected stored(shown: R): R {
    return shown;
  }

  #checkLatest(before: R): void {
    if (!this.#isSameVersion(this.#layer.get(keyOf(before.project, before.name)), before))
      throw new Error(`${before.name} is not the latest version`);
  }

  #enter(after: R): void {
    const key = keyOf(after.project, after.name);
    if (this.#layer.get(key) !== undefined)
      throw new Fault('already-exists', `${this.#layer.noun} "${after.name}" already exists`);
    this.#layer.put(after, key);
  }

  /** One may have been seen with other versions of its profiles; what is its own has to be the same. */
  #isSameVersion(latest: R | undefined, before: R): boolean {
    if (latest === undefined || latest === before) return latest === before;
    const [one, other] = [this.stored(latest), this.stored(before)];
    return (Object.keys(one) as (keyof R | 'profiles')[]).every(
      (field) => field === 'profiles' || one[field] === other[field],
    );
  }
}
