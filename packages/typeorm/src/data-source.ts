import type { Pool, PoolOptions } from '@poolite/core';
import { DataSource } from 'typeorm';
import type { BetterSqlite3DataSourceOptions } from 'typeorm/driver/better-sqlite3/BetterSqlite3DataSourceOptions.js';
import { PooliteDriver } from './driver.js';

/** Options of `PooliteDataSource`: those of a data source of the type `'better-sqlite3'`. */
export type PooliteDataSourceOptions = Omit<BetterSqlite3DataSourceOptions, 'type' | 'driver'> & {
  /** May be left out. */
  readonly type?: 'better-sqlite3';
  /** What `poolite()` takes: options of the pool, or a pool that there is. Default: `{}`. */
  readonly pool?: PoolOptions | Pool;
};

/** In place of better-sqlite3, which the pool loads itself, on its threads. */
const NOTHING = Object.freeze({});

/**
 * A data source on a pool of connections, in place of `DataSource`: nothing of TypeORM is patched.
 *
 * @example
 * ```ts
 * import { PooliteDataSource } from '@poolite/typeorm';
 *
 * const dataSource = new PooliteDataSource({ database: 'app.db', pool: { readers: 2 } });
 * await dataSource.initialize();
 * console.log(await dataSource.query('SELECT 1 AS one')); // [ { one: 1 } ]
 * await dataSource.destroy();
 * ```
 */
export class PooliteDataSource extends DataSource {
  constructor(options: PooliteDataSourceOptions) {
    const { pool = {}, ...rest } = options;
    super({ ...rest, type: 'better-sqlite3', driver: NOTHING });
    Object.assign(this, { driver: new PooliteDriver(this, pool) });
  }
}
