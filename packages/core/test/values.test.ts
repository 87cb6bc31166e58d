import { isDeepStrictEqual } from 'node:util';
import type { BindInput, Integers } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { failure, freshFile, openPool } from './support/folder.js';
import { sharedPool } from './support/shared-pool.js';
import { EVERY_WAY, WAYS } from './support/ways.js';

const freshPool = sharedPool({ readers: 1 });
const counting: Record<Integers, ReturnType<typeof sharedPool>> = {
  number: sharedPool({ readers: 1, integers: 'number' }),
  bigint: sharedPool({ readers: 1, integers: 'bigint' }),
  auto: sharedPool({ readers: 1, integers: 'auto' }),
};

const shared = Buffer.from('from a larger buffer');

/** What is bound, and what SQLite gives back for it. */
const ROUND_TRIPS: readonly (readonly [label: string, given: BindInput, back?: unknown])[] = [
  ['NULL', null],
  ['a small integer', 7],
  ['an integer as a float, as better-sqlite3 binds it', 2 ** 31],
  ['minus two to the 31st, less one', -(2 ** 31) - 1],
  ['two to the 53rd', 2 ** 53],
  ['zero', 0],
  ['minus zero', -0],
  ['a float', 0.1],
  ['the smallest float', 5e-324],
  ['infinity', Number.POSITIVE_INFINITY],
  ['minus infinity', Number.NEGATIVE_INFINITY],
  ['NaN, which SQLite has not', Number.NaN, null],
  ['a small bigint', 7n, 7],
  ['a bigint beyond int32', 2n ** 40n, 2 ** 40],
  ['the least bigint, inexactly', -(2n ** 63n), -(2 ** 63)],
  ['an empty string', ''],
  ['a string with a zero byte', 'a\0b'],
  ['an emoji', '👩‍👧'],
  ['a lone surrogate, as UTF-8 has it', 'x\uD800y', 'x\uFFFDy'],
  ['a byte order mark', '\uFEFFx'],
  ['a long string', 'é'.repeat(5000)],
  ['a digit string', '12'],
  ['an empty blob', new Uint8Array(0), Buffer.alloc(0)],
  ['a Uint8Array', Uint8Array.of(0, 255), Buffer.of(0, 255)],
  ['a Buffer', Buffer.of(1, 2, 3)],
  ['a window on a buffer', shared.subarray(7, 13), Buffer.from('larger')],
  ['an ArrayBuffer', Uint8Array.of(9).buffer, Buffer.of(9)],
  ['a Float64Array', Float64Array.of(1), Buffer.from(Float64Array.of(1).buffer)],
  ['a blob that is moved between threads', Buffer.alloc(33_000, 'ab')],
];

test('a value comes back as it went in, by every way', async () => {
  const pool = await freshPool();
  for (const [label, given, back = given] of ROUND_TRIPS) {
    for (const way of EVERY_WAY) {
      const rows = await WAYS[way](pool, 'SELECT ? AS v', [given]);
      expect.soft(rows, `${label}, ${way}`).toStrictEqual([{ v: back }]);
    }
  }
});

test('a value is stored as it was given, by every call that writes', async () => {
  const pool = await freshPool();
  await pool.exec('CREATE TABLE t (v)');
  const insert = 'INSERT INTO t VALUES (?)';
  for (const [label, given, back = given] of ROUND_TRIPS) {
    await pool.run('DELETE FROM t');
    await pool.run(insert, [given]);
    await pool.run('INSERT INTO t VALUES (:v)', { v: given });
    await pool.all(`${insert} RETURNING v`, [given]);
    await pool.batch([{ sql: insert, params: [given] }]);
    await pool.runMany(insert, [[given], [given]]);
    await pool.runMany('INSERT INTO t VALUES (:v)', [{ v: given }]);
    await pool.transaction((tx) => tx.run(insert, [given]));
    expect.soft(await pool.values('SELECT v FROM t'), label).toStrictEqual(Array(8).fill([back]));
  }
});

describe.each<{ integers: Integers; small: unknown; large: unknown }>([
  { integers: 'number', small: 5, large: 2 ** 53 },
  { integers: 'bigint', small: 5n, large: 2n ** 53n + 1n },
  { integers: 'auto', small: 5, large: 2n ** 53n + 1n },
])('with integers: $integers', ({ integers, small, large }) => {
  test('the integers of a row come so, by every way', async () => {
    const pool = await counting[integers]();
    for (const way of EVERY_WAY) {
      const rows = await WAYS[way](pool, 'SELECT 5 AS a, 9007199254740993 AS b, 5.0 AS c');
      expect(rows, way).toStrictEqual([{ a: small, b: large, c: 5 }]);
    }
  });

  test('the integers of many rows come so', async () => {
    const pool = await counting[integers]();
    const sql = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 10000)
      SELECT 5 AS a, CASE WHEN i = 9000 THEN 9007199254740993 ELSE 5 END AS b FROM c`;
    const expected = Array.from({ length: 10_000 }, () => ({ a: small, b: small }));
    expected[8999] = { a: small, b: large };
    expect(await pool.all(sql)).toStrictEqual(expected);
    expect(await pool.all(sql, [], { access: 'write' })).toStrictEqual(expected);
  });

  test('so does the rowid, and the changes are a number', async () => {
    const pool = await counting[integers]();
    await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
    const insert = 'INSERT INTO t VALUES (?)';
    const returning = `${insert} RETURNING id`;
    expect(await pool.run(insert, [5])).toStrictEqual({ changes: 1, lastInsertRowid: small });
    await pool.run('DELETE FROM t');
    const result = { changes: 1, lastInsertRowid: large };
    expect(await pool.run(insert, [2n ** 53n + 1n])).toStrictEqual(result);
    await pool.run('DELETE FROM t');
    const withRows = { rows: [{ id: large }], ...result };
    expect(await pool.query(returning, [2n ** 53n + 1n])).toStrictEqual(withRows);
    await pool.run('DELETE FROM t');
    const batch = [{ sql: returning, params: [2n ** 53n + 1n] }];
    expect(await pool.batch(batch)).toStrictEqual([withRows]);
    await pool.run('DELETE FROM t');
    expect(await pool.runMany(insert, [[1], [2n]])).toStrictEqual({ changes: 2 });
  });
});

test('a bigint beyond 64 bits is better-sqlite3’s own RangeError, by every way', async () => {
  const pool = await freshPool();
  for (const way of EVERY_WAY.filter((each) => each !== 'the calling thread')) {
    const error = await failure(WAYS[way](pool, 'SELECT ? AS big', [2n ** 63n]));
    expect(error, way).toBeInstanceOf(RangeError);
    expect(error.message, way).toBe('The bound string, buffer, or bigint is too big');
  }
});

test.each(['number', 'bigint'] as const)(
  'the first row comes alone, as an array where that is asked for: integers as %s',
  async (integers) => {
    const pool = await counting[integers]();
    // Whoever fetched all the rows of this would never end.
    const sql = `WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n)
                 SELECT i, i AS twin, i AS twin, x'0a' AS b FROM n`;
    const seven = integers === 'bigint' ? 7n : 7;
    const row = [seven, seven, seven, Buffer.of(10)];
    const object = { i: seven, twin: seven, b: Buffer.of(10) };
    const asArray = { rows: 'array' } as const;
    // On a thread, and on the calling thread once it has proved quick.
    for (let round = 0; round < 9; round++) {
      expect(await pool.get<unknown[]>(sql, [7n], asArray)).toStrictEqual(row);
      expect(await pool.get(sql, [7n], { rows: 'object' })).toStrictEqual(object);
    }
    expect(await pool.get(sql, [7n], { ...asArray, access: 'write' })).toStrictEqual(row);
    expect(await pool.get(sql, [7n], { ...asArray, timeout: 60_000 })).toStrictEqual(row);
    expect(await pool.transaction((tx) => tx.get(sql, [7n], asArray))).toStrictEqual(row);
    expect(await pool.snapshot((tx) => tx.get(sql, [7n], asArray))).toStrictEqual(row);
    const wrong = { rows: 'list' } as unknown as typeof asArray;
    expect(await failure(pool.get(sql, [7n], wrong))).toMatchObject({
      code: 'POOL_OPTIONS',
      message: "option 'rows' must be 'object' or 'array', not \"list\"",
    });
  },
);

test('a blob of 100 MB goes in and out', async () => {
  const pool = openPool(freshFile(), { readers: 1 });
  await pool.exec('CREATE TABLE t (v)');
  const words = new Uint32Array(25_000_000);
  for (let at = 0; at < words.length; at++) words[at] = at;
  const blob = Buffer.from(words.buffer);
  await pool.run('INSERT INTO t VALUES (?)', [blob]);
  const sql = 'SELECT v FROM t';
  const rows = [
    await pool.get(sql),
    await pool.get(sql, [], { access: 'write' }),
    (await pool.iterate(sql).next()).value,
  ];
  for (const row of rows) {
    // Not toEqual, which would take seconds over so many bytes.
    expect(blob.equals(row?.v as Buffer)).toBe(true);
  }
});

test('100,000 rows come in their order, whatever is in their columns', async () => {
  const pool = await freshPool();
  const last = 100_000;
  // Each column is of one kind at first, and of another in a late block.
  const sql = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${last})
    SELECT i, i * 0.5 AS half, 'row ' || i AS text,
      CASE i WHEN 70000 THEN 4294967296 ELSE i END AS wide,
      CASE i WHEN 50000 THEN -0.0 ELSE i END AS zero,
      CASE i WHEN 60000 THEN NULL WHEN 60001 THEN 'x' WHEN 60002 THEN x'00ff' ELSE i END AS mixed,
      CASE i % 3 WHEN 0 THEN zeroblob(i % 5) ELSE NULL END AS blob
    FROM c`;
  const mixed = new Map<number, unknown>([
    [60_000, null],
    [60_001, 'x'],
    [60_002, Buffer.of(0, 255)],
  ]);
  const expected = Array.from({ length: last }, (_, at) => {
    const i = at + 1;
    return {
      i,
      half: i * 0.5,
      text: `row ${i}`,
      wide: i === 70_000 ? 2 ** 32 : i,
      zero: i === 50_000 ? -0 : i,
      mixed: mixed.has(i) ? mixed.get(i) : i,
      blob: i % 3 === 0 ? Buffer.alloc(i % 5) : null,
    };
  });
  // Not toStrictEqual, which takes seconds over so many rows.
  expect(isDeepStrictEqual(await pool.all(sql), expected)).toBe(true);
  expect(isDeepStrictEqual(await pool.all(sql, [], { access: 'write' }), expected)).toBe(true);
  const arrays = expected.map((row) => Object.values(row));
  expect(isDeepStrictEqual(await pool.values(sql), arrays)).toBe(true);
});

test('blobs of one result share no memory', async () => {
  const pool = await freshPool();
  const rows = await pool.values<[Buffer, Buffer]>("VALUES (x'01', x'02'), (x'03', x'04')");
  rows[0]?.[0].fill(9);
  expect(rows).toStrictEqual([
    [Buffer.of(9), Buffer.of(2)],
    [Buffer.of(3), Buffer.of(4)],
  ]);
});

test('a large blob arrives whole beside a result of many rows', async () => {
  const pool = openPool(freshFile(), { readers: 1, inlineReads: 'off' });
  await pool.exec('CREATE TABLE t (v); CREATE TABLE n (i)');
  await pool.run('INSERT INTO t VALUES (zeroblob(50000))');
  await pool.runMany(
    'INSERT INTO n VALUES (?)',
    Array.from({ length: 9000 }, (_, i) => [i]),
  );
  const blob = () => pool.get('SELECT v FROM t');
  const many = (limit: number) => pool.all('SELECT i FROM n LIMIT ?', [limit]);
  // Both are known to be quick, so that their answers travel together.
  for (let i = 0; i < 50; i++) await Promise.all([blob(), many(1)]);
  for (let i = 0; i < 10; i++) {
    const [row, rows] = await Promise.all([blob(), many(9000)]);
    expect(row).toStrictEqual({ v: Buffer.alloc(50_000) });
    expect(rows).toHaveLength(9000);
    for (let j = 0; j < 100; j++) await many(1);
  }
});

describe('a statement that gives nothing', () => {
  /** No test's statement has proved quick in another. */
  const none = (test: string) => `SELECT '${test}' AS a WHERE ?`;

  test('is an empty array by every way', async () => {
    const pool = await freshPool();
    const sql = none('every way');
    for (const way of EVERY_WAY) expect(await WAYS[way](pool, sql, [0]), way).toStrictEqual([]);
  });

  test('is undefined for get, and empty for the others', async () => {
    const pool = await freshPool();
    const sql = none('the others');
    // On a thread, and on the calling thread once it has proved quick.
    for (let round = 0; round < 2; round++) {
      expect(await pool.get(sql, [0])).toBeUndefined();
      expect(await pool.values(sql, [0])).toStrictEqual([]);
      const empty = { rows: [], changes: 0, lastInsertRowid: 0 };
      expect(await pool.query(sql, [0])).toStrictEqual(empty);
      await WAYS['the calling thread'](pool, sql, [0]);
    }
  });

  test.each(['object', 'array'] as const)('is undefined for get of an %s', async (rows) => {
    const pool = await freshPool();
    const sql = none(rows);
    for (let round = 0; round < 9; round++) {
      expect(await pool.get(sql, [0], { rows })).toBeUndefined();
    }
    expect(await pool.transaction((tx) => tx.get(sql, [0], { rows }))).toBeUndefined();
    expect(await pool.snapshot((tx) => tx.get(sql, [0], { rows }))).toBeUndefined();
  });

  test('is undefined for get on a connection that is held', async () => {
    const pool = await freshPool();
    const sql = none('held');
    expect(await pool.transaction((tx) => tx.get(sql, [0]))).toBeUndefined();
    expect(await pool.snapshot((tx) => tx.get(sql, [0]))).toBeUndefined();
  });
});
