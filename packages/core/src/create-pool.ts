import { PoolError } from './errors.js';
import { type PoolOptions, resolveOptions } from './options.js';
import { Pool } from './pool.js';
import { share } from './registry.js';

/**
 * Opens a pool on a database file, which is made where it does not exist; `':memory:'` and `''`
 * are databases without a file, on one connection.
 *
 * Returns at once: the threads start meanwhile, and statements wait for them. What stands in the
 * way of opening the file rejects `ready()` and every statement.
 *
 * @throws PoolError POOL_OPTIONS for an option that is unknown, wrong or contradictory;
 * POOL_MISUSE where Node.js is older than 22.14.
 */
export function createPool(file: string, options?: PoolOptions): Pool {
  checkNode();
  return new Pool(share(resolveOptions(file, options)));
}

/** better-sqlite3 13's binary crashes the process below Node-API 10. */
function checkNode(): void {
  const napi = Number(process.versions.napi ?? 0);
  if (napi >= 10) return;
  throw new PoolError(
    'POOL_MISUSE',
    `poolite needs Node.js 22.14 or newer (Node-API 10); this is ${process.version}`,
  );
}
