import type { Lease, Pool, PoolEvents } from '@poolite/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { failure, openPool, outcome } from './support/folder.ts';
import { fileOf, Gate, refuseUnhandled, turn } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { INSERT, numbersOf, range, WITH_PARENTS } from './support/table.ts';

refuseUnhandled();

const HERE = fileOf(import.meta);

type Leak = PoolEvents['leak'][0];

const freshPool = sharedPool();
let pool: Pool;
let stored: () => unknown[];

beforeEach(async () => {
  ({ pool, stored } = numbersOf(await freshPool(WITH_PARENTS)));
});

describe('a write lease', () => {
  test('runs statements of every kind, each stored at once', async () => {
    const lease = await pool.lease('write');
    expect(lease.access).toBe('write');
    expect(await lease.run(INSERT, [1])).toEqual({ changes: 1, lastInsertRowid: 1 });
    expect(stored()).toEqual([1]);
    expect(await lease.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
    expect(await lease.get('SELECT a FROM t')).toEqual({ a: 1 });
    expect(await lease.values('SELECT a FROM t')).toEqual([[1]]);
    expect(await lease.query(`${INSERT} RETURNING a`, [2])).toMatchObject({ rows: [{ a: 2 }] });
    await lease.exec('INSERT INTO t (a) VALUES (3); INSERT INTO t (a) VALUES (4)');
    const rows: unknown[] = [];
    for await (const { a } of lease.iterate<{ a: number }>('SELECT a FROM t', [], {
      chunkSize: 1,
    })) {
      rows.push(a);
    }
    expect(rows).toEqual([1, 2, 3, 4]);
    expect(lease.inTransaction).toBe(false);
    await lease.release();
    expect(stored()).toEqual([1, 2, 3, 4]);
  });

  test('has the writer to itself until it is released', async () => {
    const lease = await pool.lease('write');
    let done = 0;
    const others = [
      pool.run(INSERT, [10]),
      pool.transaction((tx) => tx.run(INSERT, [11])),
      pool.exec('INSERT INTO t (a) VALUES (12)'),
      pool.lease('write').then((other) => other.release()),
    ].map((other) => other.then(() => done++));
    for (const a of range(5)) await lease.run(INSERT, [a]);
    await turn(3);
    expect(done).toBe(0);
    expect(stored()).toEqual(range(5));
    await lease.release();
    await Promise.all(others);
    expect(stored()).toEqual([...range(5), 10, 11, 12]);
  });

  test('keeps the state of its session', async () => {
    const lease = await pool.lease('write');
    await lease.run('CREATE TEMP TABLE mine (x)');
    await lease.run('INSERT INTO mine VALUES (1), (2), (3)');
    expect(await lease.get('SELECT changes() AS n')).toEqual({ n: 3 });
    await lease.run(INSERT, [77]);
    expect(await lease.values('SELECT last_insert_rowid(), changes()')).toEqual([[77, 1]]);
    await lease.run('PRAGMA foreign_keys = OFF');
    await lease.run('BEGIN');
    await lease.run('INSERT INTO child VALUES (404)');
    await lease.run('COMMIT');
    await lease.run('PRAGMA foreign_keys = ON');
    expect(await lease.all('SELECT x FROM mine')).toHaveLength(3);
    await lease.run('DROP TABLE mine');
    await lease.release();
  });

  test('is disposed of by await using', async () => {
    {
      await using lease = await pool.lease('write');
      await lease.run('BEGIN');
      await lease.run(INSERT, [1]);
    }
    {
      await using lease = await pool.lease('write');
      await lease.release();
    }
    expect(stored()).toEqual([]);
    expect(pool.stats().transactions).toMatchObject({ waiting: 0, heldMs: 0 });
  });

  test('leases are served in the order in which they were asked for', async () => {
    const order: number[] = [];
    const work = async (n: number) => {
      const lease = await pool.lease('write');
      order.push(n);
      await lease.run('BEGIN IMMEDIATE');
      await lease.run(INSERT, [n]);
      await turn((n * 5) % 3);
      await lease.run(n % 4 === 0 ? 'ROLLBACK' : 'COMMIT');
      await lease.release();
    };
    await Promise.all(range(40).map(work));
    expect(order).toEqual(range(40));
    expect(stored()).toEqual(range(40).filter((n) => n % 4 !== 0));
  });

  test('waiting for one ends with its signal', async () => {
    const held = await pool.lease('write');
    const controller = new AbortController();
    const waiting = pool.lease('write', { signal: controller.signal });
    await turn();
    controller.abort(new Error('why'));
    expect(await failure(waiting)).toMatchObject({ code: 'POOL_ABORTED', cause: new Error('why') });
    expect(await outcome(pool.lease('write', { signal: controller.signal }))).toBe('POOL_ABORTED');
    expect(await outcome(pool.lease('read', { signal: controller.signal }))).toBe('POOL_ABORTED');
    expect(pool.stats().transactions.waiting).toBe(0);
    await held.release();
    await pool.run(INSERT, [1]);
  });

  test('works on a database in memory, whatever it is for', async () => {
    const memory = openPool(':memory:');
    await memory.exec('CREATE TABLE t (a INTEGER PRIMARY KEY, b)');
    for (const access of ['write', 'read'] as const) {
      const lease = await memory.lease(access);
      expect(await lease.all('SELECT a FROM t')).toEqual([]);
      if (access === 'write') {
        await lease.run('BEGIN');
        await lease.run(INSERT, [1]);
        await lease.run('ROLLBACK');
      }
      await lease.release();
    }
    expect(await memory.all('SELECT a FROM t')).toEqual([]);
  });

  test.each<[unknown]>([['rw'], [undefined], [null]])('%s is no kind of lease', async (access) => {
    expect(await outcome(pool.lease(access as 'read'))).toBe('POOL_MISUSE');
  });
});

describe('the end of a lease', () => {
  test.each<[what: string, leave: (lease: Lease) => Promise<unknown>]>([
    ['BEGIN', (lease) => lease.run('BEGIN').then(() => lease.run(INSERT, [1]))],
    ['BEGIN in a script', (lease) => lease.exec('BEGIN; INSERT INTO t (a) VALUES (1)')],
    ['SAVEPOINT', (lease) => lease.run('SAVEPOINT s').then(() => lease.run(INSERT, [1]))],
    ['nothing behind BEGIN', (lease) => lease.run('BEGIN')],
  ])('rolls back what is open: %s', async (_, leave) => {
    for (const awaited of [true, false]) {
      const lease = await pool.lease('write');
      const left = leave(lease);
      left.catch(() => {});
      if (awaited) await left;
      await lease.release();
      expect(stored()).toEqual([]);
      await Promise.all([pool.run(INSERT, [2]), pool.transaction((tx) => tx.run(INSERT, [3]))]);
      expect(stored()).toEqual([2, 3]);
      await pool.run('DELETE FROM t');
    }
  });

  test.each(['read', 'write'] as const)('a second release is POOL_MISUSE: %s', async (access) => {
    const lease = await pool.lease(access);
    await lease.release();
    const error = await failure(lease.release());
    expect(error).toMatchObject({ name: 'PoolError', code: 'POOL_MISUSE' });
    expect(error.message).toMatch(/released before/);
    await pool.run(INSERT, [1]);
  });

  test.each(['read', 'write'] as const)(
    'refuses statements, naming the SQL: %s',
    async (access) => {
      const lease = await pool.lease(access);
      await lease.all('SELECT 1');
      await lease.release();
      for (const sql of ['SELECT 42 AS answer', 'BEGIN', 'COMMIT', 'ROLLBACK']) {
        const calls = [
          ...[lease.run(sql), lease.all(sql), lease.get(sql), lease.values(sql), lease.query(sql)],
          ...[lease.exec(sql), lease.iterate(sql).next()],
        ];
        for (const call of calls) {
          const error = await failure(call);
          expect(error).toMatchObject({ name: 'PoolError', code: 'POOL_MISUSE' });
          expect(error.message).toContain(sql);
        }
      }
      expect(lease.inTransaction).toBe(false);
    },
  );

  test.each(['read', 'write'] as const)(
    'a leak is told with the stack of its opener, and the lease is taken: %s',
    async (access) => {
      const leaks: Leak[] = [];
      pool.on('leak', (leak) => leaks.push(leak));
      const leaked = new Promise<Leak>((resolve) => pool.on('leak', resolve));
      const leaky = async function whoForgotToRelease() {
        return pool.lease(access, { timeout: 60 });
      };
      const lease = await leaky();
      // The lease may be over already when a slow machine comes to them.
      const begin = access === 'write' ? ['BEGIN', 'INSERT INTO t (a) VALUES (1)'] : [];
      for (const sql of begin)
        expect(await outcome(lease.run(sql))).toMatch(/resolved|POOL_TIMEOUT/);
      const next = await pool.lease('write');
      await next.run(INSERT, [2]);
      await next.release();
      await leaked;
      expect(leaks).toHaveLength(1);
      expect(leaks[0]).toMatchObject({ kind: 'lease' });
      expect(leaks[0]?.heldMs).toBeGreaterThanOrEqual(55);
      expect(leaks[0]?.openedAt).toContain(HERE);
      expect(leaks[0]?.openedAt).toContain('whoForgotToRelease');
      const error = await failure(lease.run('SELECT 42'));
      expect(error).toMatchObject({ code: 'POOL_TIMEOUT' });
      expect(error.message).toMatch(/60 ms.*SELECT 42/);
      expect((error.cause as Error).stack).toContain('whoForgotToRelease');
      // Whoever comes to release it at last has done nothing wrong.
      await lease.release();
      expect(stored()).toEqual([2]);
    },
  );

  test('frees its context for writes again', async () => {
    const gate = new Gate();
    const lease = await pool.lease('write');
    lease.enter();
    expect(await outcome(pool.run(INSERT, [1]))).toBe('POOL_DEADLOCK');
    expect(await outcome(pool.transaction(async () => {}))).toBe('POOL_DEADLOCK');
    expect(await outcome(pool.lease('write'))).toBe('POOL_DEADLOCK');
    const later = gate.opened.then(() => outcome(pool.run(INSERT, [2])));
    expect(await pool.all('SELECT a FROM t')).toEqual([]);
    await lease.run(INSERT, [3]);
    await lease.release();
    expect(await outcome(pool.run(INSERT, [1]))).toBe('resolved');
    gate.open();
    expect(await later).toBe('resolved');
    expect(stored()).toEqual([1, 2, 3]);
  });
});
