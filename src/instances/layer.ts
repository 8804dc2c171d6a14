import { type Keyed, keyOf, type Records } from './record-table.js';

/** Changes on top of records that stay as they are. Most have none or one, and are made for each transaction. */
export class Layer<R extends Keyed> implements Records<R> {
  readonly noun: string;
  readonly #below: Records<R>;
  /** by key; undefined: removed or renamed away */
  #over: Map<string, R | undefined> | undefined;
  /** the same by id */
  #overById: Map<R['id'], R | undefined> | undefined;

  constructor(below: Records<R>) {
    this.noun = below.noun;
    this.#below = below;
  }

  get(key: string): R | undefined {
    const record = this.#over?.get(key);
    if (record !== undefined) return record;
    return this.#over?.has(key) ? undefined : this.#below.get(key);
  }

  /** Is what has this key changed, here or in a layer below? Then `get` does not look below the layers. */
  has(key: string): boolean {
    return this.#over?.has(key) || (this.#below instanceof Layer && this.#below.has(key));
  }

  /** The same of an id and `byId`. */
  hasId(id: R['id']): boolean {
    return this.#overById?.has(id) || (this.#below instanceof Layer && this.#below.hasId(id));
  }

  byId(id: R['id']): R | undefined {
    const record = this.#overById?.get(id);
    if (record !== undefined) return record;
    return this.#overById?.has(id) ? undefined : this.#below.byId(id);
  }

  *values(): Iterable<R> {
    for (const record of this.#below.values()) if (!this.#overById?.has(record.id)) yield record;
    for (const record of this.#overById?.values() ?? []) if (record !== undefined) yield record;
  }

  /** The ids of what is put or removed, here or in a layer below; one may come more than once. */
  *changed(): Iterable<R['id']> {
    if (this.#below instanceof Layer) yield* this.#below.changed();
    yield* this.#overById?.keys() ?? [];
  }

  put(record: R, key = keyOf(record.project, record.name)): void {
    this.#set(key, record.id, record);
  }

  /** A rename removes it and puts it under its new name. */
  remove(record: R): void {
    this.#set(keyOf(record.project, record.name), record.id, undefined);
  }

  /** Takes over what a layer above has changed. */
  absorb(above: Layer<R>): void {
    for (const [key, record] of above.#over ?? []) this.#keys().set(key, record);
    for (const [id, record] of above.#overById ?? []) this.#ids().set(id, record);
  }

  #set(key: string, id: R['id'], record: R | undefined): void {
    this.#keys().set(key, record);
    this.#ids().set(id, record);
  }

  #keys(): Map<string, R | undefined> {
    this.#over ??= new Map();
    return this.#over;
  }

  #ids(): Map<R['id'], R | undefined> {
    this.#overById ??= new Map();
    return this.#overById;
  }
}
