import type { RunResult } from '@poolite/core';
import {
  type ExtractTablesWithRelations,
  entityKind,
  type RelationalSchemaConfig,
  type TablesRelationalConfig,
} from 'drizzle-orm';
import type { BatchItem, BatchResponse } from 'drizzle-orm/batch';
import { BaseSQLiteDatabase, type SQLiteAsyncDialect } from 'drizzle-orm/sqlite-core';
import type { PooliteSession } from './session.js';
import type { PooliteTransaction, PooliteTransactionConfig } from './transaction.js';

/** Drizzle's database on a pool: what `drizzle(...)` of this package returns. */
export class PooliteDatabase<
  TSchema extends Record<string, unknown> = Record<string, never>,
> extends BaseSQLiteDatabase<'async', RunResult, TSchema> {
  /** What Drizzle's `is()` knows the class by. */
  static override readonly [entityKind]: string = 'PooliteDatabase';
  readonly #session: Session<TSchema>;

  /** Use `drizzle`. */
  constructor(
    dialect: SQLiteAsyncDialect,
    session: Session<TSchema>,
    schema: RelationalSchemaConfig<ExtractTablesWithRelations<TSchema>> | undefined,
  ) {
    super('async', dialect, session, schema);
    this.#session = session;
  }

  /**
   * Runs queries in one transaction and one trip to the writer: all of them take effect, or none.
   * Rejects with the DrizzleQueryError of the query that failed.
   */
  async batch<U extends BatchItem<'sqlite'>, T extends Readonly<[U, ...U[]]>>(
    batch: T,
  ): Promise<BatchResponse<T>> {
    return (await this.#session.batch(batch)) as BatchResponse<T>;
  }

  /**
   * Runs `work` in a transaction on the writer: committed when it returns, rolled back when it
   * throws. It begins IMMEDIATE, unless `behavior` says otherwise; with `accessMode: 'read only'`
   * it runs on a reader.
   */
  override transaction<T>(
    work: (tx: PooliteTransaction<TSchema, ExtractTablesWithRelations<TSchema>>) => Promise<T>,
    config?: PooliteTransactionConfig,
  ): Promise<T> {
    return this.#session.transaction(work, config);
  }
}

type Session<TSchema extends Record<string, unknown>> = PooliteSession<
  TSchema,
  ExtractTablesWithRelations<TSchema> & TablesRelationalConfig
>;
