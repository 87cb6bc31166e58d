import { join } from 'node:path';
import type { DataSource, QueryRunner } from 'typeorm';
import { describe, expect, test } from 'vitest';
import { Account, account, freshFile, freshSources, names, outcome } from './support/db.ts';

const freshSource = freshSources();

const foreignKeys = async (source: DataSource | QueryRunner) =>
  ((await source.query('PRAGMA foreign_keys')) as [{ foreign_keys: number }])[0].foreign_keys;

async function withRunner(source: DataSource, work: (runner: QueryRunner) => Promise<void>) {
  const runner = source.createQueryRunner();
  try {
    await work(runner);
  } finally {
    await runner.release();
  }
}

describe('a setting made by a query runner', () => {
  test('holds the connection until it is set back', async () => {
    const source = await freshSource();
    await withRunner(source, async (runner) => {
      await runner.query('PRAGMA foreign_keys = OFF');
      expect(await foreignKeys(runner)).toBe(0);
      expect(await outcome(source.query('DELETE FROM account'))).toBe('POOL_DEADLOCK');
      await runner.query('PRAGMA foreign_keys = ON');
      await source.getRepository(Account).save(account('beside'));
    });
    expect(await names(source)).toEqual(['beside']);
  });

  test('is set back when the runner is released, also inside a transaction', async () => {
    const source = await freshSource();
    await withRunner(source, async (runner) => {
      await runner.query('PRAGMA foreign_keys = OFF');
      await runner.startTransaction();
      await runner.manager.save(Account, account('undone'));
    });
    expect(await foreignKeys(source)).toBe(1);
    expect(await names(source)).toEqual([]);
  });

  test('that the connection had already holds nothing', async () => {
    const source = await freshSource();
    await withRunner(source, async (runner) => {
      await runner.query('PRAGMA foreign_keys = ON');
      await source.getRepository(Account).save(account('beside'));
    });
  });
});

describe('a setting made by the data source', () => {
  test('stays, where it concerns the writer alone', async () => {
    const source = await freshSource();
    await source.query('PRAGMA foreign_keys = OFF');
    expect(await foreignKeys(source)).toBe(0);
    await source.query('PRAGMA foreign_keys = ON');
    expect(await foreignKeys(source)).toBe(1);
  });

  const refused: [sql: string, message: RegExp][] = [
    ['PRAGMA case_sensitive_like = ON', /set it in poolite\(\{ pragmas \}\)/],
    ['PRAGMA cache_size = 99', /poolite\(\{ pragmas: \{ cache_size: … \} \}\)/],
    ['PRAGMA busy_timeout = 99', /set the data source's option 'timeout'/],
    ['PRAGMA journal_mode = DELETE', /a pool needs WAL/],
    ['CREATE TEMP TABLE t (a)', /use a query runner of your own/],
    ["ATTACH ':memory:' AS other", /an entity's option 'database'/],
  ];
  test.each(refused)('is refused: %s', async (sql, message) => {
    const source = await freshSource();
    await expect(source.query(sql)).rejects.toThrow(message);
    await source.getRepository(Account).save(account('after'));
    expect(await names(source)).toEqual(['after']);
  });

  test('PRAGMA journal_mode = WAL is what a pool has', async () => {
    const source = await freshSource();
    expect(await source.query('PRAGMA journal_mode = WAL')).toEqual([{ journal_mode: 'wal' }]);
  });
});

test('a temporary table is there for its query runner', async () => {
  const source = await freshSource();
  await withRunner(source, async (runner) => {
    await runner.query('CREATE TEMP TABLE mine (a)');
    await runner.query('INSERT INTO mine VALUES (1)');
    expect(await runner.query('SELECT * FROM mine')).toEqual([{ a: 1 }]);
    await runner.query('DROP TABLE mine');
  });
});

test('what a query runner attached is detached when it is released', async () => {
  const source = await freshSource();
  const other = join(freshFile(), '..', 'other.db');
  for (let round = 0; round < 2; round++) {
    await withRunner(source, async (runner) => {
      await runner.query(`ATTACH '${other}' AS other`);
      await runner.query('CREATE TABLE IF NOT EXISTS other.t (a)');
      await runner.query('INSERT INTO other.t VALUES (1)');
      expect(await runner.query('SELECT count(*) AS n FROM other.t')).toEqual([{ n: round + 1 }]);
    });
  }
  await expect(source.query('SELECT * FROM other.t')).rejects.toThrow(/no such table/);
});
