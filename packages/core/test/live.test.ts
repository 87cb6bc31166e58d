import type { Pool, PoolOptions } from '@poolite/core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { OtherConnection } from './support/child.ts';
import { codes, ENDLESS, givenUp, hooked } from './support/endless.ts';
import { failure, freshFile, openPool, outcome } from './support/folder.ts';
import { sharedPool } from './support/shared-pool.ts';

const TABLES = `
  CREATE TABLE t (n INTEGER); CREATE TABLE other (n INTEGER);
  CREATE TABLE w (k PRIMARY KEY) WITHOUT ROWID;
  CREATE VIEW v AS SELECT n * 10 AS n FROM t;
`;

async function tablePool(options: PoolOptions = {}): Promise<Pool> {
  const pool = openPool(freshFile(), { readers: 1, ...options });
  await pool.exec(TABLES);
  return pool;
}

/** A live query that is over with its test, so that the next has the pool idle. */
function live(pool: Pool, ...query: Parameters<Pool['live']>) {
  const rows = pool.live(...query);
  onTestFinished(async () => {
    await rows.return?.();
  });
  return rows;
}

const freshPool = sharedPool({ readers: 1 });

type Rows = AsyncIterator<Record<string, unknown>[], undefined>;

async function nextRows(rows: Rows): Promise<unknown> {
  const { value } = await rows.next();
  return value?.map((row) => row.n);
}

/** Whether it goes on waiting while something else is done. */
async function staysStill(rows: Rows, pool: Pool): Promise<boolean> {
  let isStill = true;
  void rows.next().then(() => {
    isStill = false;
  });
  // What it might read would be read by the same thread, before this.
  for (let i = 0; i < 3; i++) await pool.snapshot((tx) => tx.get('SELECT 1'));
  return isStill;
}

describe.each(['auto', 'off'] as const)('a live query, hooks %s', (hooks) => {
  const freshPool = sharedPool({ readers: 1, hooks });

  test('gives the rows, and again after a commit', async () => {
    const pool = await freshPool(TABLES);
    const rows = live(pool, 'SELECT n FROM t ORDER BY n');
    expect(await nextRows(rows)).toEqual([]);
    await pool.run('INSERT INTO t VALUES (1)');
    expect(await nextRows(rows)).toEqual([1]);
    const waiting = nextRows(rows);
    await pool.transaction((tx) => tx.run('INSERT INTO t VALUES (2)'));
    expect(await waiting).toEqual([1, 2]);
  });

  test('sees the last state, with fewer looks than commits', async () => {
    const pool = await freshPool(TABLES);
    const commits = 400;
    let looks = 0;
    const watching = (async () => {
      for await (const rows of pool.live<{ n: number }>('SELECT count(*) AS n FROM t')) {
        looks++;
        if (rows[0]?.n === commits) return;
      }
    })();
    for (let i = 0; i < commits; i += 4) {
      await Promise.all([1, 2, 3, 4].map((n) => pool.run('INSERT INTO t VALUES (?)', [n])));
    }
    await watching;
    expect(looks).toBeLessThanOrEqual(commits / 4 + 2);
  });

  test('sees what another program commits', async () => {
    const pool = await tablePool({ hooks, changes: { interval: 5 } });
    const other = new OtherConnection(pool.file);
    const rows = pool.live('SELECT n FROM t');
    expect(await nextRows(rows)).toEqual([]);
    const waiting = nextRows(rows);
    await other.exec('INSERT INTO t VALUES (7)');
    expect(await waiting).toEqual([7]);
  });

  test('in memory', async () => {
    const pool = openPool(':memory:', { hooks });
    await pool.exec('CREATE TABLE t (n)');
    const rows = pool.live('SELECT n FROM t');
    expect(await nextRows(rows)).toEqual([]);
    await pool.run('INSERT INTO t VALUES (1)');
    expect(await nextRows(rows)).toEqual([1]);
  });
});

hooked('a live query looks again', () => {
  test.each([
    ['SELECT n FROM v', 'INSERT INTO t VALUES (1)'],
    ['SELECT count(*) AS n FROM t', 'INSERT INTO t VALUES (1)'],
    ['SELECT (SELECT count(*) FROM w) AS n', "INSERT INTO w VALUES ('k')"],
    ['SELECT n FROM t UNION SELECT n FROM other', 'INSERT INTO other VALUES (2)'],
  ])('for %s after %s', async (query, write) => {
    const pool = await freshPool(TABLES);
    const rows = live(pool, query);
    const before = await nextRows(rows);
    await pool.run(write);
    expect(await nextRows(rows)).not.toEqual(before);
  });

  test('not for a table that it does not read', async () => {
    const pool = await tablePool();
    const rows = pool.live('SELECT n FROM v');
    await nextRows(rows);
    await pool.run('INSERT INTO other VALUES (1)');
    expect(await staysStill(rows, pool)).toBe(true);
  });

  test('by the view as it is now', async () => {
    const pool = await freshPool(TABLES);
    const rows = live(pool, 'SELECT n FROM v');
    expect(await nextRows(rows)).toEqual([]);
    await pool.exec('DROP VIEW v; CREATE VIEW v AS SELECT n FROM other');
    expect(await nextRows(rows)).toEqual([]);
    await pool.run('INSERT INTO other VALUES (3)');
    expect(await nextRows(rows)).toEqual([3]);
  });
});

describe('a live query ends', () => {
  test('with break', async () => {
    const pool = await tablePool();
    for await (const rows of pool.live('SELECT n FROM t')) {
      expect(rows).toEqual([]);
      break;
    }
    expect(await outcome(pool.close())).toBe('resolved');
  });

  test('with return, while it waits', async () => {
    const pool = await freshPool(TABLES);
    const rows = live(pool, 'SELECT n FROM t');
    await nextRows(rows);
    const waiting = rows.next();
    await rows.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await rows.next()).toEqual({ done: true, value: undefined });
  });

  test('when the pool is closed', async () => {
    const pool = await tablePool();
    const waits = pool.live('SELECT n FROM t');
    await nextRows(waits);
    const waiting = waits.next();
    const fresh = pool.live('SELECT n FROM t');
    await pool.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await fresh.next()).toEqual({ done: true, value: undefined });
    expect(() => pool.live('SELECT 1')).toThrow('closed');
  });

  test.each(['before it began', 'while it waits'])('by its signal, %s', async (when) => {
    const pool = await freshPool(TABLES);
    const controller = new AbortController();
    const rows = live(pool, 'SELECT n FROM t', [], { signal: controller.signal });
    if (when === 'while it waits') await nextRows(rows);
    const waiting = when === 'while it waits' ? failure(rows.next()) : undefined;
    controller.abort();
    const error = await (waiting ?? failure(rows.next()));
    expect(error.code).toBe('POOL_ABORTED');
    expect(await rows.next()).toEqual({ done: true, value: undefined });
  });

  test('with the error of its query', async () => {
    const pool = await freshPool(TABLES);
    const rows = live(pool, 'SELECT n FROM t');
    await nextRows(rows);
    await pool.exec('DROP TABLE t');
    expect(await outcome(rows.next())).toBe('SQLITE_ERROR');
    expect(await rows.next()).toEqual({ done: true, value: undefined });
    expect(await outcome(pool.live('SELECT * FROM nowhere').next())).toBe('SQLITE_ERROR');
  });

  test('when its file cannot be opened', async () => {
    const pool = openPool(`${freshFile()}/nowhere/test.db`);
    expect(await outcome(pool.live('SELECT 1').next())).toBe('SQLITE_CANTOPEN');
  });
});

hooked('a live query that takes a minute', () => {
  test.each(['signal', 'timeout'] as const)('is stopped by its %s', async (way) => {
    const pool = await tablePool();
    const error = await givenUp(way, (limits) => pool.live(ENDLESS, [], limits).next());
    expect(error.code).toBe(codes[way]);
    expect(await pool.get('SELECT 1 AS n')).toEqual({ n: 1 });
  });
});

test.each(['INSERT INTO t VALUES (1)', 'DELETE FROM t', 'BEGIN'])(
  'a live query must read: %s',
  async (sql) => {
    const pool = await freshPool(TABLES);
    expect(() => pool.live(sql)).toThrow(/live is for a statement that reads/);
  },
);

test('parameters of a live query are those of its call', async () => {
  const pool = await freshPool(TABLES);
  await pool.run('INSERT INTO t VALUES (1), (2)');
  const params = [1];
  const rows = live(pool, 'SELECT n FROM t WHERE n = ?', params);
  params[0] = 2;
  expect(await nextRows(rows)).toEqual([1]);
});
