import type { Pool, Transaction } from '@poolite/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { failure, outcome } from './support/folder.ts';
import { fileOf, Gate, refuseUnhandled } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { INSERT, numbersOf, openNumbers, range, WITH_ONE } from './support/table.ts';

refuseUnhandled();

const COUNT = 'SELECT count(*) AS n FROM t';
const forever = () => new Promise<never>(() => {});

const freshPool = sharedPool({ readers: 1 });
const freshMemory = sharedPool({}, ':memory:');
let pool: Pool;
let stored: () => unknown[];

beforeEach(async () => {
  ({ pool, stored } = numbersOf(await freshPool(WITH_ONE)));
});

describe('a snapshot', () => {
  test('gives one state to every statement, while writes commit', async () => {
    const result = await pool.snapshot(async (tx) => {
      const seen = [(await tx.get<{ n: number }>(COUNT))?.n];
      for (const a of range(5, 2)) {
        await pool.run(INSERT, [a]);
        await pool.transaction((outer) => outer.run(INSERT, [a + 100]));
        const rows: unknown[] = [];
        for await (const row of tx.iterate('SELECT a FROM t')) rows.push(row);
        seen.push(rows.length, (await tx.all('SELECT a FROM t')).length);
        expect(await pool.get(COUNT)).toEqual({ n: 1 + (a - 1) * 2 });
      }
      return seen;
    });
    expect(result).toEqual(range(11).map(() => 1));
    expect(await pool.get(COUNT)).toEqual({ n: 11 });
  });

  test('adds up, whatever transfers go on', async () => {
    await pool.exec('CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER)');
    await pool.runMany(
      'INSERT INTO account VALUES (?, 100)',
      range(10).map((id) => [id]),
    );
    let over = false;
    const transfer = async () => {
      for (let i = 0; !over; i++) {
        await pool.transaction(async (tx) => {
          await tx.run('UPDATE account SET cents = cents - 1 WHERE id = ?', [i % 10]);
          await tx.run('UPDATE account SET cents = cents + 1 WHERE id = ?', [(i * 3 + 1) % 10]);
        });
      }
    };
    const transfers = Promise.all(range(4).map(transfer));
    const sums = await Promise.all(
      range(60).map(() =>
        pool.snapshot(async (tx) => {
          let sum = 0;
          for (const id of range(10)) {
            const row = await tx.get<{ cents: number }>('SELECT cents FROM account WHERE id = ?', [
              id,
            ]);
            sum += row?.cents ?? Number.NaN;
          }
          return sum;
        }),
      ),
    );
    over = true;
    await transfers;
    expect(sums).toEqual(sums.map(() => 1000));
  });

  test.each<[what: string, write: (tx: Transaction) => Promise<unknown>]>([
    ['run', (tx) => tx.run(INSERT, [2])],
    ['all', (tx) => tx.all(`${INSERT} RETURNING a`, [2])],
    ['query', (tx) => tx.query('DELETE FROM t')],
    ['exec', (tx) => tx.exec('UPDATE t SET b = 1')],
    ['iterate', (tx) => tx.iterate(`${INSERT} RETURNING a`, [2]).next()],
    ['a schema change', (tx) => tx.run('CREATE TABLE u (x)')],
    ['a savepoint', (tx) => tx.savepoint((inner) => inner.run(INSERT, [2]))],
  ])('cannot write: %s', async (_, write) => {
    for (const each of [pool, await freshMemory(WITH_ONE)]) {
      await each.snapshot(async (tx) => {
        expect(await outcome(write(tx))).toMatch(/^SQLITE_READONLY/);
        expect(await tx.get(COUNT)).toEqual({ n: 1 });
      });
      await each.run(INSERT, [3]);
      expect(await each.all('SELECT a, b FROM t')).toEqual([
        { a: 1, b: null },
        { a: 3, b: null },
      ]);
    }
  });

  test('many at once, on one reader thread, each with a state of its own', async () => {
    const gate = new Gate();
    const snapshots: Promise<unknown[]>[] = [];
    for (const n of range(30)) {
      const seen = new Gate();
      snapshots.push(
        pool.snapshot(async (tx) => {
          const first = await tx.get<{ n: number }>(COUNT);
          seen.open();
          await gate.opened;
          return [n, first?.n, (await tx.get<{ n: number }>(COUNT))?.n];
        }),
      );
      await seen.opened;
      await pool.run(INSERT, [n + 2]);
      expect(await pool.get(COUNT)).toEqual({ n: n + 2 });
    }
    gate.open();
    expect(await Promise.all(snapshots)).toEqual(range(30).map((n) => [n, n + 1, n + 1]));
    // Nothing holds the WAL back.
    expect(await pool.checkpoint('TRUNCATE')).toMatchObject({ busy: 0, log: 0 });
  });

  test('lets calls of the pool go on inside: reads, writes, transactions, snapshots, leases', async () => {
    await pool.snapshot(async (tx) => {
      expect(await tx.get(COUNT)).toEqual({ n: 1 });
      await pool.run(INSERT, [2]);
      await pool.batch([{ sql: INSERT, params: [3] }]);
      await pool.transaction((inner) => inner.run(INSERT, [4]));
      await pool.exec('INSERT INTO t (a) VALUES (5)');
      await pool.runMany(INSERT, [[6], [7]]);
      const lease = await pool.lease('write');
      await lease.run(INSERT, [8]);
      await lease.release();
      expect(await pool.snapshot((inner) => inner.get(COUNT))).toEqual({ n: 8 });
      expect(await tx.get(COUNT)).toEqual({ n: 1 });
    });
    expect(stored()).toEqual(range(8, 1));
  });

  test('passes on what its callback returns or throws', async () => {
    expect(await pool.snapshot(async () => 7)).toBe(7);
    const thrown = { any: 'thing' };
    await expect(pool.snapshot(() => Promise.reject(thrown))).rejects.toBe(thrown);
    const atOnce = pool.snapshot(() => {
      throw thrown;
    });
    await expect(atOnce).rejects.toBe(thrown);
  });

  test('that has ended refuses every statement, naming the SQL', async () => {
    let kept: Transaction | undefined;
    await pool.snapshot(async (tx) => {
      kept = tx;
      await tx.get(COUNT);
    });
    const tx = kept as Transaction;
    for (const call of [tx.all(COUNT), tx.exec(COUNT), tx.iterate(COUNT).next()]) {
      const error = await failure(call);
      expect(error).toMatchObject({ code: 'POOL_MISUSE' });
      expect(error.message).toContain(COUNT);
    }
  });

  test('refuses BEGIN, COMMIT and ROLLBACK, in scripts too', async () => {
    await pool.snapshot(async (tx) => {
      await tx.get(COUNT);
      for (const sql of ['BEGIN', 'COMMIT', 'ROLLBACK']) {
        expect(await outcome(tx.run(sql))).toBe('POOL_MISUSE');
        expect(await outcome(tx.exec(`SELECT 1; ${sql}`))).toBe('POOL_MISUSE');
      }
      await pool.run(INSERT, [2]);
      expect(await tx.get(COUNT)).toEqual({ n: 1 });
    });
  });

  test('ends at its time limit, also where its callback never returns', async () => {
    const leaks: { kind: string; openedAt: string }[] = [];
    pool.on('leak', (leak) => leaks.push(leak));
    let tried: Promise<string> | undefined;
    const gate = new Gate();
    const stuck = pool.snapshot(
      async (tx) => {
        tried = gate.opened.then(() => outcome(tx.get(COUNT)));
        await tx.get(COUNT);
        await forever();
      },
      { timeout: 50 },
    );
    const error = await failure(stuck);
    expect(error).toMatchObject({ code: 'POOL_TIMEOUT' });
    expect((error.cause as Error).stack).toContain(fileOf(import.meta));
    expect(leaks).toMatchObject([{ kind: 'snapshot' }]);
    gate.open();
    expect(await tried).toMatch(/^POOL_(MISUSE|TIMEOUT)$/);
    await pool.run(INSERT, [2]);
    expect(await pool.checkpoint('TRUNCATE')).toMatchObject({ busy: 0, log: 0 });
  });

  test('that was taken away is in nobody’s way, though its callback never returns', async () => {
    const { pool } = await openNumbers(WITH_ONE, { readers: 1, busyTimeout: 600_000 });
    const leaked = new Promise<void>((resolve) => {
      pool.on('leak', ({ kind }) => kind === 'lease' && resolve());
    });
    const stuck = outcome(
      pool.snapshot(
        async (tx) => {
          await tx.get(COUNT);
          await forever();
        },
        { timeout: 50 },
      ),
    );
    const lease = await pool.lease('read', { timeout: 50 });
    await outcome(lease.run('BEGIN'));
    await outcome(lease.get(COUNT));
    expect(await stuck).toBe('POOL_TIMEOUT');
    await leaked;
    await pool.run(INSERT, [2]);
    // What they wait for would never come.
    expect(await pool.checkpoint('TRUNCATE')).toMatchObject({ busy: 0, log: 0 });
    await pool.close({ timeout: 600_000 });
  });

  test('ends with its signal', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const running = pool.snapshot(
      async (tx) => {
        await tx.get(COUNT);
        controller.abort(new Error('why'));
        await forever();
      },
      { signal },
    );
    expect(await failure(running)).toMatchObject({ code: 'POOL_ABORTED', cause: new Error('why') });
    expect(await outcome(pool.snapshot(async () => {}, { signal }))).toBe('POOL_ABORTED');
    await pool.run(INSERT, [2]);
    expect(await pool.checkpoint('TRUNCATE')).toMatchObject({ busy: 0, log: 0 });
  });
});
