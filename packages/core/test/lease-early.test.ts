import type { Pool } from '@poolite/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { outcome } from './support/folder.ts';
import { refuseUnhandled } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { INSERT, NUMBERS, numbersOf, openNumbers } from './support/table.ts';

refuseUnhandled();

const freshPool = sharedPool({ transactionTimeout: 0 });
let pool: Pool;
let stored: () => unknown[];

beforeEach(async () => {
  ({ pool, stored } = numbersOf(await freshPool(NUMBERS)));
});

const early = (options = {}) => pool.lease('write', { early: true, ...options });

/** The writer in the hands of a transaction that has written, until it is told to go on. */
async function held(): Promise<{ end: () => Promise<void> }> {
  const lease = await pool.lease('write');
  await lease.run('BEGIN IMMEDIATE');
  await lease.run(INSERT, [0]);
  return {
    end: async () => {
      await lease.run('COMMIT');
      await lease.release();
    },
  };
}

describe('a write lease that is handed out early', () => {
  test('is there, and begins, while another has the writer; its statement waits', async () => {
    const other = await held();
    const lease = await early();
    await lease.run('BEGIN IMMEDIATE');
    expect(lease.inTransaction).toBe(true);
    const inserted = lease.run(INSERT, [1]);
    expect(stored()).toEqual([]);
    const ended = other.end();
    await inserted;
    await lease.run('COMMIT');
    await lease.release();
    await ended;
    expect(stored()).toEqual([0, 1]);
  });

  test('begins what the first statement says, and what it rolls back is undone', async () => {
    for (const begin of ['BEGIN', 'BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE']) {
      const lease = await early();
      await lease.run(begin);
      await lease.run(INSERT, [1]);
      await lease.run('ROLLBACK');
      await lease.release();
    }
    expect(stored()).toEqual([]);
  });

  test('runs a statement without a transaction, too', async () => {
    const other = await held();
    const lease = await early();
    const inserted = lease.run(INSERT, [1]);
    const ended = other.end();
    await inserted;
    await ended;
    expect(lease.inTransaction).toBe(false);
    await lease.release();
    expect(stored()).toEqual([0, 1]);
  });

  test.each(['COMMIT', 'ROLLBACK'])('ends with %s what has run nothing, at once', async (end) => {
    const other = await held();
    const lease = await early();
    await lease.run('BEGIN');
    await lease.run(end);
    expect(lease.inTransaction).toBe(false);
    await lease.release();
    await other.end();
    await pool.run(INSERT, [1]);
    expect(stored()).toEqual([0, 1]);
  });

  test('begins once more where its first statement could not have the writer', async () => {
    const other = await held();
    const lease = await early({ acquireTimeout: 20 });
    await lease.run('BEGIN');
    expect(await outcome(lease.run(INSERT, [1]))).toBe('POOL_TIMEOUT');
    expect(lease.inTransaction).toBe(true);
    await other.end();
    await lease.run(INSERT, [2]);
    await lease.run(INSERT, [3]);
    await lease.run('ROLLBACK');
    expect(stored()).toEqual([0]);
    await lease.release();
  });

  test('gives the writer on where it was released before', async () => {
    const other = await held();
    const lease = await early();
    await lease.run('BEGIN');
    const waiting = outcome(lease.run(INSERT, [1]));
    await lease.release();
    const next = pool.lease('write');
    await other.end();
    expect(await waiting).toBe('POOL_MISUSE');
    const mine = await next;
    await mine.run(INSERT, [2]);
    await mine.release();
    expect(stored()).toEqual([0, 2]);
  });

  test('fails with POOL_CLOSED in a pool that closes', async () => {
    ({ pool, stored } = await openNumbers());
    const other = await held();
    const lease = await early();
    await lease.run('BEGIN');
    const waiting = outcome(lease.run(INSERT, [1]));
    await pool.close({ force: true });
    expect(await waiting).toBe('POOL_CLOSED');
    expect(await outcome(lease.run(INSERT, [2]))).toBe('POOL_CLOSED');
    expect(await outcome(other.end())).toBe('POOL_CLOSED');
    await lease.release();
    expect(stored()).toEqual([]);
  });

  test('keeps its holder from waiting for itself, before the writer is there and after', async () => {
    const other = await held();
    const lease = await early();
    lease.enter();
    await lease.run('BEGIN');
    expect(await outcome(pool.run(INSERT, [9]))).toBe('POOL_DEADLOCK');
    const inserted = lease.run(INSERT, [1]);
    const ended = other.end();
    await inserted;
    expect(await outcome(pool.run(INSERT, [9]))).toBe('POOL_DEADLOCK');
    await lease.run('COMMIT');
    await lease.release();
    await ended;
    await pool.run(INSERT, [2]);
    expect(stored()).toEqual([0, 1, 2]);
  });

  test('is told of by its first statement where it is leaked', async () => {
    const leaked = new Promise<{ openedAt: string }>((resolve) => pool.on('leak', resolve));
    const lease = await early({ timeout: 40 });
    await lease.run('BEGIN');
    expect(await outcome(lease.run(INSERT, [1]))).toMatch(/resolved|POOL_TIMEOUT/);
    expect((await leaked).openedAt).toBe(`opened for: ${INSERT}`);
    expect(await outcome(lease.run(INSERT, [2]))).toBe('POOL_TIMEOUT');
    await lease.release();
    expect(stored()).toEqual([]);
  });

  test('of many callers lets each see what those before it wrote', async () => {
    const counts = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const lease = await early();
        await lease.run('BEGIN');
        const [[count]] = (await lease.values('SELECT count(*) FROM t')) as [[number]];
        await lease.run(INSERT, [count]);
        await lease.run('COMMIT');
        await lease.release();
        return count;
      }),
    );
    expect(counts.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n));
    expect(stored()).toHaveLength(40);
  });
});

test('a lease whose turn ended with a COMMIT has the next to its release, where a setting begins it', async () => {
  const lease = await pool.lease('write');
  const transaction = async (a: number) => {
    for (const [sql, values] of [['BEGIN'], [INSERT, [a]], ['COMMIT']] as const) {
      await lease.run(sql, values);
    }
  };
  await transaction(1);
  await lease.exec('PRAGMA foreign_keys = OFF');
  await transaction(2);
  let isWritten = false;
  const other = pool.run(INSERT, [3]).then(() => {
    isWritten = true;
  });
  for (let i = 0; i < 20; i++) await lease.get('SELECT 1');
  expect(isWritten).toBe(false);
  await lease.release();
  await other;
  expect(stored()).toEqual([1, 2, 3]);
});
