import type {
  OpenOptions,
  SqliteDatabase,
  SqliteLibrary,
  SqliteStatement,
} from '../../../src/threads/engine.js';
import { nodeLibrary } from '../../../src/threads/node-sqlite.js';

/**
 * Under `pnpm test:node-sqlite` the tests' own connections are these: `better-sqlite3` leads here, so
 * that never two libraries open one file in one process. It has what the tests use of it.
 */
const Library: SqliteLibrary = nodeLibrary();

class Statement {
  readonly reader: boolean;
  readonly #statement: SqliteStatement;
  #plucks = false;
  #bound: unknown[] = [];

  constructor(statement: SqliteStatement) {
    this.#statement = statement;
    this.reader = statement.reader;
  }

  get readonly(): boolean {
    return this.#statement.readonly;
  }

  run(...params: unknown[]): unknown {
    return this.#statement.run(this.#given(params));
  }

  get(...params: unknown[]): unknown {
    const row = this.#statement.get(this.#given(params));
    return this.#plucks && row !== undefined ? (row as unknown[])[0] : row;
  }

  all(...params: unknown[]): unknown[] {
    const rows = this.#statement.all(this.#given(params));
    return this.#plucks ? rows.map((row) => (row as unknown[])[0]) : rows;
  }

  iterate(...params: unknown[]): IterableIterator<unknown> {
    return this.#statement.iterate(this.#given(params));
  }

  columns(): unknown {
    return this.#statement.columns();
  }

  raw(on = true): this {
    this.#statement.raw(on);
    return this;
  }

  pluck(on = true): this {
    this.#plucks = on;
    return this.raw(on);
  }

  bind(...params: unknown[]): this {
    this.#bound = params;
    return this;
  }

  #given(params: unknown[]): unknown {
    const given = params.length === 0 ? this.#bound : params;
    return given.length === 1 ? given[0] : given;
  }
}

export default class Database {
  static readonly SqliteError = Library.SqliteError;
  readonly #db: SqliteDatabase;

  constructor(file: string, options: OpenOptions = {}) {
    this.#db = new Library(file, options);
    this.#db.exec('PRAGMA synchronous = NORMAL');
  }

  get inTransaction(): boolean {
    return this.#db.inTransaction;
  }

  get open(): boolean {
    return this.#db.open;
  }

  prepare(sql: string): Statement {
    return new Statement(this.#db.prepare(sql));
  }

  exec(script: string): this {
    this.#db.exec(script);
    return this;
  }

  pragma(text: string, options: { simple?: boolean } = {}): unknown {
    const statement = this.prepare(`PRAGMA ${text}`);
    if (!statement.reader) return [statement.run()].slice(1);
    return options.simple === true ? statement.pluck().get() : statement.all();
  }

  function(name: string, work: (...values: unknown[]) => unknown): this {
    this.#db.native?.function(name, work as never);
    return this;
  }

  defaultSafeIntegers(on = true): this {
    this.#db.defaultSafeIntegers(on);
    return this;
  }

  loadExtension(file: string, entryPoint?: string): this {
    this.#db.loadExtension?.(file, entryPoint as string);
    return this;
  }

  transaction<T>(work: () => T): () => T {
    return () => {
      this.exec('BEGIN');
      try {
        const result = work();
        this.exec('COMMIT');
        return result;
      } finally {
        if (this.inTransaction) this.exec('ROLLBACK');
      }
    };
  }

  close(): this {
    this.#db.close();
    return this;
  }
}

export { Database as 'module.exports' };
