import type { Pool, Transaction } from '@poolite/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { failure, outcome } from './support/folder.ts';
import { refuseUnhandled } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { NUMBERS, numbersOf } from './support/table.ts';

refuseUnhandled();

const freshPool = sharedPool();
let pool: Pool;
let stored: () => unknown[];

beforeEach(async () => {
  ({ pool, stored } = numbersOf(await freshPool(NUMBERS)));
});

const add = (tx: Transaction, a: number) => tx.run('INSERT INTO t VALUES (?, ?)', [a, a]);
const boom = new Error('boom');

describe('a savepoint', () => {
  test('is kept when its callback returns, with what that returns', async () => {
    const result = await pool.transaction(async (tx) => {
      await add(tx, 1);
      const inner = await tx.savepoint(async (inner) => {
        await add(inner, 2);
        return inner.all('SELECT a FROM t');
      });
      await add(tx, 3);
      return inner;
    });
    expect(result).toEqual([{ a: 1 }, { a: 2 }]);
    expect(stored()).toEqual([1, 2, 3]);
  });

  test.each<[what: string, thrown: unknown]>([
    ['an Error', boom],
    ['a string', 'text'],
    ['undefined', undefined],
  ])('is undone when its callback throws %s, and the transaction goes on', async (_, thrown) => {
    await pool.transaction(async (tx) => {
      await add(tx, 1);
      const failed = tx.savepoint(async (inner) => {
        await add(inner, 2);
        throw thrown;
      });
      await expect(failed.catch((error: unknown) => ({ error }))).resolves.toEqual({
        error: thrown,
      });
      expect(await tx.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
      await add(tx, 2);
    });
    expect(stored()).toEqual([1, 2]);
  });

  test('is undone when its callback throws before it returns a promise', async () => {
    await pool.transaction(async (tx) => {
      const failed = tx.savepoint((inner) => {
        void add(inner, 1);
        throw boom;
      });
      await expect(failed).rejects.toBe(boom);
      await add(tx, 2);
    });
    expect(stored()).toEqual([2]);
  });

  test('nests to any depth; each failing one undoes its own part', async () => {
    const nest = async (tx: Transaction, depth: number): Promise<void> => {
      await add(tx, depth);
      if (depth === 12) return;
      const inner = tx.savepoint(async (inner) => {
        await nest(inner, depth + 1);
        if (depth === 7) throw boom;
      });
      if (depth === 7) await expect(inner).rejects.toBe(boom);
      else await inner;
      await add(tx, depth + 100);
    };
    await pool.transaction((tx) => nest(tx, 0));
    const upTo7 = [0, 1, 2, 3, 4, 5, 6, 7];
    expect(stored()).toEqual([...upTo7, ...upTo7.map((depth) => depth + 100)]);
  });

  test('goes down with the transaction around it', async () => {
    const failed = pool.transaction(async (tx) => {
      await tx.savepoint((inner) => add(inner, 1));
      throw boom;
    });
    await expect(failed).rejects.toBe(boom);
    expect(stored()).toEqual([]);
  });

  test('refuses a second one beside it, and both that one and later ones are well', async () => {
    await pool.transaction(async (tx) => {
      const first = tx.savepoint((inner) => add(inner, 1));
      const error = await failure(tx.savepoint((inner) => add(inner, 2)));
      expect(error).toMatchObject({ code: 'POOL_MISUSE' });
      expect(error.message).toMatch(/savepoint/);
      await first;
      await tx.savepoint((inner) => add(inner, 3));
    });
    expect(stored()).toEqual([1, 3]);
  });

  test('may be opened one after the other, also after one that failed', async () => {
    await pool.transaction(async (tx) => {
      for (const a of [1, 2, 3, 4, 5, 6]) {
        const work = tx.savepoint(async (inner) => {
          await add(inner, a);
          if (a % 2 === 0) throw boom;
        });
        await work.catch(() => {});
      }
    });
    expect(stored()).toEqual([1, 3, 5]);
  });

  test.each(['released', 'rolled back'])('that was %s refuses every statement', async (how) => {
    let kept: Transaction | undefined;
    await pool.transaction(async (tx) => {
      const inner = tx.savepoint(async (inner) => {
        kept = inner;
        if (how === 'rolled back') throw boom;
      });
      await inner.catch(() => {});
      const error = await failure((kept as Transaction).run('DELETE FROM t'));
      expect(error).toMatchObject({ code: 'POOL_MISUSE' });
      expect(error.message).toMatch(/savepoint.*DELETE FROM t/);
    });
  });

  test.each(['COMMIT', 'ROLLBACK', 'BEGIN'])('refuses %s inside', async (sql) => {
    await pool.transaction((tx) =>
      tx.savepoint(async (inner) => {
        await add(inner, 1);
        expect(await outcome(inner.run(sql))).toBe('POOL_MISUSE');
      }),
    );
    expect(stored()).toEqual([1]);
  });

  test('tells the error of its work also where SQLite undid the whole transaction', async () => {
    const failed = pool.transaction(async (tx) => {
      await add(tx, 1);
      await tx.savepoint((inner) => inner.run('INSERT OR ROLLBACK INTO t VALUES (1, 1)'));
    });
    const error = await failure(failed);
    expect(error).toMatchObject({ code: 'SQLITE_CONSTRAINT_PRIMARYKEY' });
    expect(stored()).toEqual([]);
  });

  test('needs a function', async () => {
    await pool.transaction(async (tx) => {
      await add(tx, 1);
      await failure(tx.savepoint(undefined as never));
      await tx.savepoint((inner) => add(inner, 2));
    });
    expect(stored()).toEqual([1, 2]);
  });
});

test('savepoints written by hand work inside a transaction', async () => {
  await pool.transaction(async (tx) => {
    await add(tx, 1);
    await tx.run('SAVEPOINT mine');
    await add(tx, 2);
    await tx.run('ROLLBACK TO mine');
    await add(tx, 3);
    await tx.run('RELEASE mine');
    await tx.run('SAVEPOINT left_open');
    await add(tx, 4);
  });
  expect(stored()).toEqual([1, 3, 4]);
});
