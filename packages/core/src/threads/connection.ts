import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type SqliteDatabase, type SqliteStatement, sqliteLibrary } from './engine.js';
import type { Feed } from './feed.js';
import { type CommitGate, tellOf } from './gate.js';
import { loadHooks } from './hooks.js';
import type { Method } from './protocol.js';
import { Method as M } from './protocol.js';
import { isOlder, OLDEST_SQLITE } from './sqlite-version.js';

/** How integers come back: see the pool option of the same name. */
export type Integers = 'number' | 'bigint' | 'auto';

/** What a connection needs to know of the pool's options; it crosses to the threads. */
export interface ConnectionOptions {
  /** An absolute path, `:memory:` or `''`. */
  file: string;
  readonly: boolean;
  driver: string;
  integers: Integers;
  synchronous: 'normal' | 'full';
  busyTimeout: number;
  retry: { attempts: number; baseDelay: number; maxDelay: number; jitter: number };
  foreignKeys: boolean;
  cacheSize: number | undefined;
  mmapSize: number;
  pragmas: readonly (readonly [name: string, value: string | number | boolean])[];
  setup: string | undefined;
  /** Whether the extension of `@poolite/hooks` is loaded, where it is there. */
  hooks?: boolean;
}

/**
 * What a `setup` module exports by default: it is called for every connection, with better-sqlite3's
 * `Database`, or Node's `DatabaseSync` under `driver: 'node:sqlite'`.
 */
export type Setup = (db: unknown, context: { access: 'read' | 'write' }) => void;

export function isMemory(file: string): boolean {
  return file === ':memory:' || file === '';
}

/** Loads the `setup` module of the options, where there is one. */
export async function loadSetup(setup: string | undefined): Promise<Setup | undefined> {
  if (setup === undefined) return undefined;
  const isPath = setup.startsWith('.') || isAbsolute(setup);
  const url = isPath ? pathToFileURL(resolve(setup)).href : setup;
  const loaded = (await import(url)) as { default?: unknown };
  let found = loaded.default;
  // A CommonJS module that was compiled from ESM keeps its default export one level deeper.
  if (typeof found === 'object' && found !== null && 'default' in found) found = found.default;
  if (typeof found !== 'function') {
    throw new TypeError(`the setup module ${setup} must export a function by default`);
  }
  return found as Setup;
}

const versions = new Map<string, string>();

/** Asked of a database in memory: a file that wants a key first would not even tell this. */
function checkVersion(driver: string): string {
  const known = versions.get(driver);
  if (known !== undefined) return known;
  const db = new (sqliteLibrary(driver))(':memory:', {});
  const row = db.prepare('SELECT sqlite_version() AS version').get([]) as { version: string };
  db.close();
  if (isOlder(row.version)) {
    throw new Error(
      `SQLite ${row.version} can corrupt a WAL database that two connections write and ` +
        `checkpoint; poolite needs ${OLDEST_SQLITE} or newer`,
    );
  }
  versions.set(driver, row.version);
  return row.version;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A prepared statement with the mode it was last put into. */
export class Prepared {
  readonly statement: SqliteStatement;
  /** Whether rows come as arrays now: switching costs a call, so it is remembered. */
  #raw = false;
  /** The column names of the last rows, and their number: see `ResultEncoder`. */
  keys: string[] | undefined;
  shape = -1;
  /** What it may change unnoticed, and since when that is known: see `Feed`. */
  silent: readonly (readonly [schema: string, name: string])[] = [];
  era = 0;

  constructor(statement: SqliteStatement) {
    this.statement = statement;
  }

  as(method: Method): SqliteStatement {
    const raw = method === M.values || method === M.firstValues || method === M.queryValues;
    if (raw !== this.#raw && this.statement.reader) {
      this.statement.raw(raw);
      this.#raw = raw;
    }
    return this.statement;
  }
}

/** One SQLite connection and its prepared statements, by the pool's statement numbers. */
export class Connection {
  readonly db: SqliteDatabase;
  readonly sqliteVersion: string;
  readonly access: 'read' | 'write';
  /** What the extension calls it; 0 where it has none, and why. */
  number = 0;
  noHooks = 'switched off by the option hooks';
  /** Tells what its commits change, where somebody wants to know. */
  feed: Feed | undefined;
  /** What is asked before it commits. */
  gate: CommitGate | undefined;
  readonly #prepared = new Map<number, Prepared>();
  readonly #options: ConnectionOptions;
  readonly #controls = new Map<string, SqliteStatement>();
  #changes: SqliteStatement | undefined;
  #schemaVersions: SqliteStatement[] | undefined;

  /**
   * @param timeout milliseconds that SQLite itself waits for a lock: 0 on the writer, whose waits
   * are the pool's own.
   */
  constructor(options: ConnectionOptions, access: 'read' | 'write', timeout: number) {
    const Library = sqliteLibrary(options.driver);
    this.sqliteVersion = checkVersion(options.driver);
    this.#options = options;
    this.access = access;
    const memory = isMemory(options.file);
    this.db = new Library(options.file, {
      readonly: !memory && (access === 'read' || options.readonly),
      fileMustExist: !memory && (access === 'read' || options.readonly),
      timeout,
    });
    if (options.integers !== 'number') this.db.defaultSafeIntegers(true);
  }

  /** Runs the user's `setup`, and sets the pragmas of the options. */
  configure(setup: Setup | undefined): void {
    const options = this.#options;
    // It may set a key, before which nothing can read the file: as many a pragma does.
    const result: unknown = setup?.(this.db.native ?? this.db, { access: this.access });
    if (typeof (result as { then?: unknown } | undefined)?.then === 'function') {
      throw new TypeError(
        `the setup module ${options.setup} returned a promise: what it does to a connection must ` +
          'be done when it returns (better-sqlite3 is synchronous; import what you need above)',
      );
    }
    this.pragma(`foreign_keys = ${options.foreignKeys ? 'ON' : 'OFF'}`);
    const cacheSize = options.cacheSize ?? sqliteLibrary(options.driver).cacheSize;
    if (cacheSize !== undefined) this.pragma(`cache_size = ${cacheSize}`);
    this.pragma(`mmap_size = ${options.mmapSize}`);
    if (this.access === 'write') this.pragma(`synchronous = ${options.synchronous}`);
    for (const [name, value] of options.pragmas) this.#given(`${name} = ${value}`);
  }

  /** A pragma of the options. What it writes to the file (`auto_vacuum`, `user_version`) the writer has written. */
  #given(text: string): void {
    try {
      this.pragma(text);
    } catch (error) {
      if (this.access !== 'read' || (error as { code?: unknown }).code !== 'SQLITE_READONLY')
        throw error;
    }
  }

  /** Loads the extension that interrupts it, where there is one. */
  hook(): void {
    if (this.#options.hooks !== true) return;
    const loaded = loadHooks(this.db);
    if (typeof loaded === 'number') this.number = loaded;
    this.noHooks = typeof loaded === 'number' ? '' : loaded;
  }

  pragma(text: string): unknown {
    const statement = this.db.prepare(`PRAGMA ${text}`);
    return statement.reader ? statement.all([]) : statement.run([]);
  }

  /** The changes and the rowid of the last statement, which SQLite keeps per connection. */
  changes(): [changes: number | bigint, rowid: number | bigint] {
    this.#changes ??= this.db.prepare('SELECT changes(), last_insert_rowid()');
    this.#changes.raw(true);
    return this.#changes.get([]) as [number | bigint, number | bigint];
  }

  /** Makes `changes()` 1 and `last_insert_rowid()` this: no savepoint takes them back. */
  tellInsert(rowid: bigint): void {
    this.control('SAVEPOINT poolite_told');
    this.db.exec('CREATE TEMP TABLE poolite_told (id INTEGER PRIMARY KEY)');
    this.db.prepare('INSERT INTO temp.poolite_told VALUES (?)').run([rowid]);
    this.undo('poolite_told');
  }

  /** Undoes what ran since the last savepoint of this name, and the savepoint with it. */
  undo(savepoint: string): void {
    this.control(`ROLLBACK TO ${savepoint}`);
    this.control(`RELEASE ${savepoint}`);
  }

  /** Runs a statement of the pool's own, which is prepared once: BEGIN, COMMIT and their kin. */
  control(sql: string): void {
    let statement = this.#controls.get(sql);
    if (statement === undefined) {
      statement = this.db.prepare(sql);
      this.#controls.set(sql, statement);
    }
    if (this.gate === undefined) {
      statement.run([]);
      return;
    }
    if (sql === 'COMMIT') this.gate.propose();
    statement.run([]);
    tellOf(this.gate, sql);
  }

  /**
   * The versions of all schemas. Databases that were attached since `schemaTexts` was called last
   * are not among them.
   */
  schemaVersions(): string {
    this.#schemaVersions ??= this.#schemas().map((schema) => {
      const statement = this.db.prepare(`PRAGMA ${schema}.schema_version`);
      statement.raw(true);
      return statement;
    });
    return this.#schemaVersions.map((statement) => String(statement.get([]))).join();
  }

  /** Databases were attached or detached. */
  forgetSchemas(): void {
    this.#schemaVersions = undefined;
  }

  /** The texts of every schema object, of the main, the temporary and the attached databases. */
  schemaTexts(): string[] {
    this.forgetSchemas();
    return this.#schemas().flatMap((schema) => {
      const sql = `SELECT sql FROM ${schema}.sqlite_schema WHERE sql IS NOT NULL`;
      const rows = this.db.prepare(sql).all([]);
      return (rows as { sql: string }[]).map((row) => row.sql);
    });
  }

  /** The names of all databases, quoted; the temporary one may not be there yet. */
  #schemas(): string[] {
    const names = (this.pragma('database_list') as { name: string }[]).map((row) => row.name);
    return [...new Set(['temp', ...names])].map(quoted);
  }

  /** The databases that are attached now, each with its name, quoted, and its file. */
  attached(): { schema: string; file: string }[] {
    const list = this.pragma('database_list') as { name: string; file: string }[];
    return list
      .filter(({ name, file }) => name !== 'main' && name !== 'temp' && file !== '')
      .map(({ name, file }) => ({ schema: quoted(name), file }));
  }

  prepared(id: number, sql: string): Prepared {
    let prepared = this.#prepared.get(id);
    if (prepared === undefined) {
      prepared = new Prepared(this.prepare(sql));
      this.#prepared.set(id, prepared);
    }
    return prepared;
  }

  /**
   * Prepares a statement by the schema as it is. SQLite takes the one that it knows, and looks whether
   * another connection has changed it where a name is not found, but not with every error.
   */
  prepare(sql: string): SqliteStatement {
    try {
      return this.db.prepare(sql);
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code !== 'SQLITE_ERROR' || this.access !== 'read') throw error;
      this.look();
      return this.db.prepare(sql);
    }
  }

  /** Looks whether another connection has changed the schema, as reading does. */
  look(): void {
    this.control('SELECT 1 FROM sqlite_schema LIMIT 0');
  }

  forget(id: number): void {
    this.#prepared.delete(id);
  }

  close(): void {
    this.#prepared.clear();
    this.db.close();
  }
}
