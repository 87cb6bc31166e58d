import type { Lease, Pool } from '@poolite/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { failure, openPool, outcome } from './support/folder.ts';
import { refuseUnhandled } from './support/observer.ts';
import { untilShared } from './support/shared-commits.ts';
import { sharedPool } from './support/shared-pool.ts';
import { INSERT, numbersOf, range, WITH_PARENTS } from './support/table.ts';

refuseUnhandled();

const freshPool = sharedPool();
let pool: Pool;
let stored: () => unknown[];

beforeEach(async () => {
  ({ pool, stored } = numbersOf(await freshPool(WITH_PARENTS)));
});

describe('a transaction written by hand through a lease', () => {
  type Line = [sql: string, inTransaction: boolean];

  test.each<[what: string, lines: Line[], kept: number[]]>([
    [
      'commit',
      [
        ['BEGIN', true],
        ['INSERT INTO t (a) VALUES (1)', true],
        ['COMMIT', false],
      ],
      [1],
    ],
    [
      'rollback',
      [
        ['BEGIN', true],
        ['INSERT INTO t (a) VALUES (1)', true],
        ['ROLLBACK', false],
      ],
      [],
    ],
    [
      'nothing in it',
      [
        ['BEGIN', true],
        ['COMMIT', false],
        ['BEGIN', true],
        ['ROLLBACK', false],
      ],
      [],
    ],
    [
      'other words',
      [
        ['begin immediate transaction;', true],
        ['INSERT INTO t (a) VALUES (1)', true],
        ['/* so */ end', false],
      ],
      [1],
    ],
    [
      'savepoints',
      [
        ['BEGIN', true],
        ['SAVEPOINT s', true],
        ['INSERT INTO t (a) VALUES (1)', true],
        ['ROLLBACK TO s', true],
        ['INSERT INTO t (a) VALUES (2)', true],
        ['RELEASE s', true],
        ['COMMIT', false],
      ],
      [2],
    ],
    [
      'a savepoint that begins it',
      [
        ['SAVEPOINT s', true],
        ['INSERT INTO t (a) VALUES (1)', true],
        ['RELEASE s', false],
        ['SAVEPOINT s', true],
        ['INSERT INTO t (a) VALUES (2)', true],
        ['ROLLBACK', false],
      ],
      [1],
    ],
    [
      'two in a row, and autocommit between',
      [
        ['BEGIN', true],
        ['INSERT INTO t (a) VALUES (1)', true],
        ['COMMIT', false],
        ['INSERT INTO t (a) VALUES (2)', false],
        ['BEGIN EXCLUSIVE', true],
        ['INSERT INTO t (a) VALUES (3)', true],
        ['ROLLBACK', false],
        ['INSERT INTO t (a) VALUES (4)', false],
      ],
      [1, 2, 4],
    ],
  ])('%s: inTransaction is right at every step', async (_, lines, kept) => {
    for (const method of ['run', 'query', 'exec'] as const) {
      const lease = await pool.lease('write');
      for (const [sql, inTransaction] of lines) {
        // A script may begin a transaction, but not end one.
        await lease[method === 'exec' && lease.inTransaction ? 'run' : method](sql);
        expect(lease.inTransaction, `${method} ${sql}`).toBe(inTransaction);
      }
      await lease.release();
      expect(stored(), method).toEqual(kept);
      await pool.run('DELETE FROM t');
    }
  });

  test('is seen by nobody before its COMMIT is answered, and by all then', async () => {
    await pool.exec('DROP TABLE child');
    const work = async (a: number) => {
      const lease = await pool.lease('write');
      await lease.run('BEGIN IMMEDIATE');
      await lease.run(INSERT, [a]);
      expect(stored()).not.toContain(a);
      await lease.run('COMMIT');
      expect(stored()).toContain(a);
      await lease.release();
    };
    await untilShared(pool, (round) => Promise.all(range(64, round * 64).map(work)));
  });

  test('a lease whose commit was shared can be used again', async () => {
    await pool.exec('DROP TABLE child');
    const work = async (n: number) => {
      const lease = await pool.lease('write');
      for (const a of [n * 3, n * 3 + 1]) {
        await lease.run('BEGIN IMMEDIATE');
        await lease.run(INSERT, [a]);
        await lease.run('COMMIT');
      }
      expect(await lease.get('SELECT a FROM t WHERE a = ?', [n * 3])).toEqual({ a: n * 3 });
      await lease.run(INSERT, [n * 3 + 2]);
      await lease.release();
    };
    const rounds = await untilShared(pool, (round) => Promise.all(range(20, round * 20).map(work)));
    expect(stored()).toEqual(range(rounds * 60));
  });

  test('COMMIT that fails rolls back, and a ROLLBACK behind it does not throw', async () => {
    const lease = await pool.lease('write');
    for (const begin of ['BEGIN', 'BEGIN IMMEDIATE']) {
      await lease.run(begin);
      await lease.run(INSERT, [1]);
      await lease.run('INSERT INTO child VALUES (404)');
      expect(await outcome(lease.run('COMMIT'))).toBe('SQLITE_CONSTRAINT_FOREIGNKEY');
      expect(lease.inTransaction).toBe(false);
      await lease.run('ROLLBACK');
      expect(await outcome(lease.run('ROLLBACK')), 'once only').toBe('SQLITE_ERROR');
    }
    await lease.run(INSERT, [2]);
    await lease.release();
    expect(stored()).toEqual([2]);
  });

  test('after a statement that rolls it back nothing runs, until ROLLBACK', async () => {
    const lease = await pool.lease('write');
    await lease.run('BEGIN');
    await lease.run(INSERT, [1]);
    const twice = 'INSERT OR ROLLBACK INTO t (a) VALUES (1)';
    expect(await outcome(lease.run(twice))).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
    const next = 'INSERT INTO t (a) VALUES (2)';
    for (const sql of [next, 'COMMIT', next]) {
      expect(await outcome(lease.run(sql)), sql).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
    }
    await lease.run('ROLLBACK');
    await lease.run(next);
    await lease.release();
    expect(stored()).toEqual([2]);
  });

  test('a statement that rolls it back is known, and a ROLLBACK behind it does not throw', async () => {
    const lease = await pool.lease('write');
    await lease.run('BEGIN');
    await lease.run(INSERT, [1]);
    const sql = 'INSERT OR ROLLBACK INTO t (a) VALUES (1)';
    expect(await outcome(lease.run(sql))).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
    expect(lease.inTransaction).toBe(false);
    await lease.run('ROLLBACK');
    await lease.run('BEGIN');
    await lease.run(INSERT, [2]);
    await lease.run('COMMIT');
    await lease.release();
    expect(stored()).toEqual([2]);
  });

  describe.each([
    ['ROLLBACK', (lease: Lease) => lease.run('ROLLBACK')],
    ['release', (lease: Lease) => lease.release()],
  ])('%s ends', (how, end) => {
    const alone = () => pool.query('PRAGMA foreign_keys', [], { access: 'write' });

    test('one that could not begin, and what follows runs', async () => {
      const other = openPool(pool.file, { busyTimeout: 0, cacheSize: 100 });
      await other.ready();
      const lease = await other.lease('write');
      await pool.transaction(async (tx) => {
        await tx.run(INSERT, [1]);
        await lease.run('BEGIN IMMEDIATE');
        expect(await outcome(lease.run(INSERT, [2]))).toBe('SQLITE_BUSY');
        expect(await outcome(lease.run(INSERT, [3]))).toBe('SQLITE_BUSY');
      });
      await end(lease);
      if (how === 'ROLLBACK') {
        await lease.run(INSERT, [4]);
        await lease.release();
      } else await other.run(INSERT, [4]);
      await other.query('PRAGMA foreign_keys', [], { access: 'write' });
      expect(stored()).toEqual([1, 4]);
    });

    test('one that SQLite undid, and what follows runs', async () => {
      const lease = await pool.lease('write');
      await lease.run('BEGIN');
      await lease.run(INSERT, [1]);
      await outcome(lease.run('INSERT OR ROLLBACK INTO t (a) VALUES (1)'));
      expect(await outcome(lease.run(INSERT, [2]))).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
      await end(lease);
      if (how === 'ROLLBACK') {
        await lease.run(INSERT, [3]);
        await lease.release();
      }
      await alone();
      expect(stored()).toEqual(how === 'ROLLBACK' ? [3] : []);
    });
  });

  test.each([
    ['COMMIT', []],
    ['ROLLBACK', []],
    ['BEGIN', ['BEGIN']],
    ['BEGIN', ['BEGIN', 'INSERT INTO t (a) VALUES (1)']],
    ['RELEASE nowhere', []],
  ])("%s where it has no place is SQLite's own error (after %j)", async (sql, before) => {
    const lease = await pool.lease('write');
    for (const each of before) await lease.run(each);
    expect(await failure(lease.run(sql))).toMatchObject({
      name: 'SqliteError',
      code: 'SQLITE_ERROR',
    });
    await lease.release();
    await pool.run(INSERT, [2]);
    expect(stored()).toEqual([2]);
  });

  test('statements that are not awaited keep their order', async () => {
    const lease = await pool.lease('write');
    const all = ['BEGIN', 'SAVEPOINT s', 'INSERT INTO t (a) VALUES (1)', 'ROLLBACK TO s'].map(
      (sql) => lease.run(sql),
    );
    all.push(lease.run(INSERT, [2]), lease.run('COMMIT'), lease.run(INSERT, [3]));
    await Promise.all(all);
    await lease.release();
    expect(stored()).toEqual([2, 3]);
  });

  test('one begun by a script does not stop others from sharing commits', async () => {
    const lease = await pool.lease('write');
    await lease.exec('BEGIN; INSERT INTO t (a) VALUES (1000)');
    expect(lease.inTransaction).toBe(true);
    await lease.run('COMMIT');
    await lease.release();
    await pool.exec('DROP TABLE child');
    await untilShared(pool, (round) =>
      Promise.all(
        range(20, 2000 + round * 20).map((a) => pool.transaction((tx) => tx.run(INSERT, [a]))),
      ),
    );
  });
});
