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
export function sharedPool(options?: PoolOptions): (script?: string) => Promise<Pool> {
  let folder = '';
  let pool: Pool;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'poolite-'));
    pool = createPool(join(folder, 'test.db'), { ...PATIENT, ...options });
    await pool.ready();
  });
  afterAll(async () => {
    await pool.close({ force: true });
    rmSync(folder, { recursive: true, force: true });
  });
  return async (script = '') => {
    await pool.exec(dropped(pool.file) + script);
    return pool;
  };
}

/** What drops all tables, and their indexes and triggers with them; a child goes before its parent. */
function dropped(file: string): string {
  const db = new Database(file, { readonly: true });
  try {
    const sql = `SELECT format('DROP TABLE "%w";', name) FROM sqlite_schema
      WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid DESC`;
    return db.prepare(sql).pluck().all().join('\n');
  } finally {
    db.close();
  }
}
