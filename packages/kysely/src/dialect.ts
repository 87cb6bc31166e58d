import {
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { PooliteAdapter } from './adapter.js';
import type { PooliteDialectConfig } from './config.js';
import { PooliteDriver } from './driver.js';
import { checkConfig, PoolSource } from './pool-source.js';

/**
 * Kysely on a pool of SQLite connections, in place of SqliteDialect.
 *
 * @example
 * ```ts
 * import { PooliteDialect } from '@poolite/kysely';
 * import { Kysely, sql } from 'kysely';
 *
 * const db = new Kysely<unknown>({ dialect: new PooliteDialect({ database: ':memory:' }) });
 * await sql`SELECT 1`.execute(db);
 * await db.destroy();
 * ```
 */
export class PooliteDialect implements Dialect {
  readonly #config: PooliteDialectConfig;

  /** @throws PoolError POOL_OPTIONS for a config that is wrong or contradictory. */
  constructor(config: PooliteDialectConfig) {
    this.#config = Object.freeze({ ...config });
    checkConfig(this.#config);
  }

  /** What takes connections from the pool: Kysely calls it once for each `new Kysely()`. */
  createDriver(): Driver {
    return new PooliteDriver(new PoolSource(this.#config));
  }

  /** Kysely's own for SQLite: queries have the same text as with SqliteDialect. */
  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  /** What Kysely must know of the pool. */
  createAdapter(): DialectAdapter {
    return new PooliteAdapter();
  }

  /** Kysely's own for SQLite: it reads the schema through `db`. */
  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}
