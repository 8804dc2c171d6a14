import { createRequire } from 'node:module';
import type BetterSqlite3 from 'better-sqlite3';
import { Fault } from '../errors.js';
import { rebuildAdvice } from '../package-root.js';

// SQLite as Node brings it, or as better-sqlite3 where it brings none (Node 20). Nothing else knows which of the two.

export type Value = string | number | null;

export interface Statement {
  run(...parameters: Value[]): unknown;
  /** each row an array of its columns */
  all(...parameters: Value[]): Value[][];
  get(...parameters: Value[]): Value[] | undefined;
}

interface Engine {
  open(file: string, readonly: boolean): Connection;
  /** of SQLite's result code, without what makes it extended: 'SQLITE_BUSY'; undefined: it was not SQLite */
  codeOf(error: unknown): string | undefined;
}

interface Connection {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  inTransaction(): boolean;
  close(): void;
}

/** An open database. What another process has locked fails at once. */
export class Database {
  readonly #connection: Connection;
  readonly #begin: Statement;
  readonly #commit: Statement;

  constructor(file: string, { readonly = false } = {}) {
    this.#connection = engine.open(file, readonly);
    this.#begin = this.#connection.prepare('BEGIN');
    this.#commit = this.#connection.prepare('COMMIT');
  }

  exec(sql: string): void {
    this.#connection.exec(sql);
  }

  prepare(sql: string): Statement {
    return this.#connection.prepare(sql);
  }

  /** The first column of the first row. */
  value(sql: string): Value {
    return this.prepare(sql).get()?.[0] ?? null;
  }

  /** All that work writes, or nothing. */
  transaction(work: () => void): void {
    this.begin();
    try {
      work();
      this.commit();
    } finally {
      this.rollback();
    }
  }

  begin(): void {
    this.#begin.run();
  }

  commit(): void {
    this.#commit.run();
  }

  /** Of what has begun and was not committed, if anything was. */
  rollback(): void {
    if (this.#connection.inTransaction()) this.exec('ROLLBACK');
  }

  close(): void {
    this.#connection.close();
  }
}

/** SQLite's name of what went wrong, as `SQLITE_BUSY`; undefined: it was not SQLite. */
export function sqliteCodeOf(error: unknown): string | undefined {
  return engine.codeOf(error);
}

// The types of node:sqlite belong to a newer Node than the oldest that is supported.
interface NodeStatement extends Statement {
  setReturnArrays(enabled: boolean): void;
  columns(): readonly unknown[];
}

interface NodeDatabase {
  readonly isTransaction: boolean;
  exec(sql: string): void;
  prepare(sql: string): NodeStatement;
  close(): void;
}

interface NodeSqlite {
  DatabaseSync: new (file: string, options: { readOnly: boolean }) => NodeDatabase;
}

const primaryCodes: Readonly<Record<number, string>> = {
  5: 'SQLITE_BUSY',
  6: 'SQLITE_LOCKED',
  8: 'SQLITE_READONLY',
  10: 'SQLITE_IOERR',
  11: 'SQLITE_CORRUPT',
  13: 'SQLITE_FULL',
  14: 'SQLITE_CANTOPEN',
  26: 'SQLITE_NOTADB',
};

function nodeEngine({ DatabaseSync }: NodeSqlite): Engine {
  const memory = new DatabaseSync(':memory:', { readOnly: false });
  const cutsTexts = prepared(memory, 'SELECT char(0)').get()?.[0] !== '\0';
  memory.close();
  return {
    open: (file, readonly) => {
      const database = new DatabaseSync(file, { readOnly: readonly });
      return {
        exec: (sql) => database.exec(sql),
        prepare: (sql) => (cutsTexts && sql.startsWith('SELECT') ? readAsJson(database, sql) : prepared(database, sql)),
        inTransaction: () => database.isTransaction,
        close: () => database.close(),
      };
    },
    codeOf: (error) => {
      if (!(error instanceof Error) || !('errcode' in error)) return undefined;
      return primaryCodes[Number(error.errcode) & 0xff] ?? 'SQLITE_ERROR';
    },
  };
}

function prepared(database: NodeDatabase, sql: string): NodeStatement {
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  return statement;
}

/** Node 22 ends a text that it reads at its first NUL, which JSON has as six other characters. */
function readAsJson(database: NodeDatabase, sql: string): Statement {
  const columns = prepared(database, sql).columns();
  const names = columns.map((_, index) => `c${index}`).join(', ');
  const statement = prepared(database, `WITH rows (${names}) AS (${sql}) SELECT json_array(${names}) FROM rows`);
  const parsed = ([text]: Value[]): Value[] => JSON.parse(String(text));
  return {
    run: (...parameters) => statement.run(...parameters),
    all: (...parameters) => statement.all(...parameters).map(parsed),
    get: (...parameters) => {
      const row = statement.get(...parameters);
      return row && parsed(row);
    },
  };
}

function betterEngine(Better: typeof BetterSqlite3): Engine {
  return {
    open: (file, readonly) => {
      const database = openWith(Better, file, readonly);
      return {
        exec: (sql) => database.exec(sql),
        prepare: (sql) => {
          const statement = database.prepare(sql);
          return (statement.reader ? statement.raw() : statement) as Statement;
        },
        inTransaction: () => database.inTransaction,
        close: () => database.close(),
      };
    },
    codeOf: (error) => {
      if (!(error instanceof Better.SqliteError)) return undefined;
      return /^SQLITE_[A-Z]+/.exec(error.code)?.[0];
    },
  };
}

/** @throws Fault sqlite-broken: it is not compiled, or not for this Node and this libc */
function openWith(Better: typeof BetterSqlite3, file: string, readonly: boolean): BetterSqlite3.Database {
  try {
    return new Better(file, { readonly, timeout: 0 });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // The latter is what bindings says where there is no binary.
    if (code !== 'ERR_DLOPEN_FAILED' && !message.startsWith('Could not locate the bindings file')) throw error;
    throw new Fault('sqlite-broken', `SQLite cannot be loaded: ${message.split('\n')[0]} ${rebuildAdvice}`, error);
  }
}

/** Node's, without the warning that it is experimental, which would be said at each start. */
function nodeSqlite(): NodeSqlite | undefined {
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return process.getBuiltinModule('node:sqlite') as NodeSqlite | undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}

const found = nodeSqlite();
const engine = found === undefined ? betterEngine(createRequire(import.meta.url)('better-sqlite3')) : nodeEngine(found);
