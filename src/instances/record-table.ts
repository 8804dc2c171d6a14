import { Fault } from '../errors.js';

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

/** All records of one kind, in memory. */
export class Table<R extends Keyed> implements Records<R> {
  readonly noun: string;
  readonly #ids = new Map<string, R['id']>();
  readonly #byId = new Map<number, R>();
  #lastId = 0;

  constructor(noun: string) {
    this.noun = noun;
  }

  get(key: string): R | undefined {
    const id = this.#ids.get(key);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  byId(id: number): R | undefined {
    return this.#byId.get(id);
  }

  values(): Iterable<R> {
    return this.#byId.values();
  }

  get size(): number {
    return this.#byId.size;
  }

  /** A number that no record has had since the start. */
  newId(): number {
    return ++this.#lastId;
  }

  apply(before: R | undefined, after: R | undefined): void {
    const staysThere = before !== undefined && after !== undefined && hasSameKey(before, after);
    if (before !== undefined && !staysThere) this.#ids.delete(keyOf(before.project, before.name));
    if (after !== undefined) {
      if (!staysThere) this.#ids.set(keyOf(after.project, after.name), after.id);
      this.keep(after);
      this.#lastId = Math.max(this.#lastId, after.id);
    } else if (before !== undefined) {
      this.#byId.delete(before.id);
    }
  }

  /** Puts another version in the place of one. */
  protected keep(record: R): void {
    this.#byId.set(record.id, record);
  }
}

function hasSameKey(before: Keyed, after: Keyed): boolean {
  return before.name === after.name && before.project === after.project;
}

export function keyOf(project: string, name: string): string {
  return `${project}/${name}`;
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
