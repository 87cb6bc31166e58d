import type { Pool, PoolOptions } from '@poolite/core';
import { freshFile, openPool, writeModule } from './folder.ts';

/** SQL functions that end the thread they run on; `die_if` does so where its argument says so. */
const DEADLY = `export default (db) => {
  db.function('die', () => process.exit(7));
  db.function('die_if', (yes) => (yes ? process.exit(7) : 0));
};`;

export interface Deadly {
  pool: Pool;
  file: string;
  /** The module of its functions. */
  setup: string;
  /** The roles of the threads that were lost. */
  lost: string[];
}

/** A pool with functions that kill its threads. */
export async function deadlyPool(options?: PoolOptions): Promise<Deadly> {
  const file = freshFile();
  const setup = writeModule(file, 'deadly.mjs', DEADLY);
  // On the calling thread, the functions would end the test itself.
  const pool = openPool(file, { readers: 1, inlineReads: 'off', setup, ...options });
  const lost: string[] = [];
  pool.on('threadLost', ({ role }) => lost.push(role));
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT)');
  return { pool, file, setup, lost };
}
