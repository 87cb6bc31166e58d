import { createRequire } from 'node:module';
import type BetterSqlite3 from 'better-sqlite3';

/**
 * better-sqlite3 itself, whatever the tests' pools run on: for what is compared with it, on databases
 * that nobody else opens.
 */
export const Reference = createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;
