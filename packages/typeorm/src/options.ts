import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Pool, PoolError, type PoolOptions } from '@poolite/core';
import type { BetterSqlite3DataSourceOptions } from 'typeorm/driver/better-sqlite3/BetterSqlite3DataSourceOptions.js';
import { refuse } from './errors.js';

type Options = BetterSqlite3DataSourceOptions;

export function isMemory(database: string): boolean {
  return database.trim() === ':memory:' || database.trim() === '';
}

/** Of whatever copy of the core. */
export function isPool(value: unknown): value is Pool {
  if (typeof value !== 'object' || value === null) return false;
  return typeof (value as Pool).lease === 'function' && typeof (value as Pool).file === 'string';
}

/**
 * Refuses options of a data source that a pool cannot honour, and those that contradict it.
 *
 * @throws PoolError POOL_OPTIONS
 */
export function checkOptions(options: Options, config: PoolOptions | Pool): void {
  const given = options as unknown as Readonly<Record<string, unknown>>;
  for (const [name, reason] of REFUSED) {
    if (given[name] !== undefined && given[name] !== null) {
      refuse(`option '${name}' of the data source: ${reason}`);
    }
  }
  if (options.enableWAL === false) {
    refuse("option 'enableWAL' of the data source is false, and a pool needs WAL: leave it out");
  }
  const { statementCacheSize } = options;
  if (statementCacheSize !== undefined && !(statementCacheSize >= 0)) {
    refuse(
      `option 'statementCacheSize' must be a number from 0, not ${String(statementCacheSize)}`,
    );
  }
  if (isPool(config)) checkPool(options, config);
  else checkConfig(options, config);
}

const REFUSED: readonly (readonly [name: string, reason: string])[] = [
  ['verbose', "a function cannot go to the pool's threads: use `logging`, or a `logger`"],
  ['nativeBinding', "the pool's threads load better-sqlite3 by name: see poolite({ driver })"],
  ['poolSize', 'a pool has one writer, and as many readers as poolite({ readers }) says'],
];

const OF_THE_POOL = [
  'timeout',
  'readonly',
  'key',
  'prepareDatabase',
  'statementCacheSize',
] as const satisfies readonly (keyof Options)[];

function checkPool(options: Options, pool: Pool): void {
  for (const name of OF_THE_POOL) {
    if (options[name] === undefined) continue;
    refuse(`option '${name}' of the data source comes too late for a pool that is open already`);
  }
  const { database } = options;
  const same = isMemory(database)
    ? pool.file === database.trim()
    : resolve(pool.file) === resolve(database);
  if (!same) refuse(`option 'database' is ${database}, and the pool is on ${pool.file}`);
}

function checkConfig(options: Options, config: PoolOptions): void {
  if (typeof config !== 'object' || config === null) {
    refuse('poolite() takes the options of a pool, or what createPool() returns');
  }
  agree('timeout', options.timeout, 'busyTimeout', config.busyTimeout);
  agree('readonly', options.readonly, 'readonly', config.readonly);
  const { database, fileMustExist } = options;
  if (typeof database !== 'string') {
    refuse("option 'database' must be the path of a database file");
  }
  if (fileMustExist && !isMemory(database) && !existsSync(database)) {
    const message = `unable to open database file: ${database} is not there (option 'fileMustExist')`;
    throw new PoolError('POOL_OPTIONS', message);
  }
}

function agree(name: string, value: unknown, ofPool: string, other: unknown): void {
  if (value === undefined || other === undefined || value === other) return;
  refuse(
    `option '${name}' of the data source is ${String(value)}, and '${ofPool}' of poolite() is ` +
      `${String(other)}: give one of them`,
  );
}

/** The options of the pool, those of the data source among them. */
export function poolOptions(options: Options, config: PoolOptions): PoolOptions {
  const { timeout, readonly } = options;
  return {
    ...config,
    ...(timeout === undefined ? {} : { busyTimeout: timeout }),
    ...(readonly === undefined ? {} : { readonly }),
  };
}
