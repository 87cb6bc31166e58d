import type { Pool, Statements } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { failure, freshFile, openPool } from './support/folder.js';
import { refuseUnhandled, turn } from './support/observer.js';
import { sharedPool } from './support/shared-pool.js';
import { slowPool } from './support/slow.js';

refuseUnhandled();

interface Row {
  i: number;
}

const PATIENT = { readers: 1, busyTimeout: 60_000 } as const;
const freshPool = sharedPool(PATIENT);

/** The numbers from 1. */
const COUNT =
  'WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?) SELECT i FROM c';
const FROM_TABLE = 'SELECT i FROM t ORDER BY i';
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at + 1);

/** A pool with a table of so many rows. */
async function filled(count: number, fresh: Pool | Promise<Pool> = freshPool()): Promise<Pool> {
  const pool = await fresh;
  await pool.exec('CREATE TABLE t (i INTEGER PRIMARY KEY)');
  await pool.runMany(
    'INSERT INTO t VALUES (?)',
    upTo(count).map((i) => [i]),
  );
  return pool;
}

async function numbers(rows: AsyncIterable<Row>): Promise<number[]> {
  const all: number[] = [];
  for await (const { i } of rows) all.push(i);
  return all;
}

/** Whether nobody reads an old state any more: else the WAL cannot be emptied. */
async function isFree(pool: Pool): Promise<boolean> {
  await pool.run('INSERT INTO t DEFAULT VALUES');
  return (await pool.checkpoint('TRUNCATE')).busy === 0;
}

describe('rows come one by one, in their order', () => {
  const SIZES = [1, 2, 255, 256, 257, 1000, 65_536];

  test.each([0, 1, 255, 256, 257, 512, 1000])(
    '%i of them, in chunks of any size',
    async (count) => {
      const pool = await freshPool();
      for (const chunkSize of SIZES) {
        const rows = pool.iterate<Row>(`${COUNT} LIMIT ?`, [count, count], { chunkSize });
        expect(await numbers(rows), `in chunks of ${chunkSize}`).toStrictEqual(upTo(count));
      }
    },
  );

  test('as arrays', async () => {
    const pool = await filled(3);
    const options = { rows: 'array', chunkSize: 2 } as const;
    const rows: unknown[] = [];
    for await (const row of pool.iterate('SELECT i, i AS i FROM t', [], options)) rows.push(row);
    for await (const row of pool.iterate('DELETE FROM t RETURNING i, i', [], options))
      rows.push(row);
    const twice = [1, 2, 3].map((i) => [i, i]);
    expect(rows).toStrictEqual([...twice, ...twice]);
  });

  test('to calls of next that are not awaited', async () => {
    const pool = await freshPool();
    const rows = pool.iterate<Row>(COUNT, [5], { chunkSize: 2 });
    const results = await Promise.all(upTo(8).map(() => rows.next()));
    expect(results.map(({ done, value }) => (done ? 'done' : value?.i))).toStrictEqual([
      ...[1, 2, 3, 4, 5, 'done', 'done', 'done'],
    ]);
  });

  test('in several streams at once', async () => {
    const pool = openPool(freshFile(), { readers: 2 });
    const streams = upTo(20).map((n) =>
      numbers(pool.iterate<Row>(COUNT, [n * 50], { chunkSize: 7 })),
    );
    expect(await Promise.all(streams)).toStrictEqual(upTo(20).map((n) => upTo(n * 50)));
  });

  test.each([0, -1, 1.5, 65_537, Number.NaN, '5'])('not in chunks of %s', async (size) => {
    const pool = await freshPool();
    const options = { chunkSize: size as number };
    expect(() => pool.iterate(COUNT, [1], options)).toThrow(/'chunkSize'.*from 1 to 65536/);
    await pool.transaction(async (tx) => {
      expect(() => tx.iterate(COUNT, [1], options)).toThrow(/'chunkSize'/);
    });
  });
});

test('a slow reader of many rows needs little memory', async () => {
  const pool = openPool(freshFile(), { readers: 1 });
  const last = 600_000;
  const sql = COUNT.replace('SELECT i FROM', "SELECT i, printf('%0300d', i) AS text FROM");
  const used = () => process.memoryUsage().rss / 2 ** 20;
  let before = 0;
  let most = 0;
  let count = 0;
  for await (const { i } of pool.iterate<Row>(sql, [last])) {
    if (i !== ++count) throw new Error(`row ${count} is ${i}`);
    if (count === 20_000) before = used();
    if (count % 10_000 === 0) most = Math.max(most, used());
    if (count % 256 === 0) await turn();
  }
  expect(count).toBe(last);
  // All of them are 180 MB, or twice that on their way.
  expect(most - before).toBeLessThan(150);
});

test('a stream that waits for its reader holds no more than its next chunk', async () => {
  const { pool, hold } = await slowPool();
  const sql = COUNT.replace('SELECT i FROM', 'SELECT i, held() FROM');
  const rows = pool.iterate<Row>(sql, [1000], { chunkSize: 2 });
  expect((await rows.next()).value?.i).toBe(1);
  // The thread has had time for others, and so for more of the stream too.
  await pool.all('SELECT 1');
  await pool.all('SELECT 1');
  // The rows of the chunk that is read, and of the next; one more tells whether that is the last.
  expect(hold.count).toBeLessThanOrEqual(5);
  await rows.return?.();
});

describe('a stream that is left early', () => {
  const LEFT: Record<string, (rows: AsyncIterableIterator<Row>) => Promise<unknown>> = {
    'by break': async (rows) => {
      for await (const { i } of rows) if (i === 3) break;
    },
    'by return from a function': async (rows) => {
      for await (const { i } of rows) if (i === 3) return i;
    },
    'by an error in the loop': async (rows) => {
      const error = new Error('mine');
      const loop = async () => {
        for await (const { i } of rows) if (i === 3) throw error;
      };
      await expect(loop()).rejects.toBe(error);
    },
    'by return()': async (rows) => {
      await rows.next();
      expect(await rows.return?.()).toStrictEqual({ done: true, value: undefined });
    },
    'by return() while it opens': async (rows) => {
      const first = rows.next();
      await rows.return?.();
      expect(await first).toStrictEqual({ done: true, value: undefined });
    },
    'by return() while a chunk is on its way': async (rows) => {
      for (let i = 0; i < 10; i++) await rows.next();
      const next = rows.next();
      await rows.return?.();
      expect(await next).toMatchObject({ done: true });
    },
    'by throw()': async (rows) => {
      await rows.next();
      const error = new Error('mine');
      await expect(rows.throw?.(error)).rejects.toBe(error);
    },
    'by await using': async (rows) => {
      await using stream = rows as typeof rows & AsyncDisposable;
      await stream.next();
    },
    'before it was read': async (rows) => {
      await rows.return?.();
    },
  };

  const freshLeft = sharedPool(PATIENT);

  test.each(Object.entries(LEFT))('%s frees its connection, and is over', async (_, leave) => {
    const pool = await filled(1000, freshLeft());
    const rows = pool.iterate<Row>(FROM_TABLE, [], { chunkSize: 10 });
    await leave(rows);
    expect(await rows.next()).toStrictEqual({ done: true, value: undefined });
    expect(await isFree(pool)).toBe(true);
  });

  test('holds its connection until then', async () => {
    const pool = await filled(1000, openPool(freshFile(), { readers: 1, busyTimeout: 20 }));
    const rows = pool.iterate<Row>(FROM_TABLE, [], { chunkSize: 10 });
    await rows.next();
    expect(await isFree(pool)).toBe(false);
    await rows.return?.();
    await expect.poll(() => isFree(pool)).toBe(true);
  });

  test('or never read needs no connection', async () => {
    const pool = await filled(10, freshLeft());
    for (let i = 0; i < 1000; i++) pool.iterate<Row>(FROM_TABLE);
    expect(await isFree(pool)).toBe(true);
  });

  test('in any of these ways keeps no pool from closing', async () => {
    const pool = await freshLeft();
    // What was left would be waited for.
    await pool.close({ timeout: 600_000 });
  });
});

describe('an error', () => {
  /** Fails at row 1000. */
  const FAILING = COUNT.replace(
    'SELECT i FROM',
    'SELECT CASE i WHEN 1000 THEN abs(-9223372036854775807 - 1) ELSE i END AS i FROM',
  );

  test.each([1, 7, 256, 999, 1000, 5000])(
    'in the middle comes behind the rows before it, in chunks of %i',
    async (chunkSize) => {
      const pool = await filled(1);
      const places: Record<string, (work: (on: Statements) => Promise<void>) => Promise<void>> = {
        pool: (work) => work(pool),
        transaction: (work) => pool.transaction(work),
        snapshot: (work) => pool.snapshot(work),
      };
      for (const [place, run] of Object.entries(places)) {
        await run(async (on) => {
          const rows = on.iterate<Row>(FAILING, [2000], { chunkSize });
          const seen: number[] = [];
          const read = async () => {
            for await (const { i } of rows) seen.push(i);
          };
          const error = await failure(read());
          expect(error, place).toMatchObject({ name: 'SqliteError', message: 'integer overflow' });
          expect([seen.length, seen.at(-1)], place).toStrictEqual([999, 999]);
          expect(await rows.next(), place).toStrictEqual({ done: true, value: undefined });
        });
      }
      expect(await isFree(pool)).toBe(true);
    },
  );

  test.each([
    ['SELECT x FROM t', [], 'no such column: x'],
    ['SELECT * FROM t WHERE i = ?', [], 'Too few parameter values were provided'],
    ['DELETE FROM t', [], 'This statement does not return data. Use run() instead'],
    ['INSERT INTO t VALUES (1) RETURNING i', [], 'UNIQUE constraint failed: t.i'],
  ])('at the first row: %s', async (sql, params, message) => {
    const pool = await filled(3);
    const first = async (on: Statements) => {
      const rows = on.iterate(sql, params);
      expect((await failure(rows.next())).message).toBe(message);
      expect(await rows.next()).toStrictEqual({ done: true, value: undefined });
    };
    await first(pool);
    await pool.transaction(first);
    await using lease = await pool.lease('write');
    await first(lease);
    expect(await pool.get('SELECT count(*) AS n FROM t')).toStrictEqual({ n: 3 });
  });

  test('of the params is thrown before there is a stream', async () => {
    const pool = await filled(1);
    const params = [undefined as unknown as null];
    expect(() => pool.iterate('SELECT ?', params)).toThrow(/Parameter 1 is undefined/);
  });
});

describe('a signal', () => {
  test('that was aborted before', async () => {
    const pool = await filled(1);
    const signal = AbortSignal.abort('reason');
    const rows = pool.iterate(COUNT, [1], { signal });
    const error = await failure(rows.next());
    expect(error).toMatchObject({ code: 'POOL_ABORTED', cause: 'reason' });
    expect(await rows.next()).toStrictEqual({ done: true, value: undefined });
  });

  test('ends the stream between two rows, and frees its connection', async () => {
    const pool = await filled(1000);
    const controller = new AbortController();
    const rows = pool.iterate<Row>(FROM_TABLE, [], { signal: controller.signal });
    await rows.next();
    controller.abort();
    expect(await failure(rows.next())).toMatchObject({ code: 'POOL_ABORTED' });
    expect(await rows.next()).toStrictEqual({ done: true, value: undefined });
    expect(await isFree(pool)).toBe(true);
  });

  test('ends it while its first row is being found', async () => {
    const { pool, hold } = await slowPool();
    hold.close();
    const controller = new AbortController();
    const rows = pool.iterate('SELECT held()', [], { signal: controller.signal });
    const first = failure(rows.next());
    await hold.begun(1);
    controller.abort();
    expect(await first).toMatchObject({ code: 'POOL_ABORTED' });
    hold.open();
  });

  test('says of a write that cannot be stopped in time that nobody knows', async () => {
    const { pool, hold } = await slowPool();
    hold.close();
    const controller = new AbortController();
    const sql = 'INSERT INTO t (who) VALUES (held()) RETURNING id';
    const rows = pool.iterate(sql, [], { signal: controller.signal });
    const first = failure(rows.next());
    await hold.begun(1);
    controller.abort();
    expect(await first).toMatchObject({ code: 'POOL_OUTCOME_UNKNOWN' });
    hold.open();
    // It is interrupted as soon as the function returns, where that can be.
    const { loaded } = pool.stats().hooks;
    expect(await pool.get('SELECT count(*) AS n FROM t')).toStrictEqual({ n: loaded ? 0 : 1 });
  });
});
