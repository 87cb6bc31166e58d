import type { Pool, PoolOptions } from '@poolite/core';
import type { DatabaseConnection } from 'kysely';

/** What Kysely 0.29 and later hand to what may be aborted. */
export interface OpenOptions {
  /** The signal of the query that opens the pool. */
  readonly signal?: AbortSignal | undefined;
}

/** Hooks that users of SqliteDialect know. */
export interface PooliteDialectHooks {
  /**
   * Called once, before the first query, with a connection. What it sets for one connection alone
   * (most PRAGMAs, ATTACH, temporary tables) is refused with POOL_MISUSE, since a pool has several
   * connections: that belongs into the pool's options `pragmas` and `setup`.
   */
  onCreateConnection?:
    | ((connection: DatabaseConnection, options?: OpenOptions) => Promise<void>)
    | undefined;
}

/** A pool that there is already, or that is made with the first query. */
export interface PooliteDialectPoolConfig extends PooliteDialectHooks {
  /**
   * A pool, which stays open when Kysely is destroyed; or a function that makes one, called with
   * the first query of each Kysely instance: that pool is closed when Kysely is destroyed.
   */
  pool: Pool | (() => Pool | Promise<Pool>);
  /** Not beside `pool`. */
  database?: undefined;
}

/** A pool that the dialect makes, and closes. */
export interface PooliteDialectDatabaseConfig extends PooliteDialectHooks, PoolOptions {
  /** The path of the database file; `':memory:'` is a database in memory. */
  database: string;
  /** Not beside `database`. */
  pool?: undefined;
}

/** Config of PooliteDialect: `{ pool }`, or `{ database: 'app.db', ...poolOptions }`. */
export type PooliteDialectConfig = PooliteDialectPoolConfig | PooliteDialectDatabaseConfig;
