import type { BatchStatement, Params, Pool, Statements } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { failure } from './support/folder.js';
import { sharedPool } from './support/shared-pool.js';
import { EVERY_WAY, WAYS } from './support/ways.js';

const freshPool = sharedPool({ readers: 1 });

const INSERT = 'INSERT INTO t VALUES (?, ?)';
const NAMED = 'INSERT INTO t VALUES (:a, :b)';

/** Calls that write two values, on a pool or on a connection that is held. */
const WRITES: Record<string, (on: Statements, sql: string, params: Params) => Promise<unknown>> = {
  run: (on, sql, params) => on.run(sql, params),
  query: (on, sql, params) => on.query(sql, params),
  'run with a timeout': (on, sql, params) => on.run(sql, params, { timeout: 10_000 }),
  all: (on, sql, params) => on.all(`${sql} RETURNING 1`, params),
  get: (on, sql, params) => on.get(`${sql} RETURNING 1`, params),
  values: (on, sql, params) => on.values(`${sql} RETURNING 1`, params),
  iterate: (on, sql, params) => drained(on.iterate(`${sql} RETURNING 1`, params)),
  'batch or run': (on, sql, params) =>
    'batch' in on ? (on as Pool).batch([{ sql, params }]) : on.run(sql, params),
};

const READS: Record<string, (on: Statements, sql: string, params: Params) => Promise<unknown>> = {
  all: (on, sql, params) => on.all(sql, params),
  get: async (on, sql, params) => [await on.get(sql, params)],
  query: async (on, sql, params) => (await on.query(sql, params)).rows,
  iterate: async (on, sql, params) => [(await on.iterate(sql, params).next()).value],
  'all on the writer': (on, sql, params) => on.all(sql, params, { access: 'write' }),
  'all with a timeout': (on, sql, params) => on.all(sql, params, { timeout: 10_000 }),
};

async function drained(rows: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of rows);
}

describe('what the caller does with its params after the call does not matter', () => {
  const stored = 'SELECT a, b FROM t';
  const expected = [['text', Buffer.from('bytes')]];

  test.each(Object.entries(WRITES))('%s', async (_, write) => {
    const pool = await freshPool();
    await pool.exec('CREATE TABLE t (a, b)');
    for (const named of [false, true]) {
      const call = (on: Statements) => {
        const bytes = Buffer.from('bytes');
        const params = named ? { a: 'text', b: bytes } : ['text', bytes];
        const called = write(on, named ? NAMED : INSERT, params);
        bytes.fill(0);
        Object.assign(params, named ? { a: 'other', b: null } : ['other', null, 'more']);
        return called;
      };
      await call(pool);
      expect(await pool.values(stored)).toStrictEqual(expected);
      await pool.run('DELETE FROM t');
      await pool.transaction(call);
      expect(await pool.values(stored)).toStrictEqual(expected);
      await pool.run('DELETE FROM t');
      // Behind a transaction that is open, it waits long before it is sent.
      let end = () => {};
      const ended = new Promise<void>((resolve) => {
        end = resolve;
      });
      const held = pool.transaction(() => ended);
      const waiting = call(pool);
      end();
      await Promise.all([held, waiting]);
      expect(await pool.values(stored)).toStrictEqual(expected);
      await pool.run('DELETE FROM t');
    }
  });

  test.each(Object.entries(READS))('a read with %s', async (_, read) => {
    const pool = await freshPool();
    const call = (on: Statements) => {
      const bytes = Buffer.from('bytes');
      const params: (string | Uint8Array)[] = ['text', bytes];
      const called = read(on, 'SELECT ? AS a, ? AS b', params);
      bytes.fill(0);
      params[0] = 'other';
      return called;
    };
    const rows = [{ a: 'text', b: Buffer.from('bytes') }];
    // Often enough to have run on the calling thread too.
    for (let i = 0; i < 20; i++) expect(await call(pool)).toStrictEqual(rows);
    expect(await pool.transaction(call)).toStrictEqual(rows);
    expect(await pool.snapshot(call)).toStrictEqual(rows);
    await using lease = await pool.lease('read');
    expect(await call(lease)).toStrictEqual(rows);
  });

  test('a read that waits for a write', async () => {
    const pool = await freshPool();
    await pool.exec('CREATE TABLE t (a, b)');
    const write = pool.run(INSERT, [1, 2]);
    const params = ['text'];
    const read = pool.all('SELECT ? AS a, b FROM t', params);
    params[0] = 'other';
    await write;
    expect(await read).toStrictEqual([{ a: 'text', b: 2 }]);
  });

  test('a batch, statements and all', async () => {
    const pool = await freshPool();
    await pool.exec('CREATE TABLE t (a, b)');
    const params = ['text', Buffer.from('bytes')];
    const statements: BatchStatement[] = [
      { sql: INSERT, params },
      { sql: INSERT, params },
    ];
    const batch = pool.batch(statements);
    params[0] = 'other';
    statements[0] = { sql: 'DROP TABLE t' };
    statements.pop();
    await batch;
    expect(await pool.values(stored)).toStrictEqual([...expected, ...expected]);
  });

  test('a set of runMany that the source uses again', async () => {
    const pool = await freshPool();
    await pool.exec('CREATE TABLE t (a, b)');
    const set: [number, Uint8Array] = [0, new Uint8Array(1)];
    function* sets() {
      for (set[0] = 0; set[0] < 5000; set[0]++) {
        set[1][0] = set[0] % 256;
        yield set;
      }
    }
    await pool.runMany(INSERT, sets());
    const expected = Array.from({ length: 5000 }, (_, i) => [i, Buffer.of(i % 256)]);
    expect(await pool.values(stored)).toStrictEqual(expected);
  });
});

describe('named params', () => {
  const others = {
    undefined: undefined,
    boolean: true,
    date: new Date(),
    function: () => 1,
    symbol: Symbol('s'),
    object: { a: 1 },
    map: new Map(),
    huge: 2n ** 64n,
  } as object;

  test('may hold more than the statement names, of any type, by every way', async () => {
    const pool = await freshPool();
    const params = { a: 1, ...others } as Params;
    for (const way of EVERY_WAY) {
      expect(await WAYS[way](pool, 'SELECT :a AS a', params), way).toStrictEqual([{ a: 1 }]);
    }
    await pool.exec('CREATE TABLE t (a, b)');
    await pool.run(NAMED, { ...params, b: 2 });
    await pool.runMany(NAMED, [{ ...params, b: 2 }]);
    expect(await pool.values('SELECT * FROM t')).toStrictEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  test('in each of SQLite’s styles', async () => {
    const pool = await freshPool();
    const sql = 'SELECT :a AS a, @b AS b, $c AS c, ?4 AS d, :a AS e';
    const params = { a: 1, b: 2, c: 3, 4: 4 };
    expect(await pool.all(sql, params)).toStrictEqual([{ a: 1, b: 2, c: 3, d: 4, e: 1 }]);
  });

  test('named __proto__', async () => {
    const pool = await freshPool();
    const params = JSON.parse('{"__proto__": 5}') as Params;
    for (const way of EVERY_WAY) {
      const rows = await WAYS[way](pool, 'SELECT :__proto__ AS v', params);
      expect(rows, way).toStrictEqual([{ v: 5 }]);
    }
    await pool.exec('CREATE TABLE t (v)');
    await pool.runMany('INSERT INTO t VALUES (:__proto__)', [params, params]);
    expect(await pool.values('SELECT v FROM t')).toStrictEqual([[5], [5]]);
  });
});

describe('what cannot be bound is refused at once', () => {
  const REFUSED: readonly (readonly [params: unknown, message: RegExp])[] = [
    [[undefined, 1], /Parameter 1 is undefined.*pass null for NULL/],
    [[1, true], /Parameter 2 is a boolean.*bind 1 for true/],
    [[1, new Date()], /Parameter 2 is an object of class Date.*toISOString/],
    [[1, {}], /Parameter 2 is an object/],
    [[1, () => 1], /Parameter 2 is a function/],
    [{ a: 1, b: undefined }, /Parameter "b" is undefined.*pass null for NULL/],
    [{ a: Symbol('s'), b: 1 }, /Parameter "a" is a symbol/],
    [5, /The parameters are a number.*\[5\]/],
    ['text', /The parameters are a string.*wrap it in an array/],
    [null, /The parameters are null.*\[null\]/],
    [Buffer.of(1), /The parameters are an object of class Buffer/],
    [new Map(), /The parameters are an object of class Map.*Object.fromEntries/],
  ];

  test.each([
    'run',
    'all',
    'get',
    'values',
    'query',
    'iterate',
    'batch',
    'runMany',
    'transaction',
    'snapshot',
  ] as const)('by %s', async (name) => {
    const pool = await freshPool();
    await pool.exec('CREATE TABLE t (a, b)');
    for (const [given, message] of REFUSED) {
      const params = given as Params;
      const write = Array.isArray(given) ? INSERT : NAMED;
      const read = Array.isArray(given) ? 'SELECT ?, ?' : 'SELECT :a, :b';
      const calls = {
        run: () => pool.run(write, params),
        all: () => pool.all(read, params),
        get: () => pool.get(read, params),
        values: () => pool.values(read, params),
        query: () => pool.query(read, params),
        iterate: async () => drained(pool.iterate(read, params)),
        batch: () =>
          pool.batch([
            { sql: write, params: [1, 2] },
            { sql: write, params },
          ]),
        runMany: () => pool.runMany(write, [[1, 2], params]),
        transaction: () => pool.transaction((tx) => tx.run(write, params)),
        snapshot: () => pool.snapshot((tx) => tx.all(read, params)),
      };
      const error = await failure(calls[name]());
      expect.soft(error.code, error.message).toBe('POOL_MISUSE');
      expect.soft(error.message).toMatch(message);
    }
    expect(await pool.get('SELECT count(*) AS n FROM t')).toStrictEqual({ n: 0 });
  });

  test('and fails alone among the calls of its tick', async () => {
    const pool = await freshPool();
    await pool.exec('CREATE TABLE t (a, b)');
    const symbol = Symbol('s') as unknown as null;
    const calls = [
      ...[pool.run(INSERT, [1, 2]), pool.all('SELECT ? AS a', [1])],
      ...[pool.run(INSERT, [1, symbol]), pool.all('SELECT ? AS a', [symbol])],
      ...[pool.run(INSERT, [3, 4]), pool.all('SELECT ? AS a', [2])],
    ];
    const outcomes = (await Promise.allSettled(calls)).map((each) => each.status);
    expect(outcomes.map((status) => status === 'fulfilled')).toStrictEqual([
      ...[true, true, false, false, true, true],
    ]);
    expect(await pool.values('SELECT * FROM t')).toStrictEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test.each([
    [[], 'RangeError', 'Too few parameter values were provided'],
    [[1, 2, 3], 'RangeError', 'Too many parameter values were provided'],
    [{ a: 1 }, 'RangeError', 'Too few parameter values were provided'],
    [undefined, 'RangeError', 'Too few parameter values were provided'],
  ])(
    'the wrong number of them, %o, is better-sqlite3’s own error',
    async (params, name, message) => {
      const pool = await freshPool();
      for (const way of EVERY_WAY.filter((each) => each !== 'the calling thread')) {
        const error = await failure(WAYS[way](pool, 'SELECT ?, ?', params));
        expect.soft({ name: error.name, message: error.message }, way).toEqual({ name, message });
      }
    },
  );
});
