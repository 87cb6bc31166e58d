import { type Params, type Pool, PoolError } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { failure, openPool } from './support/folder.js';
import { observe, refuseUnhandled, turn } from './support/observer.js';
import { sharedPool } from './support/shared-pool.js';

refuseUnhandled();

const INSERT = 'INSERT INTO t (a, b) VALUES (?, ?)';
const NAMED = 'INSERT INTO t (a, b) VALUES (:a, :b)';

const freshPool = sharedPool({ readers: 1 });
const SCRIPT = `
    CREATE TABLE t (a INTEGER UNIQUE, b);
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER undo BEFORE INSERT ON t WHEN new.b = 'undo'
      BEGIN SELECT RAISE(ROLLBACK, 'undone'); END;`;

const setsUpTo = (count: number) => Array.from({ length: count }, (_, a): Params => [a, `b${a}`]);

async function count(pool: Pool): Promise<unknown> {
  return (await pool.values('SELECT count(*) FROM t'))[0]?.[0];
}

function* each<T>(values: Iterable<T>): Generator<T> {
  for (const value of values) yield value;
}

async function* later<T>(values: Iterable<T>): AsyncGenerator<T> {
  let i = 0;
  for (const value of values) {
    if (i++ % 1000 === 0) await turn();
    yield value;
  }
}

/** The same sets, as they may come. */
const SOURCES: Record<string, (sets: Params[]) => Iterable<Params> | AsyncIterable<Params>> = {
  'an array': (sets) => sets,
  'a Set': (sets) => new Set(sets),
  'a generator': (sets) => each(sets),
  'an async generator': (sets) => later(sets),
  'a stream': (sets) => new ReadableStream({ start: (to) => fill(to, sets) }) as never,
};

function fill(to: ReadableStreamDefaultController<Params>, sets: Params[]): void {
  for (const set of sets) to.enqueue(set);
  to.close();
}

describe.each(Object.entries(SOURCES))('the sets of %s', (_, source) => {
  test('are all stored, however many', async () => {
    const pool = await freshPool(SCRIPT);
    for (const many of [0, 1, 2047, 2048, 2049, 10_000]) {
      await pool.run('DELETE FROM t');
      const sets = setsUpTo(many);
      expect(await pool.runMany(INSERT, source(sets))).toStrictEqual({ changes: many });
      expect(await pool.values('SELECT a, b FROM t ORDER BY rowid')).toStrictEqual(sets);
    }
  });

  test('leave nothing where one of them fails, wherever', async () => {
    const pool = await freshPool(SCRIPT);
    await pool.run(INSERT, [-1, 'once']);
    for (const at of [0, 1, 2047, 2048, 4999]) {
      const sets = setsUpTo(5000).with(at, [-1, 'twice']);
      const error = await failure(pool.runMany(INSERT, source(sets)));
      expect(error).toMatchObject({
        name: 'SqliteError',
        code: 'SQLITE_CONSTRAINT_UNIQUE',
        message: `parameter set ${at}: UNIQUE constraint failed: t.a`,
        index: at,
      });
      expect(await count(pool)).toBe(1);
    }
    await pool.runMany(INSERT, source(setsUpTo(3)));
    expect(await count(pool)).toBe(4);
  });

  test('leave nothing where one of them is refused, wherever', async () => {
    const pool = await freshPool(SCRIPT);
    for (const at of [0, 2048, 4999]) {
      const sets = setsUpTo(5000).with(at, [1, undefined as never]);
      const error = await failure(pool.runMany(INSERT, source(sets)));
      expect(error).toMatchObject({ code: 'POOL_MISUSE', index: at });
      expect(error.message).toMatch(`parameter set ${at}: Parameter 2 is undefined`);
      expect(await count(pool)).toBe(0);
    }
  });
});

test('100,000 sets are stored in their order', async () => {
  const pool = await freshPool(SCRIPT);
  const sets = setsUpTo(100_000);
  const before = pool.stats().writes.groups;
  expect(await pool.runMany(INSERT, sets)).toStrictEqual({ changes: 100_000 });
  const wrong = "SELECT count(*) AS n FROM t WHERE a <> rowid - 1 OR b <> 'b' || (rowid - 1)";
  expect(await pool.get(wrong)).toStrictEqual({ n: 0 });
  expect(await count(pool)).toBe(100_000);
  expect(pool.stats().writes.groups).toBe(before);
});

describe('what a set may be', () => {
  test('named values, with more than the statement names, in any order', async () => {
    const pool = await freshPool(SCRIPT);
    const sets = setsUpTo(5000).map((_, i) =>
      i % 2 === 0 ? { a: i, b: `b${i}` } : { more: null, b: `b${i}`, a: i },
    );
    expect(await pool.runMany(NAMED, sets)).toStrictEqual({ changes: 5000 });
    expect(await pool.values('SELECT a, b FROM t ORDER BY a')).toStrictEqual(setsUpTo(5000));
  });

  test('named values, one of which is missing somewhere', async () => {
    const pool = await freshPool(SCRIPT);
    const sets: Params[] = [{ a: 1, b: 2 }, { a: 2, b: 2 }, { a: 3 }, { a: 4, b: 2 }];
    const error = await failure(pool.runMany(NAMED, sets));
    expect(error).toMatchObject({ name: 'RangeError', index: 2 });
    expect(error.message).toBe('parameter set 2: Missing named parameter "b"');
    expect(await count(pool)).toBe(0);
  });

  test('one with too few or too many values', async () => {
    const pool = await freshPool(SCRIPT);
    for (const [set, message] of [
      [[1], 'Too few'],
      [[1, 2, 3], 'Too many'],
    ] as const) {
      const error = await failure(pool.runMany(INSERT, [[1, 1], [2, 2], set, [4, 4]]));
      expect(error).toMatchObject({ name: 'RangeError', index: 2 });
      expect(error.message).toBe(`parameter set 2: ${message} parameter values were provided`);
      expect(await count(pool)).toBe(0);
    }
  });

  test('nothing, where the statement asks for nothing', async () => {
    const pool = await freshPool(SCRIPT);
    const sets = [[], {}, undefined as never, []];
    const sql = 'INSERT INTO t DEFAULT VALUES';
    expect(await pool.runMany(sql, sets)).toStrictEqual({ changes: 4 });
    expect(await count(pool)).toBe(4);
  });

  test('of another type in each row', async () => {
    const pool = await freshPool(SCRIPT);
    const kinds = [1, 1.5, -0, 'text', null, Buffer.of(1, 2), 2n ** 40n, Number.NaN, '', 2 ** 31];
    const sets = Array.from({ length: 5000 }, (_, i): Params => [i, kinds[i % 10] ?? null]);
    await pool.runMany(INSERT, sets);
    const stored = (i: number) => {
      const kind = kinds[i % 10];
      return typeof kind === 'bigint' ? Number(kind) : Number.isNaN(kind) ? null : (kind ?? null);
    };
    const expected = sets.map((_, i) => [stored(i)]);
    expect(await pool.values('SELECT b FROM t ORDER BY a')).toStrictEqual(expected);
  });

  test('a blob, a hundred megabytes of them', async () => {
    const pool = await freshPool(SCRIPT);
    function* sets(): Generator<Params> {
      for (let i = 0; i < 1000; i++) yield [i, Buffer.alloc(100_000, i % 251)];
    }
    expect(await pool.runMany(INSERT, sets())).toStrictEqual({ changes: 1000 });
    let i = 0;
    for await (const { b } of pool.iterate<{ b: Buffer }>('SELECT b FROM t ORDER BY a')) {
      if (!b.equals(Buffer.alloc(100_000, i++ % 251))) throw new Error(`blob ${i - 1} differs`);
    }
    expect(i).toBe(1000);
  });
});

describe('any statement that writes', () => {
  test.each([
    [
      'UPDATE t SET b = ? WHERE a >= ?',
      [
        ['x', 0],
        ['y', 5],
      ],
      15,
    ],
    [
      'DELETE FROM t WHERE a = ? OR a = ?',
      [
        [1, 2],
        [2, 3],
        [3, 4],
      ],
      4,
    ],
    [
      'INSERT OR IGNORE INTO t VALUES (?, ?)',
      [
        [1, 1],
        [100, 1],
        [100, 2],
      ],
      1,
    ],
    [
      'REPLACE INTO t VALUES (?, ?)',
      [
        [1, 1],
        [100, 1],
        [100, 2],
      ],
      3,
    ],
    [
      'INSERT INTO t VALUES (?, ?) ON CONFLICT DO UPDATE SET b = 1 RETURNING a',
      [
        [1, 1],
        [50, 1],
      ],
      2,
    ],
    ['WITH c AS (SELECT ? AS x) UPDATE t SET b = (SELECT x FROM c) WHERE a < ?', [[1, 3]], 3],
  ] as const)('%s', async (sql, sets, changes) => {
    const pool = await freshPool(SCRIPT);
    await pool.runMany(INSERT, setsUpTo(10));
    expect(await pool.runMany(sql, sets)).toStrictEqual({ changes });
  });

  test.each([
    [
      'OR ROLLBACK',
      'INSERT OR ROLLBACK INTO t VALUES (?, ?)',
      [2, 'twice'],
      'SQLITE_CONSTRAINT_UNIQUE',
    ],
    ['RAISE(ROLLBACK)', INSERT, [5000, 'undo'], 'SQLITE_CONSTRAINT_TRIGGER'],
    ['OR FAIL', 'INSERT OR FAIL INTO t VALUES (?, ?)', [2, 'twice'], 'SQLITE_CONSTRAINT_UNIQUE'],
  ] as const)('leaves nothing where it fails, with %s', async (_, sql, bad, code) => {
    const pool = await freshPool(SCRIPT);
    const sets = setsUpTo(4000).with(3000, bad);
    const others = [pool.run(INSERT, [-1, 'b']), pool.run(INSERT, [-2, 'b'])];
    expect(await failure(pool.runMany(sql, sets))).toMatchObject({ code, index: 3000 });
    await Promise.all(others);
    expect(await count(pool)).toBe(2);
    expect(await pool.runMany(INSERT, setsUpTo(10))).toStrictEqual({ changes: 10 });
  });

  test('leaves nothing where only its COMMIT is refused', async () => {
    const pool = await freshPool(SCRIPT);
    const error = await failure(pool.runMany('INSERT INTO child VALUES (?)', [[1], [2]]));
    expect(error.code).toBe('SQLITE_CONSTRAINT_FOREIGNKEY');
    expect(error).not.toHaveProperty('index');
    expect(await pool.values('SELECT * FROM child')).toStrictEqual([]);
    expect(await pool.runMany(INSERT, setsUpTo(10))).toStrictEqual({ changes: 10 });
  });

  test.each([
    ['INSERT INTO nowhere VALUES (?)', 'no such table: nowhere'],
    ['INSERT INTO t VALUES (', 'incomplete input'],
  ])('%s fails with SQLite’s own error', async (sql, message) => {
    const pool = await freshPool(SCRIPT);
    const error = await failure(pool.runMany(sql, [[1]]));
    expect(error).toMatchObject({ name: 'SqliteError', code: 'SQLITE_ERROR' });
    expect(error.message).toContain(message);
  });
});

describe('what cannot run so is refused', () => {
  test('a statement', async () => {
    const pool = await freshPool(SCRIPT);
    const others = [
      'SELECT ?',
      'BEGIN',
      'COMMIT',
      'VACUUM',
      'PRAGMA user_version = 1',
      '',
      5,
      null,
    ];
    for (const sql of others) {
      const error = await failure(pool.runMany(sql as string, [[1]]));
      expect.soft(error, String(sql)).toBeInstanceOf(PoolError);
      expect.soft(error.code, String(sql)).toBe('POOL_MISUSE');
    }
  });

  test('sets', async () => {
    const pool = await freshPool(SCRIPT);
    for (const sets of [undefined, null, 5, 'text', {}, () => [], { length: 1, 0: [1, 1] }]) {
      const error = await failure(pool.runMany(INSERT, sets as unknown as Params[]));
      expect.soft(error.code).toBe('POOL_MISUSE');
      expect.soft(error.message).toContain('runMany needs an iterable of parameter sets');
    }
    for (const set of [5, 'text', null, true, new Date(), Symbol('s'), () => []]) {
      const error = await failure(pool.runMany(INSERT, [[1, 1], set as unknown as Params]));
      expect.soft(error).toMatchObject({ code: 'POOL_MISUSE', index: 1 });
    }
    expect(await count(pool)).toBe(0);
  });
});

test('many at once, among other writes, are each stored whole', async () => {
  const pool = await freshPool(SCRIPT);
  const bulks = Array.from({ length: 20 }, (_, n) =>
    pool.runMany(INSERT, later(Array.from({ length: 500 }, (_, i): Params => [n * 1000 + i, n]))),
  );
  const failing = Array.from({ length: 5 }, (_, n) =>
    failure(
      pool.runMany(INSERT, [
        ...setsUpTo(100).map((_, i) => [-1 - n * 1000 - i, 'x']),
        [0, 'twice'],
      ]),
    ),
  );
  const singles = Array.from({ length: 100 }, (_, i) => pool.run(INSERT, [100_000 + i, 'run']));
  const work = pool.transaction((tx) => tx.run(INSERT, [200_000, 'transaction']));
  expect(await Promise.all(bulks)).toStrictEqual(Array(20).fill({ changes: 500 }));
  for (const error of await Promise.all(failing)) expect(error).toMatchObject({ index: 100 });
  await Promise.all([...singles, work]);
  expect(await count(pool)).toBe(20 * 500 + 100 + 1);
});

test('nobody sees a part of it', async () => {
  const pool = await freshPool(SCRIPT);
  const observer = observe(pool).prepare('SELECT count(*) FROM t').pluck();
  const seen = new Set<unknown>();
  async function* sets(): AsyncGenerator<Params> {
    for (let a = 0; a < 20_000; a++) {
      if (a % 1000 === 0) seen.add(observer.get());
      yield [a, 'b'];
    }
  }
  await pool.runMany(INSERT, sets());
  expect([...seen, observer.get()]).toStrictEqual([0, 20_000]);
});

test('on a database in memory', async () => {
  const pool = openPool(':memory:');
  await pool.exec(SCRIPT);
  expect(await pool.runMany(INSERT, setsUpTo(5000))).toStrictEqual({ changes: 5000 });
  expect(
    await failure(
      pool.runMany(INSERT, [
        [-1, 0],
        [1, 0],
      ]),
    ),
  ).toMatchObject({ index: 1 });
  expect(await count(pool)).toBe(5000);
});
