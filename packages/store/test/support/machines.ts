import { DatabaseSync } from 'node:sqlite';
import { createPool, type Pool, type PoolOptions } from '@poolite/core';
import { type Bucket, bucketStore, type StoreOptions } from '@poolite/store';
import { onTestFinished } from 'vitest';

/** Nothing is looked for by itself, so that tests decide when a machine sees the others; and one reader is enough. */
const QUIET: PoolOptions = { readers: 1, freshness: { interval: 0 }, acquireTimeout: 60_000 };

/** A machine: a pool on a replica of its own, closed when the test is over. */
export function machine(
  bucket: Bucket,
  file: string,
  { store = {}, ...options }: Omit<PoolOptions, 'store'> & { store?: StoreOptions } = {},
): Pool {
  const pool = createPool(file, {
    ...QUIET,
    ...options,
    driver: 'node:sqlite',
    store: bucketStore(bucket, store),
  });
  onTestFinished(() => pool.close({ force: true }));
  return pool;
}

/** What stands in a table of a file that no pool has open, by another connection. */
export function rowsIn(file: string, sql: string): unknown[] {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return db
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    db.close();
  }
}

/** Changes a file behind everybody's back, while no pool has it open. */
export function tamper(file: string, script: string): void {
  const db = new DatabaseSync(file);
  try {
    db.exec(script);
  } finally {
    db.close();
  }
}
