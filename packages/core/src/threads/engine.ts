import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ownRequire } from './home.js';

/**
 * The SQLite library behind the pool, seen through the one shape that the pool needs of it:
 * better-sqlite3's, and whatever module is compatible with it (the option `driver`).
 */
export interface SqliteDatabase {
  readonly inTransaction: boolean;
  readonly open: boolean;
  prepare(sql: string): SqliteStatement;
  exec(script: string): unknown;
  close(): unknown;
  loadExtension?(file: string, entryPoint: string): unknown;
  defaultSafeIntegers(on?: boolean): unknown;
  /** Copies the database to another file, some pages at a time, as `progress` says. */
  backup(
    file: string,
    options: { progress(progress: { totalPages: number; remainingPages: number }): number },
  ): Promise<unknown>;
}

export interface SqliteStatement {
  /** Whether it returns rows. */
  readonly reader: boolean;
  readonly readonly: boolean;
  run(params: unknown): RunResult;
  get(params: unknown): unknown;
  all(params: unknown): unknown[];
  iterate(params: unknown): IterableIterator<unknown>;
  raw(on?: boolean): unknown;
  columns(): { name: string }[];
}

/** What a statement that writes gives back. */
export interface RunResult {
  /** Rows that the statement itself inserted, updated or deleted. */
  changes: number;
  /** The rowid of the connection's last insert; a bigint by the option `integers`. */
  lastInsertRowid: number | bigint;
}

export type SqliteErrorClass = new (message: string, code: string) => Error & { code: string };

interface SqliteLibrary {
  new (
    file: string,
    options: { readonly?: boolean; fileMustExist?: boolean; timeout?: number },
  ): SqliteDatabase;
  SqliteError: SqliteErrorClass;
}

/** A name that begins with a dot or a slash is a path; a bare one is looked up from this package
 * first, then from the application's folder. */
function load(driver: string): SqliteLibrary {
  const own = ownRequire();
  if (driver === 'better-sqlite3') return own(driver) as SqliteLibrary;
  const application = createRequire(pathToFileURL(join(process.cwd(), 'index.js')));
  try {
    return application(driver) as SqliteLibrary;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    return own(driver) as SqliteLibrary;
  }
}

const libraries = new Map<string, SqliteLibrary>();

export function sqliteLibrary(driver: string): SqliteLibrary {
  let library = libraries.get(driver);
  if (library === undefined) {
    library = load(driver);
    if (typeof library !== 'function' || typeof library.SqliteError !== 'function') {
      throw new TypeError(`the driver '${driver}' is not compatible with better-sqlite3`);
    }
    libraries.set(driver, library);
  }
  return library;
}
