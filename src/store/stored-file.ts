import { existsSync } from 'node:fs';
import { Fault } from '../errors.js';
import { migrations } from './schema.js';
import { Database, sqliteCodeOf } from './sqlite.js';

/** What is in a store that no daemon has open. */
export interface Stored {
  readonly instances: number;
}

/**
 * Looks whether a file is a store that this devlxd can use, and whether all of it is right.
 * readonly: false: of a state directory, in which a reader that may not write leaves a log behind
 * @throws Fault store-damaged, store-newer, store-locked or not-found
 */
export function checkStore(path: string, { readonly = true } = {}): Stored {
  if (!existsSync(path)) throw new Fault('not-found', `There is no ${path}`);
  return withDatabase(path, { readonly }, (database) => {
    const version = Number(database.value('PRAGMA user_version'));
    if (version === 0) throw new Fault('store-damaged', `${path} is not a store of devlxd`);
    if (version > migrations.length) {
      throw new Fault('store-newer', `${path} was written by a newer devlxd; install that version first`);
    }
    const problem = database.value('PRAGMA integrity_check(1)');
    if (problem !== 'ok') throw new Fault('store-damaged', `${path} is damaged (${problem}); take an earlier backup`);
    return { instances: Number(database.value('SELECT count(*) FROM instances')) };
  });
}

/**
 * Moves the write-ahead log of a store into its file, so that the file alone is all of it; where that cannot be done,
 * because it is damaged, both stay as they are.
 * @throws Fault store-locked, when a daemon uses it
 */
export function mergeLog(path: string): void {
  if (!existsSync(path)) return;
  try {
    withDatabase(path, {}, (database) => {
      database.exec('PRAGMA locking_mode = EXCLUSIVE');
      database.exec('PRAGMA journal_mode = DELETE');
    });
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'store-damaged') throw error;
  }
}

function withDatabase<Result>(
  path: string,
  options: { readonly?: boolean },
  work: (database: Database) => Result,
): Result {
  let database: Database | undefined;
  try {
    database = new Database(path, options);
    return work(database);
  } catch (error) {
    const code = sqliteCodeOf(error);
    if (code === undefined) throw error;
    if (code === 'SQLITE_BUSY' || code === 'SQLITE_LOCKED') {
      throw new Fault('store-locked', `A devlxd uses ${path}; stop it first.`, error);
    }
    if (code !== 'SQLITE_CORRUPT' && code !== 'SQLITE_NOTADB') {
      throw new Fault('store-failed', `${path} cannot be read: ${(error as Error).message}`, error);
    }
    throw new Fault(
      'store-damaged',
      `${path} is no store of devlxd, or is damaged: ${(error as Error).message}`,
      error,
    );
  } finally {
    database?.close();
  }
}
