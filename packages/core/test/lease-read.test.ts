import type { Pool } from '@poolite/core';
import type Database from 'better-sqlite3';
import { beforeEach, describe, expect, test } from 'vitest';
import { failure, outcome } from './support/folder.ts';
import { refuseUnhandled } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { INSERT, numbersOf, range, WITH_ONE } from './support/table.ts';

refuseUnhandled();

const freshPool = sharedPool({ readers: 1 });
let pool: Pool;
let observer: Database.Database;

beforeEach(async () => {
  ({ pool, observer } = numbersOf(await freshPool(WITH_ONE)));
});

describe('a read lease', () => {
  test('reads in every way, and sees each commit', async () => {
    const lease = await pool.lease('read');
    expect(lease.access).toBe('read');
    expect(await lease.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
    await pool.run(INSERT, [2]);
    expect(await lease.values('SELECT a FROM t')).toEqual([[1], [2]]);
    expect(await lease.get('SELECT max(a) AS a FROM t')).toEqual({ a: 2 });
    expect(await lease.query('SELECT a FROM t')).toMatchObject({ rows: [{ a: 1 }, { a: 2 }] });
    const rows: unknown[] = [];
    for await (const row of lease.iterate('SELECT a FROM t', [], { chunkSize: 1, rows: 'array' })) {
      rows.push(row);
    }
    expect(rows).toEqual([[1], [2]]);
    await lease.release();
  });

  test('sees one state inside its BEGIN, while writes go on', async () => {
    const lease = await pool.lease('read');
    await lease.run('BEGIN');
    expect(lease.inTransaction).toBe(true);
    expect(await lease.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
    await pool.run(INSERT, [2]);
    await pool.transaction((tx) => tx.run(INSERT, [3]));
    expect(await lease.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
    expect(await pool.all('SELECT a FROM t')).toHaveLength(3);
    await lease.run('COMMIT');
    expect(lease.inTransaction).toBe(false);
    expect(await lease.all('SELECT a FROM t')).toHaveLength(3);
    await lease.release();
  });

  test.each([
    ['run', 'INSERT INTO t (a) VALUES (2)'],
    ['all', 'INSERT INTO t (a) VALUES (2) RETURNING a'],
    ['query', 'UPDATE t SET b = 1'],
    ['exec', 'DELETE FROM t; SELECT 1'],
    ['run', 'CREATE TABLE u (x)'],
    ['run', 'PRAGMA user_version = 3'],
  ] as const)('cannot write: %s %s', async (method, sql) => {
    const lease = await pool.lease('read');
    expect(await outcome(lease[method](sql))).toMatch(/^SQLITE_READONLY/);
    expect(await lease.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
    await lease.release();
    expect(observer.prepare('SELECT a, b FROM t').raw().all()).toEqual([[1, null]]);
  });

  test('released with an open transaction leaves nothing behind for the next', async () => {
    const lease = await pool.lease('read');
    await lease.run('BEGIN');
    await lease.all('SELECT a FROM t');
    await lease.release();
    await pool.run(INSERT, [2]);
    const next = await pool.lease('read');
    expect(next.inTransaction).toBe(false);
    expect(await next.all('SELECT a FROM t')).toHaveLength(2);
    await next.release();
    // Nothing holds the WAL back.
    expect(await pool.checkpoint('TRUNCATE')).toMatchObject({ busy: 0, log: 0 });
  });

  test('many at once, on one reader thread, and one-shot reads between', async () => {
    const leases = await Promise.all(range(30).map(() => pool.lease('read')));
    for (const lease of leases) await lease.run('BEGIN');
    for (const [n, lease] of leases.entries()) {
      expect(await lease.all('SELECT a FROM t')).toHaveLength(n + 1);
      await pool.run(INSERT, [n + 2]);
      expect(await pool.all('SELECT a FROM t')).toHaveLength(n + 2);
    }
    const again = await Promise.all(leases.map((lease) => lease.all('SELECT a FROM t')));
    expect(again.map((rows) => rows.length)).toEqual(range(30, 1));
    await Promise.all(leases.map((lease) => lease.release()));
    expect(await pool.checkpoint('TRUNCATE')).toMatchObject({ busy: 0, log: 0 });
  });

  test('a stream that fails later on does not harm the next statement', async () => {
    const lease = await pool.lease('read');
    const rows = lease.iterate(
      `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 100)
       SELECT CASE WHEN n < 60 THEN n ELSE abs(-9223372036854775808) END AS n FROM c`,
      [],
      { chunkSize: 10 },
    );
    await rows.next();
    expect(await lease.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
    const rest = async () => {
      let n = 1;
      for await (const _ of rows) n++;
      return n;
    };
    expect((await failure(rest())).message).toMatch(/integer overflow/);
    expect(await lease.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
    expect(pool.stats().threadsLost).toBe(0);
    await lease.release();
  });
});
