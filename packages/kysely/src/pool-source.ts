import { createPool, type Pool, PoolError } from '@poolite/core';
import type { PooliteDialectConfig, PooliteDialectHooks } from './config.js';

/** Where the pool of one driver comes from, and who closes it. */
export class PoolSource {
  readonly onCreateConnection: PooliteDialectHooks['onCreateConnection'];
  readonly #open: () => Pool | Promise<Pool>;
  readonly #closes: boolean;

  constructor(config: PooliteDialectConfig) {
    this.onCreateConnection = config.onCreateConnection;
    const { pool } = config;
    this.#closes = pool === undefined || typeof pool === 'function';
    if (typeof pool === 'function') this.#open = pool;
    else if (pool !== undefined) this.#open = () => pool;
    else {
      const { database, pool: _, onCreateConnection: __, ...options } = config;
      this.#open = () => createPool(database, options);
    }
  }

  async open(): Promise<Pool> {
    const pool = await this.#open();
    if (!isPool(pool)) {
      throw new PoolError('POOL_OPTIONS', `option 'pool' must give what createPool() returns`);
    }
    return pool;
  }

  async close(pool: Pool): Promise<void> {
    if (this.#closes) await pool.close();
  }
}

/** Of whatever copy of the core. */
function isPool(value: unknown): value is Pool {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as Pool).lease === 'function' && typeof (value as Pool).file === 'string';
}

/** @throws PoolError POOL_OPTIONS */
export function checkConfig(config: PooliteDialectConfig): void {
  const { pool, database, onCreateConnection } = config ?? {};
  const refuse = (message: string) => {
    throw new PoolError('POOL_OPTIONS', message);
  };
  if ((pool === undefined) === (database === undefined)) {
    refuse("PooliteDialect needs either 'pool' or 'database'");
  }
  if (database !== undefined && typeof database !== 'string') {
    refuse(
      `option 'database' must be the path of a database file: a pool opens it on threads of its ` +
        `own, where a Database object cannot go`,
    );
  }
  if (pool !== undefined && typeof pool !== 'function') {
    if (!isPool(pool)) refuse(`option 'pool' must be a pool, or a function that makes one`);
    const others = Object.keys(config).filter(
      (key) => !['pool', 'database', 'onCreateConnection'].includes(key),
    );
    if (others.length > 0) refuse(`option '${others[0]}' belongs to createPool()`);
  }
  if (onCreateConnection !== undefined && typeof onCreateConnection !== 'function') {
    refuse("option 'onCreateConnection' must be a function");
  }
}
