import { createPool, type Pool } from '@poolite/core';
import { PooliteDialect, type PooliteDialectConfig } from '@poolite/kysely';
import Database from 'better-sqlite3';
import { CompiledQuery, Kysely, ParseJSONResultsPlugin, sql } from 'kysely';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  account,
  createTables,
  freshFile,
  kyselyOn,
  openPool,
  outcome,
  type Tables,
} from './support/db.ts';

const one = sql<{ n: number }>`SELECT 1 AS n`;

describe('who creates the pool closes it', () => {
  test('a pool that was given stays open', async () => {
    const pool = openPool(freshFile());
    const db = kyselyOn(pool);
    await one.execute(db);
    await db.destroy();
    expect(await pool.get('SELECT 1 AS n')).toEqual({ n: 1 });
  });

  test.each(['a function', 'an async function'])('one that %s made is closed', async (how) => {
    const made: Pool[] = [];
    const make = () => {
      const pool = createPool(freshFile());
      made.push(pool);
      return pool;
    };
    const pool = how === 'a function' ? make : async () => make();
    const dialect = new PooliteDialect({ pool });
    const db = new Kysely<Tables>({ dialect });
    expect(made).toHaveLength(0);
    await one.execute(db);
    await one.execute(db);
    expect(made).toHaveLength(1);
    await db.destroy();
    expect(await outcome((made[0] as Pool).get('SELECT 1'))).toBe('POOL_CLOSED');
  });

  test('one by the path of a database, with options of the pool, is closed', async () => {
    const database = freshFile();
    const dialect = new PooliteDialect({ database, synchronous: 'full', foreignKeys: false });
    const db = new Kysely<Tables>({ dialect });
    expect((await sql`PRAGMA synchronous`.execute(db)).rows).toEqual([{ synchronous: 2 }]);
    expect((await sql`PRAGMA foreign_keys`.execute(db)).rows).toEqual([{ foreign_keys: 0 }]);
    await db.destroy();
    const left = new Database(database);
    onTestFinished(() => void left.close());
    left.pragma('locking_mode = EXCLUSIVE');
    expect(left.prepare('SELECT 1').pluck().get()).toBe(1);
  });
});

describe('a config that cannot work is refused at once', () => {
  const cases: [config: unknown, message: RegExp][] = [
    [undefined, /either 'pool' or 'database'/],
    [{}, /either 'pool' or 'database'/],
    [{ pool: () => openPool(':memory:'), database: ':memory:' }, /either 'pool' or 'database'/],
    [{ database: new Database(':memory:') }, /path of a database file/],
    [{ database: () => new Database(':memory:') }, /path of a database file/],
    [{ pool: {} }, /option 'pool' must be a pool/],
    [{ pool: () => openPool(':memory:'), onCreateConnection: 1 }, /must be a function/],
  ];
  test.each(cases)('%o', (config, message) => {
    expect(() => new PooliteDialect(config as PooliteDialectConfig)).toThrow(message);
  });

  test('options of a pool beside a pool', () => {
    const pool = openPool(':memory:');
    const config = { pool, readers: 2 } as PooliteDialectConfig;
    expect(() => new PooliteDialect(config)).toThrow(/option 'readers' belongs to createPool/);
  });

  test('a factory that gives no pool, with the first query', async () => {
    const pool = (() => ({})) as unknown as () => Pool;
    const db = new Kysely<Tables>({ dialect: new PooliteDialect({ pool }) });
    expect(await outcome(one.execute(db))).toBe('POOL_OPTIONS');
  });

  test('an unknown option of the pool, with the first query', async () => {
    const config = { database: freshFile(), reader: 1 } as PooliteDialectConfig;
    const db = new Kysely<Tables>({ dialect: new PooliteDialect(config) });
    await expect(one.execute(db)).rejects.toThrow(/unknown option 'reader'/);
  });
});

describe('onCreateConnection', () => {
  const opened = (statements: string[]) => {
    let calls = 0;
    const dialect = new PooliteDialect({
      database: freshFile(),
      onCreateConnection: async (connection) => {
        calls++;
        for (const text of statements) await connection.executeQuery(CompiledQuery.raw(text));
      },
    });
    const db = new Kysely<Tables>({ dialect });
    onTestFinished(() => db.destroy());
    return { db, calls: () => calls };
  };

  test('is called once, before the first query, and may prepare the file', async () => {
    const { db, calls } = opened([
      'PRAGMA journal_mode = WAL',
      'CREATE TABLE t (a)',
      'PRAGMA user_version = 7',
    ]);
    await Promise.all([one.execute(db), one.execute(db)]);
    expect((await sql`PRAGMA user_version`.execute(db)).rows).toEqual([{ user_version: 7 }]);
    expect(calls()).toBe(1);
  });

  test.each([
    'PRAGMA case_sensitive_like = ON',
    'PRAGMA foreign_keys = OFF',
    "ATTACH ':memory:' AS other",
    'CREATE TEMP TABLE t (a)',
  ])('is refused %s, which one connection would keep for itself', async (text) => {
    const { db } = opened([text]);
    await expect(one.execute(db)).rejects.toThrow(/cannot set up one connection/);
  });
});

test('plugins see results as on SqliteDialect', async () => {
  const pool = openPool(freshFile());
  const db = kyselyOn(pool, { plugins: [new ParseJSONResultsPlugin()] });
  await createTables(db);
  await db.insertInto('account').values(account('a', 3)).execute();
  const { rows } = await sql`SELECT json_object('a', 1) AS o`.execute(db);
  expect(rows).toEqual([{ o: { a: 1 } }]);
  const [table] = await db.introspection.getTables();
  expect(table?.columns.map(({ name }) => name)).toEqual(['id', 'name', 'cents']);
});

test("an error is better-sqlite3's own, with the stack of its caller", async () => {
  const db = kyselyOn(openPool(freshFile()));
  const error = await sql`SELECT * FROM missing`.execute(db).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(Database.SqliteError);
  expect(error.stack).toContain('dialect.test.ts');
});

test('two Kysely instances on one dialect have drivers of their own', async () => {
  const dialect = new PooliteDialect({ database: freshFile() });
  const [first, second] = [new Kysely<Tables>({ dialect }), new Kysely<Tables>({ dialect })];
  await createTables(first);
  await first.destroy();
  expect((await second.introspection.getTables()).length).toBe(1);
  await second.destroy();
});
