import { migrations } from '../../src/store/schema.js';
import { Database } from '../../src/store/sqlite.js';

/** A store with devlxd's settings, and the rows that a change of one key of an instance writes. */
export class ChangeRows {
  readonly #database: Database;
  readonly #setValue;
  readonly #addEvent;
  #written = 0;

  /** instances: with the ids from 1 on */
  constructor(file: string, instances: number) {
    const database = new Database(file);
    for (const setting of ['locking_mode = EXCLUSIVE', 'journal_mode = WAL', 'synchronous = FULL', 'foreign_keys = ON'])
      database.exec(`PRAGMA ${setting}`);
    for (const step of migrations) database.exec(step);
    const addInstance = database.prepare(
      `INSERT INTO instances (project, name, created_at, guest_state) VALUES ('default', ?, '', 'Started')`,
    );
    for (let id = 1; id <= instances; id++) addInstance.run(`c${id}`);
    this.#setValue = database.prepare(`INSERT OR REPLACE INTO config VALUES (?, 'user.n', ?)`);
    this.#addEvent = database.prepare(`INSERT INTO events VALUES (?, ?, 'config', ?)`);
    this.#database = database;
  }

  /** So many changes were written. */
  get written(): number {
    return this.#written;
  }

  /** One change of each of these, in one commit. */
  commit(ids: Iterable<number>): void {
    this.#database.transaction(() => {
      for (const id of ids) this.#write(id);
    });
  }

  #write(id: number): void {
    const value = String(++this.#written).padStart(8, '0');
    this.#setValue.run(id, value);
    this.#addEvent.run(id, value.padStart(30, '0'), eventOf(value));
  }
}

function eventOf(value: string): string {
  const metadata = { key: 'user.n', old_value: value, value };
  return JSON.stringify({ type: 'config', timestamp: '2026-11-23T21:55:00.123456789Z', metadata });
}
