import type { Turn } from '../concurrency/turn.js';
import { Fault } from '../errors.js';
import type { Layer } from './layer.js';

/** What is known by its project and its name, and by a number that stays when it is renamed. */
export interface Keyed {
  readonly id: number;
  readonly project: string;
  readonly name: string;
}

/** Where records are looked up: memory, or a draft of what it will be. */
export interface Records<R extends Keyed> {
  /** what one of them is called in a sentence: "Instance" */
  readonly noun: string;
  get(key: string): R | undefined;
  byId(id: number): R | undefined;
  /** in no order */
  values(): Iterable<R>;
}

/**
 * All records of one kind, in memory. What a commit has changed lies over the maps at first, so that all of it is seen
 * at once, and is then moved into them in slices.
 */
export class Table<R extends Keyed> implements Records<R> {
  readonly noun: string;
  readonly #ids = new Map<string, R['id']>();
  readonly #byId = new Map<number, R>();
  #over: Layer<R> | undefined;
  #lastId = 0;

  constructor(noun: string) {
    this.noun = noun;
  }

  get(key: string): R | undefined {
    if (this.#over?.has(key)) return this.#over.get(key);
    const id = this.#ids.get(key);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  byId(id: number): R | undefined {
    return this.#over?.hasId(id) ? this.#over.byId(id) : this.#byId.get(id);
  }

  values(): Iterable<R> {
    return this.#over === undefined ? this.#byId.values() : this.#valuesUnder(this.#over);
  }

  /** A number that no record has had since the start. */
  newId(): number {
    return ++this.#lastId;
  }

  /** Takes in what is stored. */
  load(record: R): void {
    this.put(record.id, record);
    this.#lastId = Math.max(this.#lastId, record.id);
  }

  /** From here on this is what there is. Before the next one, `settle` is waited for. */
  enter(over: Layer<R>): void {
    this.#over = over;
  }

  /** Moves what has entered into the maps, which nobody notices. */
  async settle(turn: Pick<Turn, 'end'>): Promise<void> {
    const over = this.#over;
    if (over === undefined) return;
    for (const id of over.changed()) {
      this.put(id, over.byId(id));
      const pause = turn.end();
      if (pause !== undefined) await pause;
    }
    this.#over = undefined;
  }

  /** Puts another version in the place of one, unless that is about to be moved. */
  protected keep(record: R): void {
    if (!this.#over?.hasId(record.id)) this.#byId.set(record.id, record);
  }

  protected put(id: R['id'], after: R | undefined): void {
    const before = this.#byId.get(id);
    if (before === undefined || after === undefined || !hasSameKey(before, after)) {
      // The old name may be another record's already.
      const key = before && keyOf(before.project, before.name);
      if (key !== undefined && this.#ids.get(key) === id) this.#ids.delete(key);
      if (after !== undefined) this.#ids.set(keyOf(after.project, after.name), id);
    }
    if (after === undefined) this.#byId.delete(id);
    else this.#byId.set(id, after);
  }

  *#valuesUnder(over: Layer<R>): Generator<R, void, void> {
    for (const record of this.#byId.values()) if (!over.hasId(record.id)) yield record;
    for (const id of new Set(over.changed())) {
      const record = over.byId(id);
      if (record !== undefined) yield record;
    }
  }
}

function hasSameKey(before: Keyed, after: Keyed): boolean {
  return before.name === after.name && before.project === after.project;
}

let last = { project: '', name: '', key: '/' };

/** A transaction asks for one record several times in a row: it is the same string then, whose hash is known. */
export function keyOf(project: string, name: string): string {
  if (last.name !== name || last.project !== project) last = { project, name, key: `${project}/${name}` };
  return last.key;
}

/**
 * For a rename, which is one to another name.
 * @throws Fault already-exists
 */
export function checkOther(noun: string, before: string, after: string): void {
  if (before === after) throw new Fault('already-exists', `${noun} "${after}" already exists`);
}

/** @throws Fault not-found */
export function need<R extends Keyed>(records: Records<R>, project: string, name: string): R {
  const found = records.get(keyOf(project, name));
  if (found === undefined) throw new Fault('not-found', `${records.noun} "${name}" not found`);
  return found;
}

/** All of a project, or all there are, by name. */
export function list<R extends Keyed>(records: Records<R>, project?: string): R[] {
  return unordered(records, project).sort(byName);
}

/** The same in no order, which a hundred thousand are had in without a gap. */
export function unordered<R extends Keyed>(records: Records<R>, project?: string): R[] {
  const all = [...records.values()];
  return project === undefined ? all : all.filter((record) => record.project === project);
}

/** The order of lists. */
export function byName(a: Keyed, b: Keyed): number {
  return compare(a.name, b.name) || compare(a.project, b.project);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
