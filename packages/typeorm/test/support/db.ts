import 'reflect-metadata';
import type { Pool, PoolOptions } from '@poolite/core';
import { PooliteDriver, poolite } from '@poolite/typeorm';
import { DataSource, type DataSourceOptions, EntitySchema } from 'typeorm';
import { onTestFinished } from 'vitest';
import { freshFile } from '../../../core/test/support/folder.ts';
import { sharedPool } from '../../../core/test/support/shared-pool.ts';

export { freshFile, openPool, outcome } from '../../../core/test/support/folder.ts';

export interface Account {
  id: number;
  name: string;
  cents: number;
}

export const Account = new EntitySchema<Account>({
  name: 'Account',
  tableName: 'account',
  columns: {
    id: { type: 'integer', primary: true, generated: true },
    name: { type: 'varchar' },
    cents: { type: 'integer', default: 0 },
  },
});

/** Options of a data source, as a test gives them. */
export type Options = Partial<Extract<DataSourceOptions, { type: 'better-sqlite3' }>>;

export function optionsOf(options: Options = {}): DataSourceOptions {
  return {
    type: 'better-sqlite3',
    database: options.database ?? freshFile(),
    entities: [Account],
    synchronize: true,
    ...options,
  };
}

/** Initialized, and destroyed after the test. */
export async function initialized<Source extends DataSource>(source: Source): Promise<Source> {
  onTestFinished(async () => {
    if (source.isInitialized) await source.destroy();
  });
  await source.initialize();
  return source;
}

/** A data source on a pool of its own. */
export function openSource(
  options: Options = {},
  config: PoolOptions | Pool = { readers: 1 },
): Promise<DataSource> {
  return initialized(new DataSource(optionsOf({ driver: poolite(config), ...options })));
}

/** The same on one pool for the tests of a file that leave it idle, and nothing but tables in it. */
export function freshSources(config: PoolOptions = NO_LIMITS): () => Promise<DataSource> {
  const freshPool = sharedPool(config);
  return async () => {
    const pool = await freshPool();
    return openSource({ database: pool.file }, pool);
  };
}

/** The same on TypeORM's own driver. */
export function openStock(options: Options = {}): Promise<DataSource> {
  return initialized(new DataSource(optionsOf(options)));
}

export function poolOf(source: DataSource): Pool {
  if (source.driver instanceof PooliteDriver) return source.driver.pool;
  throw new TypeError('this data source is not on a pool');
}

export const account = (name: string, cents = 0) => ({ name, cents });

export async function names(source: DataSource): Promise<string[]> {
  const all = await source.getRepository(Account).find({ order: { id: 'ASC' } });
  return all.map(({ name }) => name);
}

/** A promise, and what settles it: tests wait for one another's steps. */
export function step(): { reached: Promise<void>; reach: () => void } {
  let reach = () => {};
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  return { reached, reach };
}

/** Limits in time that no test may lean on: whoever waits for itself waits for ever. */
export const NO_LIMITS: PoolOptions = { readers: 1, acquireTimeout: 0, transactionTimeout: 0 };
