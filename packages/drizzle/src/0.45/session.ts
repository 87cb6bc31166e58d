import {
  type Pool,
  PoolError,
  type RunResult,
  type StatementResult,
  type Transaction,
} from '@poolite/core';
import {
  entityKind,
  type Logger,
  type Query,
  type RelationalSchemaConfig,
  type TablesRelationalConfig,
} from 'drizzle-orm';
import type { WithCacheConfig } from 'drizzle-orm/cache/core/types';
import {
  type PreparedQueryConfig,
  type SelectedFieldsOrdered,
  type SQLiteAsyncDialect,
  type SQLiteExecuteMethod,
  SQLiteSession,
} from 'drizzle-orm/sqlite-core';
import { type Batchable, runBatch } from './batch.js';
import { PooliteQuery, type QueryMetadata, runResult } from './query.js';
import { type Target, transactionTarget } from './target.js';
import { PooliteTransaction, type PooliteTransactionConfig } from './transaction.js';

/** What Drizzle's builders run their queries on: the pool, or one of its transactions. */
export class PooliteSession<
  TFullSchema extends Record<string, unknown>,
  TSchema extends TablesRelationalConfig,
> extends SQLiteSession<'async', RunResult, TFullSchema, TSchema> {
  /** What Drizzle's `is()` knows the class by. */
  static override readonly [entityKind]: string = 'PooliteSession';
  readonly #dialect: SQLiteAsyncDialect;
  readonly #schema: RelationalSchemaConfig<TSchema> | undefined;
  readonly #target: Target;

  constructor(
    target: Target,
    dialect: SQLiteAsyncDialect,
    schema: RelationalSchemaConfig<TSchema> | undefined,
  ) {
    super(dialect);
    this.#target = target;
    this.#dialect = dialect;
    this.#schema = schema;
  }

  /** Makes a query of what Drizzle's builders tell of it; nothing is sent before it is run. */
  override prepareQuery<T extends PreparedQueryConfig>(
    query: Query,
    fields: SelectedFieldsOrdered | undefined,
    executeMethod: SQLiteExecuteMethod,
    _isResponseInArrayMode: boolean,
    mapRows?: (rows: unknown[][]) => unknown,
    metadata?: QueryMetadata,
    cacheConfig?: WithCacheConfig,
  ): PooliteQuery<T> {
    const shape = { executeMethod, fields, mapRows, metadata, cacheConfig };
    return new PooliteQuery(this.#target, query, shape);
  }

  /** The pool that it runs on. */
  get pool(): Pool {
    return this.#target.pool;
  }

  /** Where it logs its queries, if anywhere. */
  get logger(): Logger | undefined {
    return this.#target.logger;
  }

  /** Runs queries in one transaction and one trip to the writer: see `db.batch`. */
  batch(queries: readonly unknown[]): Promise<unknown[]> {
    return runBatch(this.#target, queries as readonly Batchable[]);
  }

  /** Runs `work` in a transaction on the writer, or, to read only, on a reader: see `db.transaction`. */
  override async transaction<T>(
    work: (tx: PooliteTransaction<TFullSchema, TSchema>) => Promise<T>,
    { accessMode = 'read write', ...options }: PooliteTransactionConfig = {},
  ): Promise<T> {
    if (typeof work !== 'function') {
      throw new PoolError('POOL_MISUSE', `transaction needs a function, not ${typeof work}`);
    }
    const { pool, cache } = this.#target;
    const mutated = new Set<string>();
    const within = (tx: Transaction) =>
      work(this.#inside(transactionTarget(this.#target, tx, mutated), 0));
    if (accessMode === 'read only') return pool.snapshot(within, options);
    if (accessMode !== 'read write') {
      const message = `accessMode must be 'read only' or 'read write', not ${String(accessMode)}`;
      throw new PoolError('POOL_OPTIONS', message);
    }
    const result = await pool.transaction(within, options);
    if (mutated.size > 0) await cache?.onMutate({ tables: [...mutated] });
    return result;
  }

  /** A transaction inside the one of this session: a savepoint. */
  savepoint<T>(
    work: (tx: PooliteTransaction<TFullSchema, TSchema>) => Promise<T>,
    depth: number,
  ): Promise<T> {
    const { transaction, mutated } = this.#target;
    if (transaction === undefined || mutated === undefined) {
      throw new PoolError('POOL_MISUSE', 'a savepoint needs a transaction');
    }
    return transaction.savepoint((tx) =>
      work(this.#inside(transactionTarget(this.#target, tx, mutated), depth)),
    );
  }

  /** The counts of a statement of a batch. */
  extractRawRunValueFromBatchResult(result: unknown): RunResult {
    return runResult(result as StatementResult);
  }

  /** The rows of a statement of a batch. */
  extractRawAllValueFromBatchResult(result: unknown): unknown {
    return (result as StatementResult).rows;
  }

  /** The first row of a statement of a batch. */
  extractRawGetValueFromBatchResult(result: unknown): unknown {
    return (result as StatementResult).rows[0];
  }

  /** The rows of a statement of a batch. */
  extractRawValuesValueFromBatchResult(result: unknown): unknown {
    return (result as StatementResult).rows;
  }

  #inside(target: Target, depth: number): PooliteTransaction<TFullSchema, TSchema> {
    const session = new PooliteSession<TFullSchema, TSchema>(target, this.#dialect, this.#schema);
    return new PooliteTransaction(this.#dialect, session, this.#schema, depth);
  }
}
