import type { Integers, Params } from '@poolite/core';
import type BetterSqlite3 from 'better-sqlite3';
import { onNodeSqlite } from '../support/engine.ts';
import { Reference } from '../support/reference.ts';
import type { Method } from './statements.js';
import { copyOf } from './values.js';

export interface Outcome {
  value?: unknown;
  error?: { class: unknown; name: string; message: string; code: unknown };
}

/** An error in the parts that callers see of it. */
export function failed(error: unknown): Outcome {
  const { name, message, code } = error as Error & { code?: unknown };
  // Another engine's own class has the name that better-sqlite3's has.
  const isOthers = onNodeSqlite && name === 'SqliteError';
  return { error: { class: isOthers ? name : (error as object).constructor, name, message, code } };
}

/** better-sqlite3 itself, on a file of its own that is treated as the pool's is. */
export class Twin {
  readonly db: BetterSqlite3.Database;
  readonly #integers: Integers;

  constructor(file: string, integers: Integers) {
    this.db = new Reference(file);
    this.db.pragma('journal_mode = WAL');
    this.db.pragma('synchronous = OFF');
    if (integers !== 'number') this.db.defaultSafeIntegers(true);
    this.#integers = integers;
  }

  /** Runs a statement that it prepares anew; in a transaction of its own where asked to. */
  run(method: Method, sql: string, params: Params | undefined, inTransaction: boolean): Outcome {
    const { db } = this;
    try {
      if (inTransaction) db.exec('BEGIN IMMEDIATE');
      try {
        const value = this.#run(method, sql, params === undefined ? [] : [owned(params)]);
        if (inTransaction) db.exec('COMMIT');
        return { value: this.#integers === 'auto' ? narrow(value) : value };
      } finally {
        if (db.inTransaction) db.exec('ROLLBACK');
      }
    } catch (error) {
      return failed(error);
    }
  }

  /** Whether a statement reads, as SQLite itself says; undefined where it cannot be prepared. */
  reads(sql: string): boolean | undefined {
    try {
      const { reader, readonly } = this.db.prepare(sql);
      return reader && readonly;
    } catch {
      return undefined;
    }
  }

  #run(method: Method, sql: string, params: readonly unknown[]): unknown {
    const statement = this.db.prepare(sql);
    switch (method) {
      case 'run':
        return statement.run(...params);
      case 'get':
        return statement.get(...params);
      case 'values':
        if (statement.reader) statement.raw(true);
        return statement.all(...params);
      case 'all':
      case 'iterate':
        return statement.all(...params);
      case 'query':
        return this.#query(statement, params);
    }
  }

  /** Rows where there are some, and the changes in any case. */
  #query(statement: BetterSqlite3.Statement, params: readonly unknown[]): unknown {
    if (!statement.reader) return { rows: [], ...statement.run(...params) };
    const rows = statement.all(...params);
    if (statement.readonly) return { rows, changes: 0, lastInsertRowid: 0 };
    const counts = this.db.prepare('SELECT changes(), last_insert_rowid()').raw(true).get();
    const [changes, lastInsertRowid] = counts as [number | bigint, number | bigint];
    return { rows, changes: Number(changes), lastInsertRowid };
  }
}

function owned(params: Params): Params {
  if (Array.isArray(params)) return params.map(copyOf);
  return Object.fromEntries(Object.entries(params).map(([key, value]) => [key, copyOf(value)]));
}

/** The option `integers: 'auto'`: a number where that is exact. */
function narrow(value: unknown): unknown {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
  if (Array.isArray(value)) return value.map(narrow);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, narrow(each)]));
}
