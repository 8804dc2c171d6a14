/** At which revision each key of the fleet was seen last, and up to where each range was followed. */
export class KnownKeys {
  readonly #revisions = new Map<string, string>();
  /** up to it, all changes of instances have been seen */
  instancesUpTo = '0';

  /** '0': there is no such key */
  revisionOf(key: string): string {
    return this.#revisions.get(key) ?? '0';
  }

  has(key: string): boolean {
    return this.#revisions.has(key);
  }

  keys(): string[] {
    return [...this.#revisions.keys()];
  }

  /** All keys are read anew, and may be of another history: each that is read is news. */
  doubt(): void {
    for (const key of this.#revisions.keys()) this.#revisions.set(key, '0');
  }

  /** @returns false: that, or something newer, is known already */
  put(key: string, revision: string): boolean {
    if (BigInt(revision) <= BigInt(this.revisionOf(key))) return false;
    this.#revisions.set(key, revision);
    return true;
  }

  /** @returns false: it was not known, or something newer is */
  remove(key: string, revision: string): boolean {
    if (BigInt(revision) <= BigInt(this.revisionOf(key))) return false;
    return this.#revisions.delete(key);
  }
}
