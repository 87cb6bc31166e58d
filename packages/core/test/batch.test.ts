import { type BatchStatement, type Pool, PoolError } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { failure } from './support/folder.js';
import { observe, refuseUnhandled } from './support/observer.js';
import { sharedPool } from './support/shared-pool.ts';

refuseUnhandled();

const INSERT = 'INSERT INTO t (a, b) VALUES (?, ?)';
const insert = (a: number, b: unknown = 'b'): BatchStatement => ({
  sql: INSERT,
  params: [a, b as string],
});

const OR = (how: string) => `INSERT OR ${how} INTO t (a, b) VALUES (7, 7), (1, 1)`;

const TABLES = `
    CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER UNIQUE CHECK (a < 1000), b NOT NULL);
    CREATE TABLE child (t_id REFERENCES t DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER undo BEFORE INSERT ON t WHEN new.a = 666
      BEGIN SELECT RAISE(ROLLBACK, 'undone'); END;`;

const freshPool = sharedPool({ readers: 1 });
const freshMemory = sharedPool({ readers: 1 }, ':memory:');
const open = () => freshPool(TABLES);

const stored = async (pool: Pool) => (await pool.values('SELECT a FROM t ORDER BY a')).flat();

describe.each(['file', ':memory:'])('on a database in %s', (where) => {
  const start = () => (where === 'file' ? open() : freshMemory(TABLES));

  test('each statement has its own result, in order', async () => {
    const pool = await start();
    const results = await pool.batch([
      insert(1),
      { sql: 'SELECT a, b FROM t' },
      { sql: 'INSERT INTO t (a, b) VALUES (2, ?), (3, ?) RETURNING a', params: ['x', 'y'] },
      { sql: 'SELECT a, b, a FROM t', rows: 'array' },
      { sql: 'UPDATE t SET b = :b WHERE a > 1', params: { b: Buffer.of(7) } },
      { sql: 'SELECT b FROM t WHERE a = 3' },
      { sql: 'CREATE TABLE u (x)' },
      { sql: 'INSERT INTO u SELECT a FROM t WHERE a > ?', params: [100] },
      { sql: 'DELETE FROM t WHERE a = 1 RETURNING *', rows: 'array' },
      { sql: 'SELECT 1 AS none WHERE 0' },
      { sql: 'PRAGMA table_info(u)' },
      { sql: '/* a comment */ WITH c AS (SELECT 9 AS v) SELECT v FROM c' },
    ]);
    const column = { cid: 0, name: 'x', type: '', notnull: 0, dflt_value: null, pk: 0 };
    expect(results).toStrictEqual([
      { rows: [], changes: 1, lastInsertRowid: 1 },
      { rows: [{ a: 1, b: 'b' }], changes: 0, lastInsertRowid: 0 },
      { rows: [{ a: 2 }, { a: 3 }], changes: 2, lastInsertRowid: 3 },
      {
        rows: [1, 2, 3].map((a) => [a, ['b', 'x', 'y'][a - 1], a]),
        changes: 0,
        lastInsertRowid: 0,
      },
      { rows: [], changes: 2, lastInsertRowid: 3 },
      { rows: [{ b: Buffer.of(7) }], changes: 0, lastInsertRowid: 0 },
      { rows: [], changes: 0, lastInsertRowid: 3 },
      { rows: [], changes: 0, lastInsertRowid: 3 },
      { rows: [[1, 1, 'b']], changes: 1, lastInsertRowid: 3 },
      { rows: [], changes: 0, lastInsertRowid: 0 },
      { rows: [column], changes: 0, lastInsertRowid: 0 },
      { rows: [{ v: 9 }], changes: 0, lastInsertRowid: 0 },
    ]);
  });

  test('an empty one does nothing', async () => {
    const pool = await start();
    const { count } = pool.stats().writes;
    expect(await pool.batch([])).toStrictEqual([]);
    expect(pool.stats().writes.count).toBe(count);
  });

  test('5,000 statements take one trip', async () => {
    const pool = await start();
    await pool.exec('CREATE TABLE n (i)');
    const before = pool.stats().writes.groups;
    const one = (i: number) => ({ sql: 'INSERT INTO n VALUES (?)', params: [i] });
    const results = await pool.batch(Array.from({ length: 5000 }, (_, i) => one(i)));
    expect(results.map((each) => each.lastInsertRowid)).toStrictEqual(results.map((_, i) => i + 1));
    expect(pool.stats().writes.groups - before).toBe(1);
  });

  describe('all or nothing, and the index of what failed', () => {
    const FAILING: readonly (readonly [
      what: string,
      statement: BatchStatement,
      code: string | undefined,
      message: RegExp,
    ])[] = [
      ['a value that is there', insert(1), 'SQLITE_CONSTRAINT_UNIQUE', /UNIQUE .* failed: t.a/],
      ['NULL', insert(5, null), 'SQLITE_CONSTRAINT_NOTNULL', /NOT NULL/],
      ['a check', insert(1000), 'SQLITE_CONSTRAINT_CHECK', /CHECK/],
      ['a trigger that rolls back', insert(666), 'SQLITE_CONSTRAINT_TRIGGER', /undone/],
      ['OR ROLLBACK', { sql: OR('ROLLBACK') }, 'SQLITE_CONSTRAINT_UNIQUE', /t.a/],
      ['OR FAIL, half done', { sql: OR('FAIL') }, 'SQLITE_CONSTRAINT_UNIQUE', /t.a/],
      ['no table', { sql: 'INSERT INTO nowhere VALUES (1)' }, 'SQLITE_ERROR', /no such table/],
      ['half a statement', { sql: 'UPDATE t SET' }, 'SQLITE_ERROR', /incomplete input/],
      ['a read', { sql: 'SELECT abs(-9223372036854775808)' }, 'SQLITE_ERROR', /integer overflow/],
      ['too few params', { sql: INSERT, params: [5] }, undefined, /Too few parameter values/],
      ['a huge bigint', { sql: INSERT, params: [2n ** 64n, 5] }, undefined, /too big/],
      ['two statements', { sql: 'SELECT 1; SELECT 2' }, undefined, /more than one statement/],
    ];
    const good = [insert(10), { sql: 'CREATE TABLE made (x)' }, insert(11)];

    test.each(FAILING)('%s', async (_, failing, code, message) => {
      const pool = await start();
      await pool.run(INSERT, [1, 'first']);
      for (const at of [0, 1, 3]) {
        const statements = [...good.slice(0, at), failing, ...good.slice(at)];
        const others = [pool.run(INSERT, [20 + at, 'b']), pool.run(INSERT, [30 + at, 'b'])];
        const error = await failure(pool.batch(statements));
        const { index } = error as { index?: number };
        expect({ code: error.code, index }, `at ${at}`).toEqual({ code, index: at });
        expect(error.message).toMatch(message);
        expect(error.name).toBe(code === undefined ? error.constructor.name : 'SqliteError');
        await Promise.all(others);
      }
      expect(await stored(pool)).toStrictEqual([1, 20, 21, 23, 30, 31, 33]);
      expect(await pool.all('PRAGMA table_info(made)')).toStrictEqual([]);
    });

    test('a foreign key that is only checked at the end', async () => {
      const pool = await start();
      const orphan = { sql: 'INSERT INTO child VALUES (77)' };
      const error = await failure(pool.batch([insert(10), orphan, insert(11)]));
      expect(error.code).toBe('SQLITE_CONSTRAINT_FOREIGNKEY');
      expect(await stored(pool)).toStrictEqual([]);
      await pool.batch([orphan, { sql: 'INSERT INTO t VALUES (77, 77, 77)' }]);
      expect(await stored(pool)).toStrictEqual([77]);
    });
  });
});

test('nobody ever sees a part of it', async () => {
  const pool = await open();
  const observer = observe(pool).prepare('SELECT count(*), total(a) FROM t').raw();
  const pairs = Array.from({ length: 200 }, (_, i) => [insert(i + 1), insert(-i - 1)]);
  let under = pairs.length;
  const batches = pairs.map((pair) => pool.batch(pair).finally(() => under--));
  while (under > 0) {
    const reads = [
      observer.get() as number[],
      await pool.get('SELECT count(*) AS n, total(a) AS a FROM t'),
    ];
    const [[count, sum], row] = reads as [number[], { n: number; a: number }];
    expect([(count as number) % 2, sum, row.n % 2, row.a]).toStrictEqual([0, 0, 0, 0]);
  }
  await Promise.all(batches);
});

describe('what cannot be in a batch is refused whole', () => {
  const REFUSED: readonly (readonly [what: string, statement: unknown, message: RegExp])[] = [
    ['null', null, /it must be { sql, params }/],
    ['a text', 'DELETE FROM t', /it must be { sql, params }/],
    ['no SQL', {}, /a statement must be a string, not undefined/],
    ['SQL that is no text', { sql: 5 }, /a statement must be a string, not number/],
    ['BEGIN', { sql: 'BEGIN' }, /cannot run in a transaction: BEGIN/],
    ['COMMIT', { sql: ' COMMIT' }, /cannot run in a transaction: COMMIT/],
    ['SAVEPOINT', { sql: 'SAVEPOINT x' }, /cannot run in a transaction/],
    ['VACUUM', { sql: 'VACUUM' }, /cannot run in a transaction/],
    ['a setting', { sql: 'PRAGMA foreign_keys = OFF' }, /cannot run in a transaction/],
    ['ATTACH', { sql: "ATTACH ':memory:' AS x" }, /cannot run in a transaction/],
    ['nothing', { sql: '-- nothing' }, /cannot run in a transaction/],
    [
      'undefined in its params',
      { sql: INSERT, params: [2, undefined] },
      /Parameter 2 is undefined/,
    ],
    ['a scalar as params', { sql: INSERT, params: 5 }, /The parameters are a number/],
  ];

  test('for one statement', async () => {
    const pool = await open();
    for (const [what, statement, message] of REFUSED) {
      const error = await failure(pool.batch([insert(1), statement as BatchStatement]));
      expect.soft(error, what).toBeInstanceOf(PoolError);
      expect.soft(error, what).toMatchObject({ code: 'POOL_MISUSE', index: 1 });
      expect.soft(error.message, what).toMatch(/^statement 1 of the batch: /);
      expect.soft(error.message, what).toMatch(message);
    }
    expect(await stored(pool)).toStrictEqual([]);
  });

  test('for what is no array', async () => {
    const pool = await open();
    for (const statements of [undefined, null, 5, 'DELETE FROM t', { sql: 'DELETE FROM t' }]) {
      const error = await failure(pool.batch(statements as unknown as BatchStatement[]));
      expect.soft(error.code).toBe('POOL_MISUSE');
      expect.soft(error.message).toContain('batch needs an array of { sql, params }');
    }
  });
});
