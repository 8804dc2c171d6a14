import { existsSync } from 'node:fs';
import Database from 'better-sqlite3';
import { Fault } from '../errors.js';
import { migrations } from './schema.js';

/** What is in a store that no daemon has open. */
export interface Stored {
  readonly instances: number;
}

/**
 * Looks whether a file is a store that this devlxd can use, and whether all of it is right.
 * @throws Fault store-damaged, store-newer or not-found
 */
export function checkStore(path: string): Stored {
  if (!existsSync(path)) throw new Fault('not-found', `There is no ${path}`);
  return withDatabase(path, { readonly: true }, (database) => {
    const version = database.pragma('user_version', { simple: true }) as number;
    if (version === 0) throw new Fault('store-damaged', `${path} is not a store of devlxd`);
    if (version > migrations.length) {
      throw new Fault('store-newer', `${path} was written by a newer devlxd; install that version first`);
    }
    const problem = database.pragma('integrity_check(1)', { simple: true }) as string;
    if (problem !== 'ok') throw new Fault('store-damaged', `${path} is damaged (${problem}); take an earlier backup`);
    return { instances: database.prepare('SELECT count(*) FROM instances').pluck().get() as number };
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
      database.pragma('locking_mode = EXCLUSIVE');
      database.pragma('journal_mode = DELETE');
    });
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'store-damaged') throw error;
  }
}

function withDatabase<Result>(
  path: string,
  options: Database.Options,
  work: (database: Database.Database) => Result,
): Result {
  let database: Database.Database | undefined;
  try {
    database = new Database(path, { ...options, timeout: 0 });
    return work(database);
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    if (/^SQLITE_(BUSY|LOCKED)/.test(error.code)) {
      throw new Fault('store-locked', `A devlxd uses ${path}; stop it first.`, error);
    }
    throw new Fault('store-damaged', `${path} is no store of devlxd, or is damaged: ${error.message}`, error);
  } finally {
    database?.close();
  }
}
