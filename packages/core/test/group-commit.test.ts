import type { Pool } from '@poolite/core';
import type Database from 'better-sqlite3';
import { beforeEach, describe, expect, test } from 'vitest';
import { failure, outcome } from './support/folder.ts';
import { observe, refuseUnhandled, SLOW } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { range } from './support/table.ts';

refuseUnhandled();

const freshPool = sharedPool();
let pool: Pool;
let observer: Database.Database;

beforeEach(async () => {
  pool = await freshPool(`
    CREATE TABLE t (a INTEGER PRIMARY KEY, b);
    CREATE TABLE strict_t (a INTEGER PRIMARY KEY, b INTEGER NOT NULL CHECK (b < 100)) STRICT;
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (
      id INTEGER PRIMARY KEY,
      parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED
    );
    CREATE TABLE guarded (a INTEGER PRIMARY KEY, b UNIQUE ON CONFLICT ROLLBACK);
    CREATE TRIGGER guard BEFORE INSERT ON t WHEN new.b = 'forbidden'
      BEGIN SELECT raise(ROLLBACK, 'the trigger says no'); END;
    INSERT INTO t VALUES (-1, 'there');
    INSERT INTO guarded VALUES (-1, 'there');
  `);
  observer = observe(pool);
});

const insert = (a: number, b: number | string = a) =>
  pool.run('INSERT INTO t VALUES (?, ?)', [a, b]);
const column = (sql: string) => observer.prepare(sql).pluck().all();
const stored = () => column('SELECT a FROM t WHERE a >= 0 ORDER BY a');

describe('writes that are under way at once', () => {
  test('share commits', async () => {
    const before = pool.stats().writes;
    for (let round = 0; round < 4; round++) {
      await Promise.all(range(250, round * 250).map((a) => insert(a)));
    }
    const { groups, count, largestGroup, meanGroup } = pool.stats().writes;
    expect(count - before.count).toBe(1000);
    expect(groups - before.groups).toBeLessThanOrEqual(40);
    expect(largestGroup).toBeGreaterThanOrEqual(100);
    expect(meanGroup).toBeGreaterThan(20);
    expect(stored()).toEqual(range(1000));
  });

  test('are told their own changes and rowids', async () => {
    const results = await Promise.all(range(50, 1).map((a) => insert(a * 10)));
    expect(results).toEqual(range(50, 1).map((a) => ({ changes: 1, lastInsertRowid: a * 10 })));
  });

  test('are answered after the commit, never before', async () => {
    const early: number[] = [];
    const select = observer.prepare('SELECT 1 FROM t WHERE a = ?');
    const write = async (a: number) => {
      await insert(a);
      if (select.get(a) === undefined) early.push(a);
    };
    for (let round = 0; round < 20; round++) {
      await Promise.all(range(round * 3 + 1, round * 100).map(write));
    }
    expect(early).toEqual([]);
  });

  test('take effect in the order in which they were issued', async () => {
    await pool.exec('CREATE TABLE log (n INTEGER PRIMARY KEY, v)');
    const log = (v: number) =>
      v % 7 === 0
        ? pool.batch([{ sql: 'INSERT INTO log (v) VALUES (?)', params: [v] }])
        : pool.run('INSERT INTO log (v) VALUES (?)', [v]);
    await Promise.all(range(3000).map(log));
    expect(column('SELECT v FROM log ORDER BY n')).toEqual(range(3000));
  });

  test('keep their order where a group ends early, since its time is up', async () => {
    await pool.exec('CREATE TABLE log (n INTEGER PRIMARY KEY, v, w)');
    const sql = `INSERT INTO log (v, w) VALUES (?, ${SLOW})`;
    // More than two full groups, of which the first cannot end in its time.
    await Promise.all(range(1500).map((v) => pool.run(sql, [v, v < 300 ? 4000 : 1])));
    expect(column('SELECT v FROM log ORDER BY n')).toEqual(range(1500));
  });

  test('do not wait for all the slow ones behind them', async () => {
    let slowDone = 0;
    const quick = insert(1);
    const sql = `INSERT INTO t VALUES (?, ${SLOW})`;
    const slow = range(600, 100).map((a) =>
      pool.run(sql, [a, 6000]).then(() => {
        slowDone++;
      }),
    );
    await quick;
    expect(slowDone).toBeLessThan(200);
    // A transaction has its turn between two groups, also where hundreds were issued before it.
    await pool.transaction((tx) => tx.run("INSERT INTO t VALUES (2, 'between')"));
    expect(slowDone).toBeLessThan(300);
    await Promise.all(slow);
    expect(stored()).toEqual([1, 2, ...range(600, 100)]);
  });
});

describe('a statement that fails in a group', () => {
  const neighbours = 20;
  const surround = async (guilty: () => Promise<unknown>) => {
    const { groups } = pool.stats().writes;
    const before = range(neighbours).map((a) => insert(a));
    const fails = failure(guilty());
    const after = range(neighbours, neighbours).map((a) => insert(a));
    const results = await Promise.all([...before, ...after]);
    const error = await fails;
    expect(pool.stats().writes.groups - groups, 'they share groups').toBeLessThan(8);
    expect(results.map(({ changes }) => changes)).toEqual(range(2 * neighbours).map(() => 1));
    expect(stored(), 'each is stored exactly once').toEqual(range(2 * neighbours));
    return error;
  };

  test.each<[what: string, sql: string, code: string]>([
    ['a taken key', 'INSERT INTO t VALUES (-1, 1)', 'SQLITE_CONSTRAINT_PRIMARYKEY'],
    ['a NOT NULL', 'INSERT INTO strict_t VALUES (1, NULL)', 'SQLITE_CONSTRAINT_NOTNULL'],
    ['a CHECK', 'INSERT INTO strict_t VALUES (1, 100)', 'SQLITE_CONSTRAINT_CHECK'],
    ['a wrong type', "INSERT INTO strict_t VALUES (1, 'x')", 'SQLITE_CONSTRAINT_DATATYPE'],
    ['a missing table', 'INSERT INTO missing VALUES (1)', 'SQLITE_ERROR'],
    ['a syntax error', 'INSERT INTO t VALUES (', 'SQLITE_ERROR'],
    ['an overflow', 'INSERT INTO t SELECT 1, abs(-9223372036854775808)', 'SQLITE_ERROR'],
    ['OR FAIL', 'INSERT OR FAIL INTO t VALUES (-1, 1)', 'SQLITE_CONSTRAINT_PRIMARYKEY'],
    ['OR ROLLBACK', 'INSERT OR ROLLBACK INTO t VALUES (-1, 1)', 'SQLITE_CONSTRAINT_PRIMARYKEY'],
    [
      'ON CONFLICT ROLLBACK in the schema',
      "INSERT INTO guarded VALUES (1, 'there')",
      'SQLITE_CONSTRAINT_UNIQUE',
    ],
    [
      'RAISE(ROLLBACK) in a trigger',
      "INSERT INTO t VALUES (1000, 'forbidden')",
      'SQLITE_CONSTRAINT_TRIGGER',
    ],
    ['a deferred foreign key', 'INSERT INTO child VALUES (1, 404)', 'SQLITE_CONSTRAINT_FOREIGNKEY'],
  ])('fails alone: %s', async (_, sql, code) => {
    const error = await surround(() => pool.run(sql));
    expect(error.code).toBe(code);
    expect(column('SELECT id FROM child')).toEqual([]);
  });

  test.each<[what: string, last: string, code: string]>([
    ['a taken key', 'INSERT INTO t VALUES (-1, 1)', 'SQLITE_CONSTRAINT_PRIMARYKEY'],
    ['OR ROLLBACK', 'INSERT OR ROLLBACK INTO t VALUES (-1, 1)', 'SQLITE_CONSTRAINT_PRIMARYKEY'],
    ['RAISE(ROLLBACK)', "INSERT INTO t VALUES (1000, 'forbidden')", 'SQLITE_CONSTRAINT_TRIGGER'],
  ])('undoes the whole of its batch, and nothing else: %s', async (_, last, code) => {
    const first = { sql: 'INSERT INTO t VALUES (?, ?)', params: [999, 'undone'] };
    const error = await surround(() => pool.batch([first, { sql: last }, first]));
    expect(error).toMatchObject({ code, index: 1 });
  });

  test('undoes a batch that only its COMMIT refuses', async () => {
    const error = await surround(() =>
      pool.batch([
        { sql: 'INSERT INTO t VALUES (?, ?)', params: [999, 'undone'] },
        { sql: 'INSERT INTO child VALUES (1, 404)' },
      ]),
    );
    expect(error.code).toBe('SQLITE_CONSTRAINT_FOREIGNKEY');
    expect(column('SELECT id FROM child')).toEqual([]);
  });

  test('leaves what SQLite itself leaves: OR FAIL keeps its earlier rows', async () => {
    const sql = 'INSERT OR FAIL INTO strict_t VALUES (1, 1), (2, 2), (1, 3), (4, 4)';
    const [code] = await Promise.all([outcome(pool.run(sql)), insert(1), insert(2)]);
    expect(code).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
    expect(column('SELECT a FROM strict_t')).toEqual([1, 2]);
  });

  test('is one of many: each hears of its own failure', async () => {
    const kinds = range(200).map((a) => {
      const clashes = a % 3 === 0;
      const sql = `INSERT ${a % 2 === 0 ? 'OR ROLLBACK ' : ''}INTO t VALUES (?, ?)`;
      return { clashes, done: outcome(pool.run(sql, [clashes ? -1 : a, a])) };
    });
    for (const { clashes, done } of kinds) {
      expect(await done).toBe(clashes ? 'SQLITE_CONSTRAINT_PRIMARYKEY' : 'resolved');
    }
    expect(stored()).toEqual(range(200).filter((a) => a % 3 !== 0));
  });
});

describe('batches in a group', () => {
  test('give the result of every statement', async () => {
    const batch = (a: number) =>
      pool.batch([
        { sql: 'INSERT INTO t VALUES (?, ?)', params: [a, 'x'] },
        { sql: 'UPDATE t SET b = ? WHERE a = ? RETURNING a, b', params: ['y', a] },
        { sql: 'SELECT b FROM t WHERE a = ?', params: [a], rows: 'array' },
      ]);
    const results = await Promise.all(range(40).map(batch));
    results.forEach(([inserted, updated, selected], a) => {
      expect(inserted).toMatchObject({ changes: 1, lastInsertRowid: a });
      expect(updated).toMatchObject({ changes: 1, rows: [{ a, b: 'y' }] });
      expect(selected).toMatchObject({ changes: 0, rows: [['y']] });
    });
  });

  test('take effect whole or not at all, as anybody sees it', async () => {
    const halves: unknown[] = [];
    const select = observer.prepare('SELECT count(*) FROM t WHERE b = ?').pluck();
    const batch = async (n: number) => {
      const fails = n % 4 === 0;
      const sql = 'INSERT INTO t VALUES (?, ?)';
      const statements = range(5).map((i) => ({
        sql,
        params: [fails && i === 3 ? -1 : n * 5 + i, n],
      }));
      expect(await outcome(pool.batch(statements))).toBe(
        fails ? 'SQLITE_CONSTRAINT_PRIMARYKEY' : 'resolved',
      );
      if (select.get(n) !== (fails ? 0 : 5)) halves.push(n);
    };
    await Promise.all(range(120).map(batch));
    expect(halves).toEqual([]);
  });

  test('may be empty', async () => {
    expect(await pool.batch([])).toEqual([]);
  });
});
