import type { Pool, PoolOptions, Statements } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { failure, freshFile, openPool } from './support/folder.js';
import { refuseUnhandled } from './support/observer.js';
import { sharedPool } from './support/shared-pool.js';
import { slowPool } from './support/slow.js';

refuseUnhandled();

interface Row {
  i: number;
}

const freshPool = sharedPool({ readers: 1 });

const ALL = 'SELECT i FROM t ORDER BY i';
const INSERT = 'INSERT INTO t VALUES (?)';
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at + 1);

/** A pool with a table of a thousand rows. */
async function filled(options?: PoolOptions, file = freshFile()): Promise<Pool> {
  const pool = options === undefined ? await freshPool() : openPool(file, options);
  await pool.exec('CREATE TABLE t (i INTEGER PRIMARY KEY)');
  await pool.runMany(
    INSERT,
    upTo(1000).map((i) => [i]),
  );
  return pool;
}

async function numbers(rows: AsyncIterable<Row>): Promise<number[]> {
  const all: number[] = [];
  for await (const { i } of rows) all.push(i);
  return all;
}

describe('a stream of the pool keeps the state that it began with', () => {
  const WRITES: Record<string, (pool: Pool) => Promise<unknown>> = {
    'rows are inserted': (pool) => pool.run(INSERT, [5000]),
    'rows are deleted': (pool) => pool.run('DELETE FROM t'),
    'a transaction commits': (pool) => pool.transaction((tx) => tx.run('UPDATE t SET i = -i')),
    'the table is dropped': (pool) => pool.exec('DROP TABLE t'),
    'a column is added': (pool) => pool.exec('ALTER TABLE t ADD COLUMN more DEFAULT 1'),
  };

  test.each(Object.entries(WRITES))('while %s', async (_, write) => {
    const pool = await filled();
    const rows = pool.iterate<Row>('SELECT * FROM t ORDER BY i', [], { chunkSize: 10 });
    const seen: unknown[] = [(await rows.next()).value];
    await write(pool);
    for await (const row of rows) seen.push(row);
    expect(seen).toStrictEqual(upTo(1000).map((i) => ({ i })));
  });

  test('while its loop writes a row for each that it reads', async () => {
    const pool = await filled();
    for await (const { i } of pool.iterate<Row>(ALL, [], { chunkSize: 10 })) {
      await pool.run(INSERT, [i + 1000]);
    }
    expect(await numbers(pool.iterate<Row>(ALL))).toStrictEqual(upTo(2000));
  });

  test('and begins with the writes that were issued before it', async () => {
    const pool = await filled();
    const write = pool.run('DELETE FROM t WHERE i > 1');
    expect(await numbers(pool.iterate<Row>(ALL))).toStrictEqual([1]);
    await write;
  });
});

describe('a statement that writes', () => {
  test('gives its rows, and is stored when the first is there', async () => {
    const pool = await filled();
    const rows = pool.iterate<Row>('UPDATE t SET i = i + 1000 RETURNING i', [], { chunkSize: 10 });
    expect((await rows.next()).value).toStrictEqual({ i: 1001 });
    expect(await pool.get('SELECT min(i) AS i FROM t')).toStrictEqual({ i: 1001 });
    const rest = await numbers(rows);
    expect(rest).toStrictEqual(upTo(999).map((i) => i + 1001));
  });

  test('is stored whole where its stream is left early', async () => {
    const pool = await filled();
    for await (const row of pool.iterate<Row>('DELETE FROM t WHERE i > 10 RETURNING i')) {
      expect(row.i).toBe(11);
      break;
    }
    expect(await numbers(pool.iterate<Row>(ALL))).toStrictEqual(upTo(10));
  });

  test('does nothing where its stream is not read', async () => {
    const pool = await filled();
    pool.iterate('DELETE FROM t RETURNING i');
    expect(await pool.get('SELECT count(*) AS n FROM t')).toStrictEqual({ n: 1000 });
  });
});

describe('in a transaction', () => {
  test('a stream sees what the transaction did, and not what its loop does', async () => {
    const pool = await filled();
    await pool.transaction(async (tx) => {
      await tx.run('DELETE FROM t WHERE i > 900');
      const seen: number[] = [];
      for await (const { i } of tx.iterate<Row>(ALL, [], { chunkSize: 10 })) {
        seen.push(i);
        await tx.run(INSERT, [i + 1000]);
        if (i % 100 === 0) await tx.run('DELETE FROM t WHERE i > 500 AND i <= 900');
      }
      expect(seen).toStrictEqual(upTo(900));
    });
    const expected = [...upTo(500), ...upTo(900).map((i) => i + 1000)];
    expect(await numbers(pool.iterate<Row>(ALL))).toStrictEqual(expected);
  });

  test('two streams are read side by side', async () => {
    const pool = await filled();
    await pool.transaction(async (tx) => {
      const one = tx.iterate<Row>(ALL, [], { chunkSize: 3 });
      const other = tx.iterate<Row>('SELECT i FROM t ORDER BY -i', [], { chunkSize: 5 });
      for (let i = 1; i <= 1000; i++) {
        expect((await one.next()).value).toStrictEqual({ i });
        expect((await other.next()).value).toStrictEqual({ i: 1001 - i });
      }
      expect([(await one.next()).done, (await other.next()).done]).toStrictEqual([true, true]);
    });
  });

  test('a stream survives a savepoint that is rolled back', async () => {
    const pool = await filled();
    await pool.transaction(async (tx) => {
      const rows = tx.iterate<Row>(ALL, [], { chunkSize: 10 });
      await rows.next();
      const undone = tx.savepoint(async (inner) => {
        await inner.run('DELETE FROM t');
        throw new Error('mine');
      });
      expect((await failure(undone)).message).toBe('mine');
      expect(await numbers(rows)).toStrictEqual(upTo(1000).slice(1));
    });
  });

  test.each([
    ['commits', (work: Promise<unknown>) => work],
    ['rolls back', (work: Promise<unknown>) => failure(work)],
  ])('a stream that is left half read disturbs nobody when it %s', async (how, ended) => {
    const pool = await filled();
    const work = pool.transaction(async (tx) => {
      for await (const { i } of tx.iterate<Row>(ALL, [], { chunkSize: 10 })) if (i === 3) break;
      await tx.iterate<Row>(ALL, [], { chunkSize: 10 }).next();
      await tx.run(INSERT, [1001]);
      if (how === 'rolls back') throw new Error('mine');
    });
    await ended(work);
    await pool.run(INSERT, [2000]);
    const { n } = (await pool.get<{ n: number }>('SELECT count(*) AS n FROM t')) ?? { n: 0 };
    expect(n).toBe(how === 'commits' ? 1002 : 1001);
  });

  test('a stream cannot begin after its end, nor go on', async () => {
    const pool = await filled();
    const { begun, unread } = await pool.transaction(async (tx) => {
      const begun = tx.iterate<Row>(ALL, [], { chunkSize: 10 });
      await begun.next();
      return { begun, unread: tx.iterate<Row>(ALL) };
    });
    expect(await failure(unread.next())).toMatchObject({ code: 'POOL_MISUSE' });
    expect(await failure(numbers(begun))).toMatchObject({ code: 'POOL_MISUSE' });
  });

  test('a stream of a savepoint goes no further than the savepoint', async () => {
    const pool = await filled();
    await pool.transaction(async (tx) => {
      const begun = await tx.savepoint(async (inner) => {
        const rows = inner.iterate<Row>(ALL, [], { chunkSize: 10 });
        await rows.next();
        return { rows };
      });
      expect(await failure(numbers(begun.rows))).toMatchObject({ code: 'POOL_MISUSE' });
      expect(await numbers(tx.iterate<Row>(ALL))).toStrictEqual(upTo(1000));
    });
  });

  test('the streams of two transactions never mix', async () => {
    const pool = await filled();
    const left: AsyncIterableIterator<Row>[] = [];
    const begin = async (tx: Statements) => {
      left.push(tx.iterate<Row>('SELECT -i AS i FROM t', [], { chunkSize: 10 }));
      await left.at(-1)?.next();
    };
    await pool.transaction(begin);
    await pool.transaction(begin);
    await pool.transaction(async (tx) => {
      const rows = tx.iterate<Row>(ALL, [], { chunkSize: 10 });
      const seen = [(await rows.next()).value?.i];
      // One is left, the other read on, while this one has the writer.
      await left[0]?.return?.();
      await failure(numbers(left[1] as AsyncIterableIterator<Row>));
      for await (const { i } of rows) seen.push(i);
      expect(seen).toStrictEqual(upTo(1000));
    });
  });
});

describe('in a snapshot', () => {
  test('a stream sees its state', async () => {
    const pool = await filled();
    await pool.snapshot(async (tx) => {
      expect(await tx.get('SELECT count(*) AS n FROM t')).toStrictEqual({ n: 1000 });
      await pool.run('DELETE FROM t');
      const rows = tx.iterate<Row>(ALL, [], { chunkSize: 10 });
      expect((await rows.next()).value).toStrictEqual({ i: 1 });
      // Another statement on the same connection, while the stream is read.
      expect(await tx.get('SELECT max(i) AS i FROM t')).toStrictEqual({ i: 1000 });
      expect(await numbers(rows)).toStrictEqual(upTo(1000).slice(1));
    });
  });
});

describe.each(['read', 'write'] as const)('on a %s lease', (access) => {
  test('a stream is read while other statements run', async () => {
    const pool = await filled();
    await using lease = await pool.lease(access);
    for await (const { i } of lease.iterate<Row>(ALL, [], { chunkSize: 100 })) {
      if (i % 100 === 0) expect(await lease.get('SELECT ? AS i', [i])).toStrictEqual({ i });
    }
  });

  test('that is released, a half read stream disturbs nobody', async () => {
    const pool = await filled({ readers: 1, busyTimeout: 60_000 });
    const lease = await pool.lease(access);
    const rows = lease.iterate<Row>(ALL, [], { chunkSize: 10 });
    await rows.next();
    await lease.release();
    await Promise.all([pool.run(INSERT, [1001]), pool.run(INSERT, [1002])]);
    await pool.transaction((tx) => tx.run(INSERT, [1003]));
    await pool.runMany(INSERT, [[1004], [1005]]);
    await pool.exec('DELETE FROM t WHERE i > 1004');
    expect((await pool.checkpoint('TRUNCATE')).busy).toBe(0);
    expect(await pool.get('SELECT max(i) AS i FROM t')).toStrictEqual({ i: 1004 });
    // What it has read already it may give; the rest is gone with its connection.
    expect(await failure(numbers(rows))).toMatchObject({ code: 'POOL_MISUSE' });
  });
});

describe.each(['', ':memory:'])('on a database in memory, %j', (file) => {
  test('a stream gives its rows, whatever is written meanwhile', async () => {
    const pool = await filled({}, file);
    const seen: number[] = [];
    for await (const { i } of pool.iterate<Row>(ALL, [], { chunkSize: 10 })) {
      seen.push(i);
      await pool.run(INSERT, [i + 1000]);
    }
    expect(seen).toStrictEqual(upTo(1000));
    expect(await pool.get('SELECT count(*) AS n FROM t')).toStrictEqual({ n: 2000 });
  });

  test('so it does in a transaction, a snapshot, a lease, and as arrays', async () => {
    const pool = await filled({}, file);
    const all = upTo(1000);
    const options = { chunkSize: 10 };
    expect(await pool.transaction((tx) => numbers(tx.iterate(ALL, [], options)))).toEqual(all);
    expect(await pool.snapshot((tx) => numbers(tx.iterate(ALL, [], options)))).toEqual(all);
    {
      await using lease = await pool.lease('read');
      expect(await numbers(lease.iterate(ALL, [], options))).toEqual(all);
    }
    expect((await pool.iterate(ALL, [], { rows: 'array' }).next()).value).toStrictEqual([1]);
  });

  test('a stream that is left early leaves the connection to others', async () => {
    const pool = await filled({}, file);
    for await (const { i } of pool.iterate<Row>(ALL, [], { chunkSize: 10 })) if (i === 3) break;
    await pool.iterate<Row>(ALL, [], { chunkSize: 10 }).next();
    await pool.exec('DROP TABLE t');
    await pool.close();
  });

  test('a read that is aborted has stored nothing, and says so', async () => {
    const { setup, hold } = await slowPool();
    const pool = await filled({ setup }, file);
    hold.close();
    const controller = new AbortController();
    const options = { signal: controller.signal };
    const sql = 'SELECT held()';
    const calls = [pool.all(sql, [], options), pool.iterate(sql, [], options).next()];
    const errors = calls.map((call) => failure(call));
    await hold.begun(1);
    controller.abort();
    for (const error of errors) expect(await error).toMatchObject({ code: 'POOL_ABORTED' });
    hold.open();
  });
});
