import type { Pool, PoolOptions } from '@poolite/core';
import { freshFile, openPool, writeModule } from './folder.ts';

/**
 * A pool whose SQL function `sleep(ms)` keeps a thread inside SQLite for so long, in a statement
 * that nothing can interrupt. Reads stay off the calling thread, which must not sleep.
 */
export async function slowPool(options?: PoolOptions): Promise<{ pool: Pool; file: string }> {
  const file = freshFile();
  const setup = writeModule(
    file,
    'slow.mjs',
    `const word = new Int32Array(new SharedArrayBuffer(4));
    export default (db) => {
      db.function('sleep', (ms) => (Atomics.wait(word, 0, 0, ms), ms));
    };`,
  );
  const pool = openPool(file, { readers: 1, inlineReads: 'off', setup, ...options });
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT)');
  return { pool, file };
}
