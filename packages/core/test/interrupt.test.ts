import type { PoolError } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { checkStopped, ENDLESS, ENDLESS_INSERT, endless, hooked } from './support/endless.ts';
import { failure, freshFile, openPool, outcome } from './support/folder.ts';
import { sharedPool } from './support/shared-pool.ts';
import { slowPool } from './support/slow.ts';

const TABLE = 'CREATE TABLE t (n INTEGER)';

hooked('what would take a minute is stopped, and its connection goes on', () => {
  for (const where of ['test.db', ':memory:']) {
    describe(where, () => {
      const freshPool = sharedPool({ readers: 1 }, where);
      // What one is given up by in the file, it is not in memory: the way there is the same.
      for (const [i, [name, call]] of Object.entries(endless).entries()) {
        const way = (i % 2 === 0) === (where === 'test.db') ? 'signal' : 'timeout';
        test(`${name}, by its ${way}`, async () => {
          await checkStopped(way, call, await freshPool(TABLE));
        });
      }

      test('nothing of them keeps the pool from closing', async () => {
        const pool = await freshPool();
        await pool.close();
      });
    });
  }
});

const freshPool = sharedPool({ readers: 1 });
const tablePool = () => freshPool(TABLE);

hooked('a write that is interrupted', () => {
  test('leaves the rest of its group as it is', async () => {
    const pool = await tablePool();
    const controller = new AbortController();
    const writes = [1, 2, 3].map((n) => pool.run('INSERT INTO t VALUES (?)', [n]));
    const stopped = outcome(pool.run(ENDLESS_INSERT, [], { signal: controller.signal }));
    const behind = [4, 5].map((n) => pool.run('INSERT INTO t VALUES (?)', [n]));
    const wrong = outcome(pool.run('INSERT INTO t VALUES (1, 2)'));
    setTimeout(() => controller.abort(), 60);
    expect(await stopped).toBe('POOL_ABORTED');
    await Promise.all([...writes, ...behind]);
    expect(await wrong).toBe('SQLITE_ERROR');
    const rows = await pool.values('SELECT n FROM t ORDER BY n');
    expect(rows.flat()).toEqual([1, 2, 3, 4, 5]);
  });

  test('lets those go on that are given up behind it, and never runs them', async () => {
    const pool = await tablePool();
    const [behind, before] = [new AbortController(), new AbortController()];
    const { signal } = behind;
    const first = outcome(pool.run(ENDLESS_INSERT, [], { signal: before.signal }));
    const given = Array.from({ length: 300 }, (_, n) =>
      outcome(pool.run('INSERT INTO t VALUES (?)', [n], { signal })),
    );
    const kept = pool.run("INSERT INTO t VALUES ('kept')");
    setTimeout(() => behind.abort(), 60);
    expect(new Set(await Promise.all(given))).toEqual(new Set(['POOL_ABORTED']));
    before.abort();
    expect(await first).toBe('POOL_ABORTED');
    await kept;
    expect(await pool.values('SELECT n FROM t')).toEqual([['kept']]);
  });

  test('undoes its transaction, which says so', async () => {
    const pool = await tablePool();
    const error = await failure(
      pool.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (1)');
        expect(await outcome(tx.run(ENDLESS_INSERT, [], { timeout: 60 }))).toBe('POOL_TIMEOUT');
        await tx.run('INSERT INTO t VALUES (2)');
      }),
    );
    expect(error.code).toBe('SQLITE_INTERRUPT');
    expect(error.message).toContain('the transaction was rolled back');
    expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: 0 });
  });

  test('undoes no transaction that ended before it and waits for the same commit', async () => {
    const pool = await tablePool();
    const ended = Array.from({ length: 8 }, (_, n) =>
      pool.transaction((tx) => tx.run('INSERT INTO t VALUES (?)', [n])),
    );
    const stopped = outcome(pool.transaction((tx) => tx.run(ENDLESS_INSERT, [], { timeout: 60 })));
    await Promise.all(ended);
    expect(await stopped).toBe('POOL_TIMEOUT');
    expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: 8 });
  });

  test('is stopped also behind transactions that wait for its commit: they may try again', async () => {
    const pool = await tablePool();
    const others = Array.from({ length: 8 }, (_, n) =>
      outcome(pool.transaction((tx) => tx.run('INSERT INTO t VALUES (?)', [n]))),
    );
    // Its first statement has no limit, so that it may share.
    const stopped = outcome(
      pool.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (100)');
        await tx.run(ENDLESS_INSERT, [], { timeout: 60 });
      }),
    );
    expect(await stopped).toBe('POOL_TIMEOUT');
    const outcomes = await Promise.all(others);
    expect(['resolved', 'POOL_THREAD_LOST']).toEqual(expect.arrayContaining(outcomes));
    const stored = outcomes.filter((each) => each === 'resolved').length;
    expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: stored });
  });

  test('is of unknown outcome where it is a script', async () => {
    const pool = await tablePool();
    const script = `INSERT INTO t VALUES (1); ${ENDLESS_INSERT}`;
    const error = (await failure(pool.exec(script, { timeout: 60 }))) as PoolError;
    expect(error.code).toBe('POOL_OUTCOME_UNKNOWN');
    expect((error.cause as PoolError).code).toBe('POOL_TIMEOUT');
    expect(await pool.values('SELECT n FROM t')).toEqual([[1]]);
  });
});

hooked('a read that is interrupted in a transaction', () => {
  test('leaves the transaction open', async () => {
    const pool = await tablePool();
    await pool.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)');
      expect(await outcome(tx.get(ENDLESS, [], { timeout: 60 }))).toBe('POOL_TIMEOUT');
      await tx.run('INSERT INTO t VALUES (2)');
    });
    expect(await pool.values('SELECT n FROM t')).toEqual([[1], [2]]);
  });
});

hooked('other limits', () => {
  test('statementTimeout stops every statement', async () => {
    const pool = openPool(freshFile(), { readers: 1, statementTimeout: 80 });
    await pool.exec('CREATE TABLE t (n)', { timeout: 0 });
    expect(await outcome(pool.get(ENDLESS))).toBe('POOL_TIMEOUT');
    expect(await outcome(pool.run(ENDLESS_INSERT))).toBe('POOL_TIMEOUT');
    expect(await outcome(pool.transaction((tx) => tx.run(ENDLESS_INSERT)))).toBe('POOL_TIMEOUT');
    expect(await pool.get('SELECT count(*) AS n FROM t', [], { timeout: 0 })).toEqual({ n: 0 });
  });

  test('leaving a stream stops the fetch that is under way', async () => {
    const pool = await tablePool();
    const sql = `SELECT 1 AS n UNION ALL SELECT n FROM (${ENDLESS})`;
    const rows = pool.iterate(sql, [], { chunkSize: 1 });
    await rows.next();
    await rows.return?.();
    expect(await pool.get('SELECT 2 AS n')).toEqual({ n: 2 });
  });

  test('close by force interrupts all that runs', async () => {
    const pool = openPool(freshFile(), { readers: 1 });
    await pool.exec(TABLE);
    const calls = [
      pool.get(ENDLESS),
      pool.run(ENDLESS_INSERT),
      pool.snapshot((tx) => tx.get(ENDLESS)),
      pool.transaction((tx) => tx.get(ENDLESS)),
    ].map(outcome);
    await expect.poll(() => pool.stats().reads.running).toBe(1);
    await pool.close({ force: true });
    const fair = ['POOL_CLOSED', 'POOL_OUTCOME_UNKNOWN'];
    for (const each of await Promise.all(calls)) expect(fair).toContain(each);
  });

  test('a wait for a lock of another connection ends', async () => {
    const pool = await tablePool();
    const other = openPool(pool.file, { readers: 2 });
    let finish = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let begun = () => {};
    const holding = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const holder = other.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)');
      begun();
      await held;
    });
    await holding;
    expect(await outcome(pool.run('INSERT INTO t VALUES (2)', [], { timeout: 50 }))).toBe(
      'POOL_TIMEOUT',
    );
    finish();
    await holder;
    await pool.run('INSERT INTO t VALUES (3)');
    expect(await pool.values('SELECT n FROM t')).toEqual([[1], [3]]);
  });
});

describe('without the extension', () => {
  test('says so, and why', async () => {
    const pool = openPool(freshFile(), { hooks: 'off' });
    await pool.ready();
    expect(pool.stats().hooks).toEqual({
      loaded: false,
      reason: 'switched off by the option hooks',
    });
  });

  test('a thread that goes on with what was given up is replaced, so many and no more', async () => {
    const pool = openPool(freshFile(), { hooks: 'off', readers: 1 });
    await pool.ready();
    const first = outcome(pool.get(ENDLESS, [], { timeout: 30 }));
    expect(await first).toBe('POOL_TIMEOUT');
    // The only reader is stuck for a minute: another answers.
    expect(await pool.get('SELECT 1 AS n')).toEqual({ n: 1 });
    expect(await outcome(pool.get(ENDLESS, [], { timeout: 30 }))).toBe('POOL_TIMEOUT');
    // As many as there are readers: nobody answers now.
    expect(await outcome(pool.get('SELECT 2 AS n', [], { timeout: 500 }))).toBe('POOL_TIMEOUT');
    expect(pool.stats()).toMatchObject({ threadsLost: 0, threadsRetired: 0 });
    const closed = pool.close({ force: true });
    expect(await outcome(closed)).toBe('resolved');
  });

  test('it ends when its statement does', async () => {
    const { pool, hold } = await slowPool({ hooks: 'off' });
    hold.close();
    const controller = new AbortController();
    const first = outcome(pool.get('SELECT held()', [], { signal: controller.signal }));
    await hold.begun(1);
    controller.abort();
    expect(await first).toBe('POOL_ABORTED');
    expect(await pool.get('SELECT 1 AS n')).toEqual({ n: 1 });
    expect(pool.stats().threadsRetired).toBe(0);
    hold.open();
    await expect.poll(() => pool.stats().threadsRetired, { timeout: 90_000 }).toBe(1);
    expect(await pool.get('SELECT 2 AS n')).toEqual({ n: 2 });
    expect(pool.stats()).toMatchObject({ threadsLost: 0, readers: 1 });
  });
});
