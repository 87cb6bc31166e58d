import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { ownRequire } from './home.js';
import { nodeLibrary } from './node-sqlite.js';

/**
 * The SQLite library behind the pool, seen through the one shape that the pool needs of it:
 * better-sqlite3's, which `node-sqlite.ts` gives to Node's own SQLite, and which whatever other module
 * is named by the option `driver` must have.
 */
export interface SqliteDatabase {
  /**
   * What is behind it under `driver: 'node:sqlite'`: Node's own connection, which has what
   * better-sqlite3 has not (`createSession`, `applyChangeset`). Undefined under other drivers.
   */
  readonly native?: DatabaseSync;
  readonly inTransaction: boolean;
  readonly open: boolean;
  prepare(sql: string): SqliteStatement;
  exec(script: string): unknown;
  close(): unknown;
  loadExtension?(file: string, entryPoint: string): unknown;
  defaultSafeIntegers(on?: boolean): unknown;
  /**
   * Copies the database to another file, some pages at a time: as many as `progress` returns, or
   * `pages`, where a library cannot change that under way. Both are to be the same.
   */
  backup(
    file: string,
    options: {
      pages: number;
      progress(progress: { totalPages: number; remainingPages: number }): number;
    },
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

export interface OpenOptions {
  readonly?: boolean;
  fileMustExist?: boolean;
  /** How long, in ms, SQLite itself waits for a lock. */
  timeout?: number;
}

export interface SqliteLibrary {
  new (file: string, options: OpenOptions): SqliteDatabase;
  SqliteError: SqliteErrorClass;
  /** The `PRAGMA cache_size` that makes it like better-sqlite3's. */
  cacheSize?: number;
}

/** A name that begins with a dot or a slash is a path; a bare one is looked up from this package
 * first, then from the application's folder. */
function load(driver: string): SqliteLibrary {
  const own = ownRequire();
  if (driver === 'node:sqlite') return nodeLibrary();
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

/**
 * Refuses a driver that this Node.js cannot have, without loading any other.
 *
 * @throws PoolError POOL_OPTIONS
 */
export function checkDriver(driver: string): void {
  if (driver === 'node:sqlite') sqliteLibrary(driver);
}
