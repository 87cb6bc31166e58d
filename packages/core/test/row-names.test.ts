import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { sharedPool } from './support/shared-pool.js';
import { EVERY_WAY, WAYS } from './support/ways.js';

const freshPool = sharedPool({ readers: 1 });

/** Column names, in the order that the row has them. */
const NAMES: readonly (readonly [label: string, columns: string, names: readonly string[]])[] = [
  ['twice the same, of which the last counts', '1 AS a, 2 AS b, 3 AS a', ['a', 'b']],
  ['integer-like, which come first', '1 AS b, 2 AS "10", 3 AS "9", 4 AS a', ['9', '10', 'b', 'a']],
  ['nearly integer-like', '1 AS "01", 2 AS "-1", 3 AS "1.0"', ['01', '-1', '1.0']],
  ['empty', '1 AS ""', ['']],
  ['expressions', '1 + 1, count(*)', ['1 + 1', 'count(*)']],
  ['of prototypes', '1 AS constructor, 2 AS toString', ['constructor', 'toString']],
  ['that thenables and arrays have', '1 AS "then", 2 AS length', ['then', 'length']],
  ['with quotes and line ends', `1 AS """", 2 AS "'\n\\"`, ['"', "'\n\\"]],
  ['with line separators', '1 AS "\u2028", 2 AS "\u2029"', ['\u2028', '\u2029']],
  ['beyond ASCII', '1 AS é, 2 AS "😀"', ['é', '😀']],
  ['that look like code', '1 AS "]:w[0]});//", 2 AS "`"', [']:w[0]});//', '`']],
];

test('rows have the names that better-sqlite3 gives them, by every way', async () => {
  const pool = await freshPool();
  const twin = new Database(':memory:');
  for (const [label, columns, names] of NAMES) {
    const expected = twin.prepare(`SELECT ${columns}`).all();
    for (const way of EVERY_WAY) {
      const rows = await WAYS[way](pool, `SELECT ${columns}`);
      expect.soft(Object.keys(rows[0] ?? {}), `${label}, ${way}`).toStrictEqual(names);
      expect.soft(rows, `${label}, ${way}`).toStrictEqual(expected);
    }
  }
  twin.close();
});

test('a column named __proto__ is lost in an object, as in better-sqlite3, and safe in an array', async () => {
  const pool = await freshPool();
  const sql = `SELECT 1 AS a, 'x' AS "__proto__", 2 AS b`;
  for (const way of EVERY_WAY) {
    const [row] = await WAYS[way](pool, sql);
    expect(row, way).toStrictEqual({ a: 1, b: 2 });
    expect(Object.getPrototypeOf(row), way).toBe(Object.prototype);
  }
  for (let i = 0; i < 5; i++) expect(await pool.values(sql)).toStrictEqual([[1, 'x', 2]]);
});

test('2,000 columns', async () => {
  const pool = await freshPool();
  const names = Array.from({ length: 2000 }, (_, i) => `c${i}`);
  const given = (row: number) => names.map((_, i) => (i % 3 === 0 ? `v${i}` : row * i));
  await pool.exec(`CREATE TABLE t (${names.join(', ')})`);
  const insert = `INSERT INTO t VALUES (${names.map(() => '?').join(', ')})`;
  await pool.runMany(insert, [given(1), given(2), given(3)]);
  const named = names.map((name) => `:${name}`).join(', ');
  const params = Object.fromEntries(given(4).map((value, i) => [`c${i}`, value]));
  await pool.run(`INSERT INTO t VALUES (${named})`, params);
  const arrays = [1, 2, 3, 4].map(given);
  const objects = arrays.map((row) => Object.fromEntries(row.map((value, i) => [`c${i}`, value])));
  expect(await pool.values('SELECT * FROM t')).toStrictEqual(arrays);
  expect(await pool.get('SELECT * FROM t')).toStrictEqual(objects[0]);
  for (const way of EVERY_WAY.filter((each) => each !== 'the calling thread')) {
    expect(await WAYS[way](pool, 'SELECT * FROM t'), way).toStrictEqual(objects);
  }
});

describe('when the schema changes between two runs of SELECT *, the names follow', () => {
  const CHANGES: readonly (readonly [label: string, change: string, row: object])[] = [
    ['a new column', 'ALTER TABLE t ADD COLUMN c DEFAULT 3', { a: 1, b: 2, c: 3 }],
    ['a column with a new name', 'ALTER TABLE t RENAME COLUMN a TO z', { z: 1, b: 2 }],
    ['names that change places', exchanged(), { b: 1, a: 2 }],
    ['a column that is gone', 'ALTER TABLE t DROP COLUMN a', { b: 2 }],
    ['another table', 'DROP TABLE t; CREATE TABLE t (x); INSERT INTO t VALUES (9)', { x: 9 }],
  ];

  test.each(CHANGES)('%s, through the pool', async (_, change, row) => {
    const pool = await freshPool();
    await pool.exec('CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2)');
    for (const way of EVERY_WAY) {
      expect(await WAYS[way](pool, 'SELECT * FROM t'), way).toStrictEqual([{ a: 1, b: 2 }]);
    }
    await pool.exec(change);
    for (const way of EVERY_WAY) {
      expect(await WAYS[way](pool, 'SELECT * FROM t'), way).toStrictEqual([row]);
    }
    expect(await pool.values('SELECT * FROM t')).toStrictEqual([Object.values(row)]);
  });

  test.each(CHANGES)('%s, by another connection', async (_, change, row) => {
    const pool = await freshPool();
    await pool.exec('CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2)');
    for (const way of EVERY_WAY) await WAYS[way](pool, 'SELECT * FROM t');
    const other = new Database(pool.file);
    other.exec(change);
    other.close();
    for (const way of EVERY_WAY) {
      expect(await WAYS[way](pool, 'SELECT * FROM t'), way).toStrictEqual([row]);
    }
  });

  test('RETURNING *', async () => {
    const pool = await freshPool();
    await pool.exec('CREATE TABLE t (a)');
    const sql = 'INSERT INTO t (a) VALUES (1) RETURNING *';
    expect(await pool.all(sql)).toStrictEqual([{ a: 1 }]);
    await pool.run('ALTER TABLE t ADD COLUMN b');
    expect(await pool.all(sql)).toStrictEqual([{ a: 1, b: null }]);
    expect(await pool.get(sql)).toStrictEqual({ a: 1, b: null });
  });

  test('a transaction sees its own change', async () => {
    const pool = await freshPool();
    await pool.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    await pool.transaction(async (tx) => {
      expect(await tx.all('SELECT * FROM t')).toStrictEqual([{ a: 1 }]);
      await tx.run('ALTER TABLE t ADD COLUMN b');
      expect(await tx.all('SELECT * FROM t')).toStrictEqual([{ a: 1, b: null }]);
    });
  });
});

/** `a` becomes `b` and `b` becomes `a`: as many names, and the same ones. */
function exchanged(): string {
  return ['a TO x', 'b TO a', 'x TO b']
    .map((names) => `ALTER TABLE t RENAME COLUMN ${names};`)
    .join('');
}

test('EXPLAIN QUERY PLAN tells of an index as soon as it is there, by every way', async () => {
  const pool = await freshPool();
  await pool.exec('CREATE TABLE t (a)');
  const plan = 'EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = 1';
  const ways = EVERY_WAY.filter((each) => each !== 'the calling thread');
  for (const way of ways) {
    expect(await WAYS[way](pool, plan), way).toMatchObject([{ detail: 'SCAN t' }]);
  }
  await pool.run('CREATE INDEX i ON t (a)');
  const search = { detail: 'SEARCH t USING COVERING INDEX i (a=?)' };
  for (const way of ways) expect(await WAYS[way](pool, plan), way).toMatchObject([search]);
  const other = new Database(pool.file);
  other.exec('DROP INDEX i');
  other.close();
  for (const way of ways) {
    expect(await WAYS[way](pool, plan), way).toMatchObject([{ detail: 'SCAN t' }]);
  }
});

test.each([
  'table_info(t)',
  'index_list(t)',
  'index_info(i)',
  'index_xinfo(i)',
  'foreign_key_list(t)',
])('PRAGMA %s tells of what is there now, by every way', async (what) => {
  const pool = await freshPool();
  const sql = `PRAGMA ${what}`;
  const none = async () => {
    for (const way of EVERY_WAY.filter((each) => each !== 'the calling thread')) {
      expect(await WAYS[way](pool, sql), way).toEqual([]);
    }
  };
  await none();
  const other = new Database(pool.file);
  other.exec('CREATE TABLE t (a REFERENCES t (a)); CREATE INDEX i ON t (a)');
  for (const way of EVERY_WAY.filter((each) => each !== 'the calling thread')) {
    expect(await WAYS[way](pool, sql), way).not.toEqual([]);
  }
  other.exec('DROP TABLE t');
  other.close();
  await none();
});
