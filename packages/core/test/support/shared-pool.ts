import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool, type Pool, type PoolOptions } from '@poolite/core';
import Database from 'better-sqlite3';
import { afterAll, beforeAll } from 'vitest';
import { PATIENT } from './folder.ts';

/**
 * One pool for the tests of a file that leave it idle: to open one takes longer than most tests do.
 * What it returns gives that pool with nothing in its database but what the script makes.
 *
 * @param where ':memory:', or the name of its file.
 */
export function sharedPool(
  options?: PoolOptions | ((file: string) => PoolOptions),
  where = 'test.db',
): (script?: string) => Promise<Pool> {
  let folder = '';
  let pool: Pool;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'poolite-'));
    const file = where === ':memory:' ? where : join(folder, where);
    const own = typeof options === 'function' ? options(file) : options;
    pool = createPool(file, { ...PATIENT, ...own });
    await pool.ready();
  });
  afterAll(async () => {
    await pool.close({ force: true });
    rmSync(folder, { recursive: true, force: true });
  });
  return async (script = '') => {
    const found = where === ':memory:' ? await pool.values(DROPPING) : droppingIn(pool.file);
    await pool.exec(found.flat().join('\n') + script);
    return pool;
  };
}

/**
 * What drops all views and tables, and their indexes and triggers with them; a child goes before
 * its parent, and what a virtual table keeps goes with it.
 */
const DROPPING = `SELECT format('DROP %s "%w";', s.type, s.name)
  FROM sqlite_schema AS s JOIN pragma_table_list AS l ON l.schema = 'main' AND l.name = s.name
  WHERE s.type IN ('table', 'view') AND l.type <> 'shadow' AND s.name NOT LIKE 'sqlite_%'
  ORDER BY s.type DESC, s.rowid DESC`;

/** The same, unnoticed by the pool. */
function droppingIn(file: string): unknown[] {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare(DROPPING).pluck().all();
  } finally {
    db.close();
  }
}
