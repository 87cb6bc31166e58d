import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { PoolError } from '../errors.js';
import type { OpenOptions, SqliteDatabase, SqliteLibrary, SqliteStatement } from './engine.js';
import { busyConnection, type Home, NodeStatement } from './node-statement.js';
import { codeName, SqliteError } from './sqlite-error.js';
import { isOlder, OLDEST_SQLITE } from './sqlite-version.js';

/** Also the longest that V8 can make a string of, so that what is longer fails inside SQLite. */
const LONGEST = 2 ** 29 - 24;

/** What better-sqlite3's SQLite is built with: 16 MB. Node's has 2. */
const CACHE_SIZE = -16_000;

type NodeSqlite = typeof import('node:sqlite');

/**
 * Node's own SQLite, asked for where it is used: an older Node.js has none, and a bundler may take
 * the name for a package's.
 */
function nodeSqlite(): NodeSqlite {
  const found = process.getBuiltinModule('node:sqlite') as NodeSqlite | undefined;
  const why = whyNotNode(
    found === undefined ? undefined : process.versions.sqlite,
    found !== undefined && 'enableDefensive' in found.DatabaseSync.prototype,
  );
  if (why !== undefined) throw new PoolError('POOL_OPTIONS', why);
  return found as NodeSqlite;
}

/** Why the driver cannot be used here; undefined where it can. */
export function whyNotHere(): string | undefined {
  try {
    nodeSqlite();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Why the driver cannot be used with a Node.js of this SQLite, or of none.
 *
 * @param isWhole whether its `node:sqlite` is that of Node.js 24 or newer: the one of Node.js 22 cuts
 * texts at a zero character, and stores NULL for an empty blob.
 */
export function whyNotNode(version: string | undefined, isWhole: boolean): string | undefined {
  const has =
    version === undefined
      ? 'which has no node:sqlite'
      : isOlder(version)
        ? `whose SQLite ${version} can corrupt a WAL database that two connections write and checkpoint`
        : isWhole
          ? undefined
          : 'whose node:sqlite cuts texts at zero characters and stores NULL for empty blobs';
  if (has === undefined) return undefined;
  return (
    `option 'driver': 'node:sqlite' needs Node.js 24 or newer with SQLite ${OLDEST_SQLITE}, and this is ` +
    `Node.js ${process.version}, ${has}; use a newer Node.js, or the default driver, better-sqlite3, ` +
    'which brings a SQLite of its own'
  );
}

/** A file that must exist is opened by a name that says so: https://sqlite.org/uri.html */
function existing(file: string): string {
  if (!file.startsWith('file:')) return `${pathToFileURL(resolve(file)).href}?mode=rw`;
  return /[?&]mode=/.test(file) ? file : `${file}${file.includes('?') ? '&' : '?'}mode=rw`;
}

/** A connection of node:sqlite in the shape of better-sqlite3's. */
class NodeDatabase implements SqliteDatabase, Home {
  readonly native: DatabaseSync;
  iterators = 0;
  #safe = false;
  #changes: StatementSync | undefined;

  constructor(fileGiven: string, options: OpenOptions = {}) {
    const { readonly = false, fileMustExist = false, timeout = 5000 } = options;
    const file = fileGiven.trim();
    const isFile = file !== '' && file !== ':memory:';
    if (readonly && !isFile) {
      throw new TypeError('In-memory/temporary databases cannot be readonly');
    }
    if (isFile && !file.startsWith('file:') && !existsSync(dirname(file))) {
      throw new TypeError('Cannot open database because the directory does not exist');
    }
    const { DatabaseSync } = nodeSqlite();
    const settings = {
      readOnly: readonly,
      timeout,
      allowExtension: true,
      defensive: true,
      enableForeignKeyConstraints: true,
      enableDoubleQuotedStringLiterals: false,
      limits: { length: LONGEST, sqlLength: LONGEST },
    };
    const name = isFile && fileMustExist && !readonly ? existing(file) : file;
    this.native = this.guard(() => new DatabaseSync(name, settings));
  }

  get open(): boolean {
    return this.native.isOpen;
  }

  get inTransaction(): boolean {
    return this.native.isOpen && this.native.isTransaction;
  }

  prepare(sql: string): SqliteStatement {
    return this.guard(() => {
      const native = this.native.prepare(sql);
      const { length } = sourceOf(native);
      if (length === 0) {
        throw new RangeError('The supplied SQL string contains no statements');
      }
      if (!isEmpty(sql, length)) {
        throw new RangeError('The supplied SQL string contains more than one statement');
      }
      return new NodeStatement(this, native, sql.slice(0, length), this.#safe);
    });
  }

  exec(script: string): this {
    if (this.iterators > 0) throw busyConnection();
    this.guard(() => this.native.exec(script));
    return this;
  }

  close(): this {
    if (!this.native.isOpen) return this;
    if (this.iterators > 0) throw busyConnection();
    this.#changes = undefined;
    this.guard(() => this.native.close());
    return this;
  }

  loadExtension(file: string, entryPoint?: string): this {
    if (this.iterators > 0) throw busyConnection();
    this.guard(() => (this.native.loadExtension as (...args: unknown[]) => void)(file, entryPoint));
    return this;
  }

  defaultSafeIntegers(on = true): this {
    this.#safe = on;
    return this;
  }

  async backup(
    file: string,
    options: {
      pages?: number;
      progress(progress: { totalPages: number; remainingPages: number }): unknown;
    },
  ): Promise<{ totalPages: number; remainingPages: number }> {
    const { pages = 100, progress } = options;
    try {
      const { page_count: all } = this.native.prepare('PRAGMA page_count').get() as {
        page_count: number;
      };
      if (all > 0) progress({ totalPages: all, remainingPages: all });
      const totalPages = await nodeSqlite().backup(this.native, file, { rate: pages, progress });
      return { totalPages, remainingPages: 0 };
    } catch (error) {
      throw asSqliteError(error);
    }
  }

  totalChanges(): number {
    return this.guard(() => {
      if (this.#changes === undefined) {
        this.#changes = this.native.prepare('SELECT total_changes()');
        this.#changes.setReturnArrays(true);
      }
      return (this.#changes.get() as unknown as [number])[0];
    });
  }

  guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw asSqliteError(error);
    }
  }
}

/** The text of the one statement that was prepared; '' where there is none, which Node.js 22 does not say. */
function sourceOf(native: StatementSync): string {
  try {
    return native.sourceSQL;
  } catch {
    return '';
  }
}

/** Whether nothing but blanks, comments and semicolons follow a statement; where a zero character
 * ends the text for SQLite, it ends here. */
function isEmpty(sql: string, from: number): boolean {
  for (let at = from; at < sql.length; ) {
    const code = sql.charCodeAt(at);
    if (code === 0) return true;
    if (code === 59 || code === 32 || (code >= 9 && code <= 13)) at++;
    else if (sql.startsWith('--', at)) at = after(sql, '\n', at + 2);
    else if (sql.startsWith('/*', at)) at = after(sql, '*/', at + 2);
    else return false;
  }
  return true;
}

function after(sql: string, what: string, from: number): number {
  const found = sql.indexOf(what, from);
  return found === -1 ? sql.length : found + what.length;
}

/** The error that better-sqlite3 throws in place of one of node:sqlite's own. */
function asSqliteError(error: unknown): unknown {
  const { code, errcode, message } = error as { code?: unknown; errcode?: number; message: string };
  switch (code) {
    case 'ERR_SQLITE_ERROR':
      return new SqliteError(message, codeName(errcode ?? 1));
    case 'ERR_LOAD_SQLITE_EXTENSION':
      return new SqliteError(message, 'SQLITE_ERROR');
    case 'ERR_INVALID_STATE':
      return new TypeError('The database connection is not open');
    case 'ERR_INVALID_ARG_VALUE':
      return new RangeError('The supplied SQL string contains no statements');
    default:
      return error;
  }
}

/**
 * Node's own SQLite, as a library in the shape of better-sqlite3's.
 *
 * @throws PoolError POOL_OPTIONS where this Node.js has none, or one that is too old.
 */
export function nodeLibrary(): SqliteLibrary {
  nodeSqlite();
  return Object.assign(NodeDatabase, { SqliteError, cacheSize: CACHE_SIZE });
}
