import { AsyncResource } from 'node:async_hooks';
import type { Lease, Pool } from '@poolite/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { failure, freshFile, openPool, outcome } from './support/folder.ts';
import { Gate, refuseUnhandled, turn } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { INSERT, numbersOf, ONE_COLUMN } from './support/table.ts';

refuseUnhandled();

// A call that waited for itself would wait for ever: the test would not end in time.
const limits = { acquireTimeout: 0, transactionTimeout: 0 };

const freshPool = sharedPool(limits);
let pool: Pool;
let stored: () => unknown[];

beforeEach(async () => {
  ({ pool, stored } = numbersOf(await freshPool(ONE_COLUMN)));
});

async function firstOf(pool: Pool): Promise<void> {
  for await (const _ of pool.iterate(`${INSERT} RETURNING a`, [1])) break;
}

/** Everything that needs the writer. */
const WRITES: [what: string, call: (pool: Pool) => Promise<unknown>][] = [
  ['run', (pool) => pool.run(INSERT, [1])],
  ['run of what runs alone', (pool) => pool.run('VACUUM')],
  ['a write through all', (pool) => pool.all(`${INSERT} RETURNING a`, [1])],
  ['a write through query', (pool) => pool.query(INSERT, [1])],
  ['batch', (pool) => pool.batch([{ sql: INSERT, params: [1] }])],
  ['exec', (pool) => pool.exec('INSERT INTO t VALUES (1)')],
  ['runMany', (pool) => pool.runMany(INSERT, [[1]])],
  ['transaction', (pool) => pool.transaction((tx) => tx.run(INSERT, [1]))],
  ["lease('write')", async (pool) => (await pool.lease('write')).release()],
  ['a write through iterate', (pool) => firstOf(pool)],
  ['a checkpoint', (pool) => pool.checkpoint('TRUNCATE')],
];

describe.each(WRITES)('%s inside a transaction of the same pool', (_, call) => {
  test('is POOL_DEADLOCK at once, and the transaction goes on', async () => {
    await pool.transaction(async (tx) => {
      await tx.run(INSERT, [10]);
      const error = await failure(call(pool));
      expect(error).toMatchObject({ name: 'PoolError', code: 'POOL_DEADLOCK', retryable: false });
      expect(error.message).toMatch(/inside a transaction of the same pool/);
      await tx.run(INSERT, [11]);
    });
    expect(stored()).toEqual([10, 11]);
    expect(await outcome(call(pool))).toBe('resolved');
  });

  test('is none once that has ended, in the same asynchronous context', async () => {
    const gate = new Gate();
    let after: Promise<string> | undefined;
    const work = pool.transaction(async (tx) => {
      await tx.run(INSERT, [10]);
      after = gate.opened.then(() => outcome(call(pool)));
    });
    await work;
    gate.open();
    expect(await after).toBe('resolved');
  });
});

describe('POOL_DEADLOCK', () => {
  test('names the SQL, and the way out', async () => {
    await pool.transaction(async () => {
      const error = await failure(pool.run('DELETE FROM t WHERE a = ?', [1]));
      expect(error.message).toContain('DELETE FROM t WHERE a = ?');
      expect(error.message).toMatch(/use the handle/);
    });
  });

  test('holds before the first statement of the transaction, too', async () => {
    await pool.transaction(async () => {
      expect(await outcome(pool.run(INSERT, [1]))).toBe('POOL_DEADLOCK');
    });
  });

  test('reaches nested functions, timers, promises and emitters that start inside', async () => {
    const write = () => outcome(pool.run(INSERT, [1]));
    const nested = async (depth: number): Promise<string> => {
      await turn();
      return depth === 0 ? write() : nested(depth - 1);
    };
    await pool.transaction(async (tx) => {
      await tx.run(INSERT, [10]);
      const inTimer = new Promise((resolve) => setTimeout(() => resolve(write()), 5));
      const inImmediate = new Promise((resolve) => setImmediate(() => resolve(write())));
      const inTick = new Promise((resolve) => process.nextTick(() => resolve(write())));
      const bound = new AsyncResource('test').runInAsyncScope(write);
      const all = [nested(3), inTimer, inImmediate, inTick, bound, tx.savepoint(write)];
      for (const each of await Promise.all(all)) expect(each).toBe('POOL_DEADLOCK');
    });
    expect(stored()).toEqual([10]);
  });

  test.each(['commits', 'rolls back'])(
    'ends with a transaction that %s, also for a timer that started inside',
    async (how) => {
      let over = false;
      let fired: Promise<string> | undefined;
      const work = pool.transaction(async (tx) => {
        await tx.run(INSERT, [1]);
        fired = new Promise((resolve) => {
          const look = () => {
            if (over) resolve(outcome(pool.run(INSERT, [2])));
            else setTimeout(look, 1);
          };
          look();
        });
        if (how === 'rolls back') throw new Error('no');
      });
      await work.catch(() => {});
      over = true;
      expect(await fired).toBe('resolved');
      expect(stored()).toEqual(how === 'commits' ? [1, 2] : [2]);
    },
  );

  test('is for the code inside only: others wait their turn', async () => {
    const gate = new Gate();
    const inside = pool.transaction(async (tx) => {
      await tx.run(INSERT, [1]);
      await gate.opened;
    });
    const outside = Promise.all([
      pool.run(INSERT, [2]),
      pool.transaction((tx) => tx.run(INSERT, [3])),
      pool.exec('INSERT INTO t VALUES (4)'),
    ]);
    await turn(2);
    gate.open();
    await Promise.all([inside, outside]);
    expect(stored()).toEqual([1, 2, 3, 4]);
  });

  test('is for the same pool only', async () => {
    const other = openPool(freshFile(), limits);
    await other.exec('CREATE TABLE t (a INTEGER PRIMARY KEY)');
    await pool.transaction(async (tx) => {
      await tx.run(INSERT, [1]);
      await other.run(INSERT, [1]);
      await other.transaction(async (inner) => {
        await inner.run(INSERT, [2]);
        expect(await outcome(pool.run(INSERT, [3]))).toBe('POOL_DEADLOCK');
        expect(await outcome(other.run(INSERT, [3]))).toBe('POOL_DEADLOCK');
      });
      await other.run(INSERT, [4]);
    });
    expect(stored()).toEqual([1]);
    expect(await other.values('SELECT a FROM t')).toEqual([[1], [2], [4]]);
  });

  test('is for writers only: a snapshot or a read lease keeps nobody from writing', async () => {
    await pool.snapshot(async () => {
      await pool.run(INSERT, [1]);
      await pool.transaction((tx) => tx.run(INSERT, [2]));
    });
    const lease = await pool.lease('read');
    lease.enter();
    await pool.run(INSERT, [3]);
    await lease.release();
    expect(stored()).toEqual([1, 2, 3]);
  });

  test('is known to pools that share a file in one process', async () => {
    const twin = openPool(pool.file, limits);
    await pool.transaction(async (tx) => {
      await tx.run(INSERT, [1]);
      expect(await outcome(twin.run(INSERT, [2]))).toBe('POOL_DEADLOCK');
    });
  });

  test('in memory counts for snapshots as well: there is one connection', async () => {
    const memory = openPool(':memory:', limits);
    await memory.exec('CREATE TABLE t (a)');
    await memory.transaction(async () => {
      expect(await outcome(memory.snapshot(async () => {}))).toBe('POOL_DEADLOCK');
    });
    await memory.snapshot(async (tx) => {
      expect(await outcome(memory.run(INSERT, [1]))).toBe('POOL_DEADLOCK');
      expect(await outcome(tx.run(INSERT, [1]))).toMatch(/^SQLITE_READONLY/);
    });
    await memory.run(INSERT, [1]);
    expect(await memory.all('SELECT a FROM t')).toEqual([{ a: 1 }]);
  });
});

describe('reads inside a transaction, but not through it', () => {
  test('see the last commit, and wait for nothing', async () => {
    await pool.run(INSERT, [1]);
    await pool.transaction(async (tx) => {
      await tx.run(INSERT, [2]);
      const sql = 'SELECT a FROM t ORDER BY a';
      const rows: unknown[] = [];
      for await (const row of pool.iterate(sql)) rows.push(row);
      expect(rows).toEqual([{ a: 1 }]);
      expect(await pool.all(sql)).toEqual([{ a: 1 }]);
      expect(await pool.snapshot((snapshot) => snapshot.all(sql))).toEqual([{ a: 1 }]);
      const lease = await pool.lease('read');
      expect(await lease.all(sql)).toEqual([{ a: 1 }]);
      await lease.release();
    });
  });
});

describe('a lease that is entered as it is asked for', () => {
  /** As an adapter's method does it whose caller goes on in the context of its own call. */
  async function begin(): Promise<Lease> {
    const lease = await pool.lease('write', { enter: true });
    await lease.run('BEGIN IMMEDIATE');
    return lease;
  }

  test('refuses the writes of whoever asked for it, until it ends', async () => {
    const lease = await begin();
    await lease.run(INSERT, [1]);
    expect(await outcome(pool.run(INSERT, [2]))).toBe('POOL_DEADLOCK');
    await lease.run('COMMIT');
    await lease.release();
    expect(await outcome(pool.run(INSERT, [3]))).toBe('resolved');
    expect(stored()).toEqual([1, 3]);
  });

  test('refuses nothing while it waits, nor where it was not granted', async () => {
    const first = await pool.lease('write');
    const given = new AbortController();
    const refused = pool.lease('write', { enter: true, signal: given.signal });
    const queued = pool.run(INSERT, [1]);
    given.abort();
    expect(await outcome(refused)).toBe('POOL_ABORTED');
    await first.release();
    await queued;
    expect(await outcome(pool.run(INSERT, [2]))).toBe('resolved');
  });
});

describe("selfWait: 'wait'", () => {
  test('queues a write that is issued inside and not awaited there', async () => {
    const patient = openPool(pool.file, { ...limits, selfWait: 'wait' });
    let later: Promise<unknown>[] = [];
    await patient.transaction(async (tx) => {
      await tx.run(INSERT, [1]);
      later = [
        patient.run(INSERT, [2]),
        patient.batch([{ sql: INSERT, params: [3] }]),
        patient.transaction((inner) => inner.run(INSERT, [4])),
        patient.exec('INSERT INTO t VALUES (5)'),
      ];
      await turn(3);
      expect(stored()).toEqual([]);
    });
    await Promise.all(later);
    expect(stored()).toEqual([1, 2, 3, 4, 5]);
  });

  test('one that is awaited inside ends with the limits', async () => {
    const patient = openPool(pool.file, { selfWait: 'wait', acquireTimeout: 60 });
    // Whoever comes before the threads are up waits for them too.
    await patient.ready();
    await patient.transaction(async (tx) => {
      await tx.run(INSERT, [1]);
      expect(await outcome(patient.run(INSERT, [2]))).toBe('POOL_TIMEOUT');
      expect(await outcome(patient.transaction(async () => {}))).toBe('POOL_TIMEOUT');
    });
    expect(stored()).toEqual([1]);
  });
});
