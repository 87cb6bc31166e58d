import { AsyncLocalStorage } from 'node:async_hooks';
import type { Pool, Transaction } from '@poolite/core';
import { PoolError } from '@poolite/core';
import type Database from 'better-sqlite3';
import { beforeEach, describe, expect, test } from 'vitest';
import { failure, outcome } from './support/folder.ts';
import { Gate, refuseUnhandled, turn } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { numbersOf, range, WITH_PARENTS } from './support/table.ts';

refuseUnhandled();

const freshPool = sharedPool();
let pool: Pool;
let stored: () => unknown[];
let observer: Database.Database;

beforeEach(async () => {
  ({ pool, observer, stored } = numbersOf(await freshPool(WITH_PARENTS)));
});

const INSERT = 'INSERT INTO t VALUES (?, ?)';

describe('a transaction', () => {
  test('is committed when its callback returns, with what that returns', async () => {
    const result = await pool.transaction(async (tx) => {
      expect(await tx.run(INSERT, [1, 'x'])).toEqual({ changes: 1, lastInsertRowid: 1 });
      expect(await tx.all('SELECT * FROM t')).toEqual([{ a: 1, b: 'x' }]);
      expect(await tx.get('SELECT b FROM t')).toEqual({ b: 'x' });
      expect(await tx.values('SELECT * FROM t')).toEqual([[1, 'x']]);
      expect(await tx.query('DELETE FROM t RETURNING a')).toMatchObject({ rows: [{ a: 1 }] });
      await tx.exec('INSERT INTO t VALUES (2, 2); INSERT INTO t VALUES (3, 3)');
      const streamed: unknown[] = [];
      for await (const { a } of tx.iterate<{ a: number }>('SELECT a FROM t ORDER BY a')) {
        streamed.push(a);
      }
      return streamed;
    });
    expect(result).toEqual([2, 3]);
    expect(stored()).toEqual([2, 3]);
  });

  test('may do nothing', async () => {
    expect(await pool.transaction(async () => 'nothing')).toBe('nothing');
    expect(await outcome(pool.transaction(() => Promise.reject(new Error('no'))))).toBe(
      'Error: no',
    );
    await pool.run(INSERT, [1, 1]);
    expect(stored()).toEqual([1]);
  });

  test.each<[what: string, thrown: unknown]>([
    ['an Error', new TypeError('mine')],
    ['a string', 'a string'],
    ['undefined', undefined],
    ['null', null],
    ['an object', { code: 7 }],
  ])(
    'is rolled back when its callback throws %s, which is passed on as it is',
    async (_, thrown) => {
      const rejected = pool.transaction(async (tx) => {
        await tx.run(INSERT, [1, 1]);
        throw thrown;
      });
      await expect(rejected.catch((error: unknown) => ({ error }))).resolves.toEqual({
        error: thrown,
      });
      const again = pool.transaction(async (tx) => {
        void tx.run(INSERT, [1, 1]);
        throw thrown;
      });
      await again.catch((error: unknown) => expect(error).toBe(thrown));
      expect(stored()).toEqual([]);
      await pool.run(INSERT, [1, 1]);
    },
  );

  test('is rolled back when its callback throws before it returns a promise', async () => {
    const work = (tx: Transaction): Promise<void> => {
      void tx.run(INSERT, [1, 1]);
      throw new RangeError('at once');
    };
    await expect(pool.transaction(work)).rejects.toThrow(new RangeError('at once'));
    await pool.run(INSERT, [2, 2]);
    expect(stored()).toEqual([2]);
  });

  test('goes on after a statement that fails, which alone is undone', async () => {
    await pool.transaction(async (tx) => {
      await tx.run(INSERT, [1, 1]);
      const many = tx.run('INSERT INTO t SELECT column1, 0 FROM (VALUES (2), (3), (1))');
      expect(await outcome(many)).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
      expect(await outcome(tx.run('INSERT INTO nowhere VALUES (1)'))).toBe('SQLITE_ERROR');
      await tx.run(INSERT, [4, 4]);
    });
    expect(stored()).toEqual([1, 4]);
  });

  test('is not seen by anybody before its commit', async () => {
    await pool.transaction(async (tx) => {
      await tx.run(INSERT, [1, 1]);
      expect(stored()).toEqual([]);
      expect(await pool.all('SELECT * FROM t')).toEqual([]);
      expect(await pool.snapshot((snapshot) => snapshot.all('SELECT * FROM t'))).toEqual([]);
      expect(await tx.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
    });
    expect(stored()).toEqual([1]);
    expect(await pool.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
  });

  test('that only its COMMIT refuses rejects, and nothing of it is stored', async () => {
    const refused = pool.transaction(async (tx) => {
      await tx.run(INSERT, [1, 1]);
      await tx.run('INSERT INTO child VALUES (404)');
    });
    expect(await outcome(refused)).toBe('SQLITE_CONSTRAINT_FOREIGNKEY');
    await pool.transaction(async (tx) => {
      await tx.run('INSERT INTO child VALUES (404)');
      await tx.run('INSERT INTO parent VALUES (404)');
    });
    expect(stored()).toEqual([]);
    expect(observer.prepare('SELECT parent FROM child').pluck().all()).toEqual([404]);
  });

  test.each<[what: string, sql: string]>([
    ['OR ROLLBACK', 'INSERT OR ROLLBACK INTO t VALUES (1, 1)'],
    ['RAISE(ROLLBACK)', "INSERT INTO t VALUES (99, 'forbidden')"],
    ['OR ROLLBACK in a stream', 'INSERT OR ROLLBACK INTO t VALUES (1, 1) RETURNING a'],
    ['RAISE(ROLLBACK) in a stream', "INSERT INTO t VALUES (99, 'forbidden') RETURNING a"],
    ['a script', "INSERT INTO t VALUES (98, 1); INSERT INTO t VALUES (99, 'forbidden')"],
  ])('that SQLite rolled back (%s) refuses what follows, and its end', async (what, sql) => {
    await pool.run(`CREATE TRIGGER guard BEFORE INSERT ON t WHEN new.b = 'forbidden'
      BEGIN SELECT raise(ROLLBACK, 'no'); END`);
    const call = (tx: Transaction): Promise<unknown> => {
      if (what === 'a script') return tx.exec(sql);
      return what.includes('stream') ? tx.iterate(sql).next() : tx.run(sql);
    };
    const rejected = pool.transaction(async (tx) => {
      await tx.run(INSERT, [1, 1]);
      expect(await outcome(call(tx))).toMatch(/^SQLITE_CONSTRAINT/);
      for (const next of [tx.run(INSERT, [2, 2]), tx.exec('INSERT INTO t VALUES (3, 3)')]) {
        expect(await outcome(next), 'not in autocommit').not.toBe('resolved');
      }
    });
    await failure(rejected);
    expect(stored()).toEqual([]);
    await pool.run(INSERT, [3, 3]);
    expect(stored()).toEqual([3]);
  });

  test('keeps a stream that fails later on apart from the statements between', async () => {
    await pool.transaction(async (tx) => {
      const rows = tx.iterate<{ n: number }>(
        `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 100)
         SELECT CASE WHEN n < 60 THEN n ELSE abs(-9223372036854775808) END AS n FROM c`,
        [],
        { chunkSize: 10 },
      );
      const seen = [(await rows.next()).value?.n];
      await tx.run(INSERT, [1, 1]);
      const rest = async () => {
        for await (const { n } of rows) seen.push(n);
      };
      expect(await outcome(rest())).toBe('SQLITE_ERROR');
      expect(seen.slice(0, 50)).toEqual(range(50, 1));
      await tx.run(INSERT, [2, 2]);
    });
    expect(pool.stats().threadsLost).toBe(0);
    expect(stored()).toEqual([1, 2]);
  });

  test.each(['COMMIT', 'END', 'ROLLBACK', 'BEGIN', 'begin immediate'])(
    'refuses %s inside, and goes on',
    async (sql) => {
      await pool.transaction(async (tx) => {
        await tx.run(INSERT, [1, 1]);
        for (const refused of [tx.run(sql), tx.all(sql), tx.query(sql)]) {
          const error = await failure(refused);
          expect(error).toMatchObject({ code: 'POOL_MISUSE' });
          expect(error.message).toContain(sql);
        }
        expect(stored()).toEqual([]);
        await tx.run(INSERT, [2, 2]);
      });
      expect(stored()).toEqual([1, 2]);
    },
  );

  test.each(['committed', 'rolled back'])('that was %s refuses every statement', async (how) => {
    let kept: Transaction | undefined;
    const ended = pool.transaction(async (tx) => {
      kept = tx;
      await tx.run(INSERT, [1, 1]);
      if (how === 'rolled back') throw new Error('no');
    });
    await ended.catch(() => {});
    const tx = kept as Transaction;
    const sql = 'INSERT INTO t VALUES (2, 2)';
    const calls = [tx.run(sql), tx.all(sql), tx.get(sql), tx.values(sql), tx.query(sql)];
    for (const call of [...calls, tx.exec(sql), tx.iterate(sql).next()]) {
      const error = await failure(call);
      expect(error).toMatchObject({ code: 'POOL_MISUSE' });
      expect(error.message).toContain(sql);
      expect(error.message).toContain(how);
    }
    expect(await outcome(tx.savepoint(async () => {}))).toBe('POOL_MISUSE');
    expect(stored()).toEqual(how === 'committed' ? [1] : []);
  });

  test('runs statements that were not awaited before it ends', async () => {
    await pool.transaction(async (tx) => {
      for (const a of range(20)) void tx.run(INSERT, [a, a]);
    });
    expect(stored()).toEqual(range(20));
  });

  test('refuses what a callback that has returned still sends', async () => {
    const late = new Gate();
    let sent: Promise<unknown> | undefined;
    await pool.transaction(async (tx) => {
      await tx.run(INSERT, [1, 1]);
      sent = late.opened.then(() => outcome(tx.run(INSERT, [2, 2])));
    });
    late.open();
    expect(await sent).toBe('POOL_MISUSE');
    expect(stored()).toEqual([1]);
  });

  test.each<[what: unknown]>([[undefined], [null], [{}], ['SELECT 1'], [Promise.resolve()]])(
    'needs a function, not %s',
    async (work) => {
      for (const call of [pool.transaction(work as never), pool.snapshot(work as never)]) {
        const error = await failure(call);
        expect(error).toBeInstanceOf(PoolError);
        expect(error.code).toBe('POOL_MISUSE');
      }
      expect(pool.stats().transactions).toMatchObject({ waiting: 0, heldMs: 0 });
    },
  );

  test('refuses an unknown behavior', async () => {
    const options = { behavior: 'sometimes' as 'deferred' };
    const error = await failure(pool.transaction(async () => {}, options));
    expect(error).toMatchObject({ code: 'POOL_OPTIONS' });
    expect(error.message).toContain("'behavior'");
  });
});

describe('transactions under way at once', () => {
  test('never mix: read, modify and write give the exact sum', async () => {
    await pool.run(INSERT, [1, 0]);
    const add = (amount: number) =>
      pool.transaction(async (tx) => {
        const row = await tx.get<{ b: number }>('SELECT b FROM t WHERE a = 1');
        await turn(amount % 3);
        await tx.run('UPDATE t SET b = ? WHERE a = 1', [(row?.b ?? 0) + amount]);
        if (amount % 10 === 0) throw new Error('taken back');
      });
    const done = await Promise.allSettled(range(60, 1).map(add));
    expect(done.filter(({ status }) => status === 'rejected')).toHaveLength(6);
    const sum = range(60, 1)
      .filter((n) => n % 10 !== 0)
      .reduce((a, b) => a + b);
    expect(await pool.get('SELECT b FROM t')).toEqual({ b: sum });
  });

  test('have their turns in the order in which they were asked for', async () => {
    const order: number[] = [];
    const work = (n: number) =>
      pool.transaction(async (tx) => {
        order.push(n);
        await tx.run(INSERT, [n, n]);
        await turn((n * 7) % 4);
      });
    await Promise.all(range(40).map(work));
    expect(order).toEqual(range(40));
  });
});

describe('the callback of a transaction', () => {
  test("runs in its caller's asynchronous context, whoever frees the writer", async () => {
    const store = new AsyncLocalStorage<number>();
    const seen = range(50).map((n) =>
      store.run(n, () =>
        pool.transaction(async (tx) => {
          const before = store.getStore();
          await tx.run(INSERT, [n, n]);
          return [n, before, store.getStore()];
        }),
      ),
    );
    expect(await Promise.all(seen)).toEqual(range(50).map((n) => [n, n, n]));
  });

  test('that returns before its savepoint does cannot reach into the next one', async () => {
    const gate = new Gate();
    let late: Promise<string[]> | undefined;
    await pool.transaction(async (tx) => {
      await tx.run(INSERT, [1, 1]);
      const savepoint = tx.savepoint(async (inner) => {
        await gate.opened;
        late = Promise.all([
          outcome(inner.run(INSERT, [2, 2])),
          outcome(inner.savepoint(async () => {})),
        ]);
        await late;
      });
      savepoint.catch(() => {});
    });
    const next = pool.transaction(async (tx) => {
      await tx.savepoint(async (inner) => {
        await inner.run(INSERT, [3, 3]);
        gate.open();
        await turn(3);
        await inner.run(INSERT, [4, 4]);
        throw new Error('undone');
      });
    });
    expect(await outcome(next)).toBe('Error: undone');
    expect(await late).toEqual(['POOL_MISUSE', 'POOL_MISUSE']);
    expect(stored()).toEqual([1]);
  });
});

describe('the behavior of a transaction', () => {
  const lockOf = (tx: Transaction) =>
    tx.all('SELECT * FROM t').then(() => {
      try {
        observer.exec('BEGIN IMMEDIATE; ROLLBACK');
        return 'none';
      } catch (error) {
        return (error as { code?: string }).code;
      }
    });

  test.each([
    ['deferred', 'none'],
    ['immediate', 'SQLITE_BUSY'],
    ['exclusive', 'SQLITE_BUSY'],
    [undefined, 'SQLITE_BUSY'],
  ] as const)('%s: after a read the lock is: %s', async (behavior, lock) => {
    expect(await pool.transaction(lockOf, { behavior })).toBe(lock);
  });

  test('deferred: a write between its read and its write is SQLITE_BUSY_SNAPSHOT', async () => {
    const refused = pool.transaction(
      async (tx) => {
        await tx.all('SELECT * FROM t');
        observer.exec('INSERT INTO t VALUES (1, 1)');
        await tx.run(INSERT, [2, 2]);
      },
      { behavior: 'deferred' },
    );
    expect(await outcome(refused)).toBe('SQLITE_BUSY_SNAPSHOT');
    await pool.run(INSERT, [3, 3]);
    expect(stored()).toEqual([1, 3]);
  });
});
