import type { Pool, PoolOptions } from '@poolite/core';
import type Database from 'better-sqlite3';
import { freshFile, openPool } from './folder.ts';
import { observe } from './observer.ts';

/** A number into the table `t`. */
export const INSERT = 'INSERT INTO t (a) VALUES (?)';
/** The table `t` of numbers alone. */
export const ONE_COLUMN = 'CREATE TABLE t (a INTEGER PRIMARY KEY)';
/** The table `t` of numbers, and what else there is to say of them. */
export const NUMBERS = 'CREATE TABLE t (a INTEGER PRIMARY KEY, b)';
/** The same with a number in it. */
export const WITH_ONE = `${NUMBERS}; INSERT INTO t (a) VALUES (1)`;
/** The same, and tables whose foreign key is looked at by COMMIT alone. */
export const WITH_PARENTS = `${NUMBERS};
  CREATE TABLE parent (id INTEGER PRIMARY KEY);
  CREATE TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED)`;

export interface Numbers {
  pool: Pool;
  /** Sees what is committed, and nothing else. */
  observer: Database.Database;
  /** The numbers that are committed, in their order. */
  stored(): unknown[];
}

/** A pool on a fresh file, made by a script with a table `t` of numbers. */
export async function openNumbers(script = NUMBERS, options?: PoolOptions): Promise<Numbers> {
  const pool = openPool(freshFile(), options);
  // Whoever comes before the threads are up waits for them too, however short the limits are.
  await pool.ready();
  await pool.exec(script);
  return numbersOf(pool);
}

/** What is seen of the table `t` of a pool. */
export function numbersOf(pool: Pool): Numbers {
  const observer = observe(pool);
  const stored = () => observer.prepare('SELECT a FROM t ORDER BY a').pluck().all();
  return { pool, observer, stored };
}

/** So many numbers in a row. */
export function range(length: number, from = 0): number[] {
  return Array.from({ length }, (_, i) => from + i);
}
