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
 */
export function sharedPool(
  options?: PoolOptions | ((file: string) => PoolOptions),
): (script?: string) => Promise<Pool> {
  let folder = '';
  let pool: Pool;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'poolite-'));
    const file = join(folder, 'test.db');
    const own = typeof options === 'function' ? options(file) : options;
    pool = createPool(file, { ...PATIENT, ...own });
    await pool.ready();
  });
  afterAll(async () => {
    await pool.close({ force: true });
    rmSync(folder, { recursive: true, force: true });
  });
  return async (script = '') => {
    await pool.exec(dropping(pool.file) + script);
    return pool;
  };
}

/**
 * What drops all views and tables, and their indexes and triggers with them; a child goes before
 * its parent, and what a virtual table keeps goes with it.
 */
function dropping(file: string): string {
  const db = new Database(file, { readonly: true });
  try {
    const sql = `SELECT format('DROP %s "%w";', s.type, s.name)
      FROM sqlite_schema AS s JOIN pragma_table_list AS l ON l.schema = 'main' AND l.name = s.name
      WHERE s.type IN ('table', 'view') AND l.type <> 'shadow' AND s.name NOT LIKE 'sqlite_%'
      ORDER BY s.type DESC, s.rowid DESC`;
    return db.prepare(sql).pluck().all().join('\n');
  } finally {
    db.close();
  }
}
