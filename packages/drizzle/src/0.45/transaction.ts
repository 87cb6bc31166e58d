import type { RunResult, TransactionOptions } from '@poolite/core';
import { entityKind, type RelationalSchemaConfig, type TablesRelationalConfig } from 'drizzle-orm';
import { type SQLiteAsyncDialect, SQLiteTransaction } from 'drizzle-orm/sqlite-core';
import type { PooliteSession } from './session.js';

/**
 * What `db.transaction` takes beside the callback: Drizzle's `behavior`, and what
 * `pool.transaction` takes.
 */
export interface PooliteTransactionConfig extends TransactionOptions {
  /**
   * `'read only'`: all queries of the transaction see one state, on a reader, beside whatever is
   * written meanwhile; a write in it is refused with SQLITE_READONLY. Default: `'read write'`.
   */
  accessMode?: 'read only' | 'read write' | undefined;
}

/** What the callback of `db.transaction` gets: a database whose queries all belong together. */
export class PooliteTransaction<
  TFullSchema extends Record<string, unknown>,
  TSchema extends TablesRelationalConfig,
> extends SQLiteTransaction<'async', RunResult, TFullSchema, TSchema> {
  /** What Drizzle's `is()` knows the class by. */
  static override readonly [entityKind]: string = 'PooliteTransaction';
  readonly #session: PooliteSession<TFullSchema, TSchema>;

  constructor(
    dialect: SQLiteAsyncDialect,
    session: PooliteSession<TFullSchema, TSchema>,
    schema: RelationalSchemaConfig<TSchema> | undefined,
    depth: number,
  ) {
    super('async', dialect, session, schema, depth);
    this.#session = session;
  }

  /** Runs `work` in a savepoint: where it throws, what it did is undone, and no more. */
  override transaction<T>(
    work: (tx: PooliteTransaction<TFullSchema, TSchema>) => Promise<T>,
  ): Promise<T> {
    return this.#session.savepoint(work, this.nestedIndex + 1);
  }
}
