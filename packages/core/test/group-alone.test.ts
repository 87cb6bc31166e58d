import type { Pool } from '@poolite/core';
import type Database from 'better-sqlite3';
import { beforeEach, describe, expect, test } from 'vitest';
import { failure, freshFile, openPool, outcome } from './support/folder.ts';
import { refuseUnhandled } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { NUMBERS, numbersOf, range } from './support/table.ts';

refuseUnhandled();

const freshPool = sharedPool();
let pool: Pool;
let stored: () => unknown[];
let observer: Database.Database;

beforeEach(async () => {
  ({ pool, observer, stored } = numbersOf(await freshPool(NUMBERS)));
});

const insert = (a: number) => pool.run('INSERT INTO t VALUES (?, ?)', [a, a]);

/** Runs something in the midst of groups of writes. */
async function amid<T>(work: () => Promise<T>): Promise<T> {
  const before = range(100).map(insert);
  const result = work();
  const after = range(100, 100).map(insert);
  await Promise.all([...before, ...after]);
  expect(stored().filter((a) => Number(a) < 200)).toEqual(range(200));
  return result;
}

describe('what cannot share a transaction runs alone, amid groups', () => {
  test('VACUUM', async () => {
    await pool.run('DELETE FROM t');
    await amid(() => pool.run('VACUUM'));
    const target = freshFile('copy.db');
    await pool.run('VACUUM INTO ?', [target]);
    expect(await openPool(target).get('SELECT count(*) AS n FROM t')).toEqual({ n: 200 });
  });

  test('ATTACH, and writes to what was attached', async () => {
    const other = freshFile('other.db');
    await amid(() => pool.run('ATTACH ? AS other', [other]));
    await pool.run('CREATE TABLE other.u (x)');
    await Promise.all(range(10).map((x) => pool.run('INSERT INTO other.u VALUES (?)', [x])));
    await amid2(() => pool.run('DETACH other'));
    expect(await outcome(pool.run('INSERT INTO other.u VALUES (1)'))).toBe('SQLITE_ERROR');
    expect(await openPool(other).get('SELECT count(*) AS n FROM u')).toEqual({ n: 10 });
  });

  test.each<[set: string, read: string, value: unknown]>([
    ['PRAGMA user_version = 7', 'PRAGMA user_version', { user_version: 7 }],
    ['PRAGMA application_id = 8', 'PRAGMA application_id', { application_id: 8 }],
  ])('%s', async (set, read, value) => {
    await amid(() => pool.run(set));
    expect(await pool.get(read)).toEqual(value);
  });

  test('a setting that SQLite ignores inside a transaction', async () => {
    await pool.exec('CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p)');
    await amid(() => pool.run('PRAGMA foreign_keys = OFF'));
    await pool.run('INSERT INTO c VALUES (404)');
    await pool.run('PRAGMA foreign_keys = ON');
    expect(await outcome(pool.run('INSERT INTO c VALUES (404)'))).toBe(
      'SQLITE_CONSTRAINT_FOREIGNKEY',
    );
  });

  test('nothing but a comment', async () => {
    const plain = failure(Promise.resolve().then(() => observer.prepare('-- nothing').run()));
    const error = await failure(pool.run('-- nothing'));
    expect(error.message).toContain((await plain).message);
  });
});

/** Twice in one test. */
async function amid2(work: () => Promise<unknown>): Promise<void> {
  await pool.run('DELETE FROM t');
  await amid(work);
}

describe('exec', () => {
  test('runs a script of many statements, in order, amid groups', async () => {
    await amid(() =>
      pool.exec(`
        CREATE TABLE s (n INTEGER PRIMARY KEY, v); -- a comment; with a semicolon
        INSERT INTO s (v) VALUES ('one; two'), ('three');
        CREATE TRIGGER tr AFTER INSERT ON s BEGIN UPDATE s SET v = 'x'; SELECT 1; END;
        BEGIN; UPDATE s SET v = v || '!'; COMMIT;
      `),
    );
    expect(observer.prepare('SELECT v FROM s').pluck().all()).toEqual(['one; two!', 'three!']);
  });

  test('keeps what came before the statement that failed, like SQLite itself', async () => {
    const script =
      'INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (2, 2)';
    expect(await outcome(pool.exec(script))).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
    expect(stored()).toEqual([1]);
  });

  test.each<[what: string, script: string]>([
    ['BEGIN', 'INSERT INTO t VALUES (1, 1); BEGIN; INSERT INTO t VALUES (2, 2)'],
    ['SAVEPOINT', 'INSERT INTO t VALUES (1, 1); SAVEPOINT s; INSERT INTO t VALUES (2, 2)'],
  ])('is rejected and rolled back where it leaves a transaction open: %s', async (_, script) => {
    const error = await failure(pool.exec(script));
    expect(error).toMatchObject({ name: 'PoolError', code: 'POOL_MISUSE' });
    expect(error.message).toMatch(/left a transaction open/);
    expect(stored()).toEqual([1]);
    await Promise.all([insert(3), insert(4)]);
    expect(stored()).toEqual([1, 3, 4]);
  });

  test('tells the error of a script that fails inside a transaction of its own', async () => {
    const script = 'BEGIN; INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (1, 1); COMMIT';
    expect(await outcome(pool.exec(script))).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
    await insert(1);
    expect(stored()).toEqual([1]);
  });

  test('is answered after the commit', async () => {
    const writes = range(20, 1000).map(async (a) => {
      await pool.exec(`INSERT INTO t VALUES (${a}, 0); UPDATE t SET b = 1 WHERE a = ${a}`);
      return observer.prepare('SELECT b FROM t WHERE a = ?').pluck().get(a);
    });
    expect(await Promise.all(writes)).toEqual(writes.map(() => 1));
  });
});

describe('statements that begin or end transactions are refused by the pool', () => {
  test.each([
    'BEGIN',
    'begin immediate',
    '/* so */ BEGIN EXCLUSIVE TRANSACTION',
    'COMMIT',
    'END TRANSACTION',
    'ROLLBACK',
    'SAVEPOINT a',
    'RELEASE a',
    'ROLLBACK TO a',
  ])('%s', async (sql) => {
    const calls = { run: pool.run(sql), all: pool.all(sql), batch: pool.batch([{ sql }]) };
    for (const call of Object.values(calls)) {
      const error = await failure(call);
      expect(error).toMatchObject({ name: 'PoolError', code: 'POOL_MISUSE' });
      expect(error.message).toContain(sql);
    }
    await insert(1);
    expect(stored()).toEqual([1]);
  });
});
