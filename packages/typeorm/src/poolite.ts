import { type Pool, PoolError, type PoolOptions } from '@poolite/core';
import { MAKES_DRIVER } from './brand.js';
import { PooliteDriver } from './driver.js';
import { wrapDriverFactory } from './driver-factory.js';

/** What `poolite()` gives: the value of a data source's option `driver`. */
export interface PooliteDriverValue {
  // What TypeORM's own driver would call. It never does, or the call says why it must not.
  new (...args: never): never;
}

/**
 * Puts a TypeORM data source of the type `'better-sqlite3'` on a pool of connections.
 *
 * @param config options of the pool, which is opened when the data source is initialized and closed
 * when it is destroyed; or a pool that there is, which stays open. Default: `{}`.
 * @throws PoolError POOL_OPTIONS, when the data source is initialized, for an option that is
 * unknown or wrong, or that contradicts one of the data source.
 *
 * @example
 * ```ts
 * import { poolite } from '@poolite/typeorm';
 * import { DataSource } from 'typeorm';
 *
 * const dataSource = new DataSource({
 *   type: 'better-sqlite3',
 *   driver: poolite({ readers: 2 }),
 *   database: 'app.db',
 * });
 * await dataSource.initialize();
 * console.log(await dataSource.query('SELECT 1 AS one')); // [ { one: 1 } ]
 * await dataSource.destroy();
 * ```
 */
export function poolite(config: PoolOptions | Pool = {}): PooliteDriverValue {
  wrapDriverFactory();
  const value = function Poolite() {
    throw new PoolError(
      'POOL_MISUSE',
      'poolite() was given to a data source whose copy of typeorm does not know it: the project has ' +
        'two copies of typeorm, and @poolite/typeorm loaded the other one (see `npm ls typeorm`; ' +
        '`npm dedupe` may help). Or use PooliteDataSource, which needs no such knowledge',
    );
  };
  Object.defineProperty(value, MAKES_DRIVER, {
    value: (dataSource: never) => new PooliteDriver(dataSource, config),
  });
  return Object.freeze(value) as unknown as PooliteDriverValue;
}
