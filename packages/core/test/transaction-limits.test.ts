import type { Pool, PoolOptions, Transaction } from '@poolite/core';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { failure, outcome } from './support/folder.ts';
import { fileOf, Gate, refuseUnhandled, turn } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { INSERT, numbersOf, ONE_COLUMN, openNumbers } from './support/table.ts';

refuseUnhandled();

const HERE = fileOf(import.meta);

const open = (options: PoolOptions) => openNumbers(ONE_COLUMN, options);
const freshPool = sharedPool();
const fresh = async () => numbersOf(await freshPool(ONE_COLUMN));

/** Never settles. */
const forever = () => new Promise<never>(() => {});

/** Opens a transaction and keeps it open until the gate opens. */
async function holderOfTheWriter(pool: Pool, gate: Gate): Promise<{ ended: Promise<unknown> }> {
  const begun = new Gate();
  const ended = pool.transaction(async (tx) => {
    await tx.run(INSERT, [1]);
    begun.open();
    await gate.opened;
  });
  await Promise.race([begun.opened, ended]);
  return { ended };
}

describe('transactionTimeout', () => {
  test('rolls back and rejects, also where the callback never returns', async () => {
    const { pool, stored } = await open({ transactionTimeout: 80 });
    const leaks: { kind: string; heldMs: number; openedAt: string }[] = [];
    pool.on('leak', (leak) => leaks.push(leak));
    const started = performance.now();
    const stuck = pool.transaction(async (tx) => {
      await tx.run(INSERT, [1]);
      await forever();
    });
    const error = await failure(stuck);
    const ms = performance.now() - started;
    expect(error).toMatchObject({ name: 'PoolError', code: 'POOL_TIMEOUT' });
    expect(error.message).toMatch(/transactionTimeout.*80 ms/);
    expect((error.cause as Error).stack).toContain(HERE);
    expect(ms).toBeGreaterThanOrEqual(75);
    expect(leaks).toHaveLength(1);
    expect(leaks[0]).toMatchObject({ kind: 'transaction' });
    expect(leaks[0]?.heldMs).toBeGreaterThanOrEqual(75);
    expect(leaks[0]?.openedAt).toContain(HERE);
    await pool.run(INSERT, [2]);
    expect(stored()).toEqual([2]);
  });

  test('lets those go on who waited behind it', async () => {
    const { pool, stored } = await open({ transactionTimeout: 80 });
    const stuck = outcome(pool.transaction(forever));
    const waiting = pool.transaction((tx) => tx.run(INSERT, [1]));
    const write = pool.run(INSERT, [2]);
    const script = pool.exec('INSERT INTO t VALUES (3)');
    expect(await stuck).toBe('POOL_TIMEOUT');
    await Promise.all([waiting, write, script]);
    expect(stored()).toEqual([1, 2, 3]);
  });

  test('refuses what the callback does with the transaction hereafter', async () => {
    const { pool, stored } = await open({ transactionTimeout: 50 });
    const gate = new Gate();
    const late: Record<string, string> = {};
    const returned = new Gate();
    const stuck = pool.transaction(async (tx) => {
      await outcome(tx.run(INSERT, [1]));
      await gate.opened;
      late.run = await outcome(tx.run(INSERT, [2]));
      late.iterate = await outcome(tx.iterate('SELECT * FROM t').next());
      late.savepoint = await outcome(tx.savepoint((inner) => inner.run(INSERT, [3])));
      returned.open();
    });
    expect(await outcome(stuck)).toBe('POOL_TIMEOUT');
    gate.open();
    await returned.opened;
    const refused = /^POOL_(TIMEOUT|MISUSE)$/;
    for (const call of ['run', 'iterate', 'savepoint']) expect(late[call], call).toMatch(refused);
    expect(stored()).toEqual([]);
  });

  test('frees the callback from the rules of a live transaction', async () => {
    const { pool, stored } = await open({ transactionTimeout: 50 });
    const gate = new Gate();
    let after: Promise<unknown> | undefined;
    const stuck = pool.transaction(async (tx) => {
      after = gate.opened.then(() => outcome(pool.run(INSERT, [2])));
      await tx.run(INSERT, [1]);
      await forever();
    });
    expect(await outcome(stuck)).toBe('POOL_TIMEOUT');
    gate.open();
    expect(await after).toBe('resolved');
    expect(stored()).toEqual([2]);
  });

  test('may be given for one transaction; it counts from when it has the writer', async () => {
    const { pool, stored } = await open({});
    const gate = new Gate();
    expect(await outcome(pool.transaction(forever, { timeout: 30 }))).toBe('POOL_TIMEOUT');
    const { ended } = await holderOfTheWriter(pool, gate);
    // The clock is the test's, and moves while the transaction waits.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const quick = pool.transaction((tx) => tx.run(INSERT, [2]), { timeout: 60 });
    await turn();
    vi.advanceTimersByTime(120);
    gate.open();
    await Promise.all([ended, quick]);
    expect(stored()).toEqual([1, 2]);
  });

  test('0 is for ever', async () => {
    const { pool, stored } = await open({ transactionTimeout: 30 });
    const pause = () => new Promise((resolve) => setTimeout(resolve, 90));
    const work = async (tx: Transaction) => {
      await tx.run(INSERT, [1]);
      await pause();
    };
    await pool.transaction(work, { timeout: 0 });
    expect(stored()).toEqual([1]);
  });
});

describe('acquireTimeout', () => {
  test('rejects whoever waits, with the stack of the holder', async () => {
    const { pool, stored } = await open({ acquireTimeout: 60 });
    const gate = new Gate();
    const { ended } = await holderOfTheWriter(pool, gate);
    const waiting = {
      transaction: failure(pool.transaction(async () => {})),
      lease: failure(pool.lease('write')),
      exec: failure(pool.exec('SELECT 1')),
      runMany: failure(pool.runMany(INSERT, [[7]])),
      run: failure(pool.run(INSERT, [8])),
      batch: failure(pool.batch([{ sql: INSERT, params: [9] }])),
    };
    for (const [name, call] of Object.entries(waiting)) {
      const error = await call;
      expect(error, name).toMatchObject({ name: 'PoolError', code: 'POOL_TIMEOUT' });
      expect(error.message, name).toMatch(/waited \d+ ms \(acquireTimeout\)/);
      expect(error.message, name).toMatch(/a transaction has held for \d+ ms/);
      expect((error.cause as Error).stack, name).toContain('holderOfTheWriter');
    }
    expect(pool.stats().transactions.waiting).toBe(0);
    gate.open();
    await ended;
    await pool.run(INSERT, [2]);
    expect(stored()).toEqual([1, 2]);
  });

  test('may be given for one transaction, and 0 is for ever', async () => {
    const { pool } = await open({ acquireTimeout: 40 });
    const gate = new Gate();
    const { ended } = await holderOfTheWriter(pool, gate);
    const patient = pool.transaction(async () => 'patient', { acquireTimeout: 0 });
    const later = pool.transaction(async () => 'later', { acquireTimeout: 600_000 });
    expect(await outcome(pool.transaction(async () => {}))).toBe('POOL_TIMEOUT');
    expect(await outcome(pool.transaction(async () => {}, { acquireTimeout: 10 }))).toBe(
      'POOL_TIMEOUT',
    );
    gate.open();
    expect(await Promise.all([patient, later])).toEqual(['patient', 'later']);
    await ended;
  });
});

describe('a signal', () => {
  test('aborted before: nothing is started', async () => {
    const { pool } = await fresh();
    let called = false;
    const work = async () => {
      called = true;
    };
    const error = await failure(pool.transaction(work, { signal: AbortSignal.abort('why') }));
    expect(error).toMatchObject({ code: 'POOL_ABORTED', cause: 'why' });
    expect(called).toBe(false);
  });

  test('aborted while it waits: it waits no longer', async () => {
    const { pool, stored } = await fresh();
    const gate = new Gate();
    const { ended } = await holderOfTheWriter(pool, gate);
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = pool.transaction((tx) => tx.run(INSERT, [2]), { signal });
    await turn();
    controller.abort(new Error('why'));
    const error = await failure(waiting);
    expect(error).toMatchObject({ code: 'POOL_ABORTED', cause: new Error('why') });
    expect(pool.stats().transactions.waiting).toBe(0);
    gate.open();
    await ended;
    expect(stored()).toEqual([1]);
  });

  test('aborted while it runs: it is rolled back, whatever its callback does', async () => {
    const { pool, stored } = await fresh();
    const controller = new AbortController();
    let late: Promise<string> | undefined;
    const running = pool.transaction(
      async (tx) => {
        await tx.run(INSERT, [1]);
        controller.abort();
        late = turn(5).then(() => outcome(tx.run(INSERT, [2])));
        await forever();
      },
      { signal: controller.signal },
    );
    expect(await outcome(running)).toBe('POOL_ABORTED');
    expect(await late).toBe('POOL_MISUSE');
    await pool.run(INSERT, [3]);
    expect(stored()).toEqual([3]);
  });

  test('aborted while it runs: a callback that fails later leaves nothing unhandled', async () => {
    const { pool } = await fresh();
    const controller = new AbortController();
    const gate = new Gate();
    const running = pool.transaction(
      async () => {
        controller.abort();
        await gate.opened;
        throw new Error('too late to matter');
      },
      { signal: controller.signal },
    );
    expect(await outcome(running)).toBe('POOL_ABORTED');
    gate.open();
  });

  test('aborted after the end changes nothing', async () => {
    const { pool, stored } = await fresh();
    const controller = new AbortController();
    await pool.transaction((tx) => tx.run(INSERT, [1]), { signal: controller.signal });
    controller.abort();
    await turn(2);
    await pool.run(INSERT, [2]);
    expect(stored()).toEqual([1, 2]);
  });

  test('of one statement ends the wait for it, and the transaction may go on', async () => {
    const { pool, stored } = await fresh();
    await pool.transaction(async (tx) => {
      const controller = new AbortController();
      const slow = tx.get(
        'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 300000) SELECT count(*) FROM c',
        [],
        { signal: controller.signal },
      );
      controller.abort();
      expect(await outcome(slow)).toBe('POOL_ABORTED');
      expect(await outcome(tx.run(INSERT, [1], { timeout: 60_000 }))).toBe('resolved');
    });
    expect(stored()).toEqual([1]);
  });
});

describe('one-shot writes and transactions', () => {
  test('take turns: neither starves the other', async () => {
    const { pool } = await fresh();
    const order: ('transaction' | 'write')[] = [];
    let ids = 0;
    let over = false;
    const loop = async (kind: 'transaction' | 'write', step: (id: number) => Promise<unknown>) => {
      while (!over) {
        await step(ids++);
        order.push(kind);
        over ||= order.length >= 4000;
      }
    };
    const loops = Array.from({ length: 20 }, () => [
      loop('write', (id) => pool.run(INSERT, [id])),
      loop('transaction', (id) => pool.transaction((tx) => tx.run(INSERT, [id]))),
    ]);
    await Promise.all(loops.flat());
    const count = { transaction: 0, write: 0 };
    let longest = 0;
    let run = 0;
    order.forEach((kind, i) => {
      count[kind]++;
      run = kind === order[i - 1] ? run + 1 : 1;
      longest = Math.max(longest, run);
    });
    expect(Math.min(count.transaction, count.write)).toBeGreaterThan(200);
    // One shared series of transactions, or one group, at a time; some room for answers that
    // arrive together.
    expect(longest).toBeLessThanOrEqual(300);
  });

  test('a transaction does not wait for all writes that were issued before it', async () => {
    const { pool } = await fresh();
    let written = 0;
    const writes = Array.from({ length: 20_000 }, (_, a) =>
      pool.run(INSERT, [a]).then(() => {
        written++;
      }),
    );
    await pool.transaction(async (tx) => {
      await tx.get('SELECT 1');
    });
    expect(written).toBeLessThan(10_000);
    await Promise.all(writes);
  });

  test('a write does not wait for all transactions that were issued before it', async () => {
    const { pool } = await fresh();
    let done = 0;
    const transactions = Array.from({ length: 1000 }, (_, a) =>
      pool
        .transaction((tx) => tx.run(INSERT, [a]))
        .then(() => {
          done++;
        }),
    );
    await pool.run(INSERT, [5000]);
    expect(done).toBeLessThan(500);
    await Promise.all(transactions);
  });
});
