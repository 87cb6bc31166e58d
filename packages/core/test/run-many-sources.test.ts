import type { Params, Pool } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { failure } from './support/folder.js';
import { refuseUnhandled, turn } from './support/observer.js';
import { sharedSlowPool, slowPool } from './support/slow.js';

refuseUnhandled();

const INSERT = 'INSERT INTO t (id, who) VALUES (?, ?)';
const HELD = 'INSERT INTO t (id, who) VALUES (:id, CASE WHEN :first THEN held() END)';
const ONE = 'INSERT INTO t (id) VALUES (CASE WHEN ? THEN held() END)';
const HELD_BLOB = 'INSERT INTO t (who) SELECT ?2 WHERE NOT ?1 OR held()';
const freshPool = sharedSlowPool();
/** Sets that may be on their way to the thread, or wait to be, while it works. */
const MOST_AHEAD = 20_000;

type Set = (i: number) => Params;

async function count(pool: Pool): Promise<unknown> {
  return (await pool.values('SELECT count(*) FROM t'))[0]?.[0];
}

/** A source that counts what was taken of it, and whether it was closed. */
class Source {
  taken = 0;
  closed = false;

  *sets(total: number, set: Set): Generator<Params> {
    try {
      for (let i = 0; i < total; i++) {
        this.taken++;
        yield set(i);
      }
    } finally {
      this.closed = true;
    }
  }

  async *asyncSets(total: number, set: Set): AsyncGenerator<Params> {
    yield* this.sets(total, set);
  }
}

describe('a source that throws', () => {
  const mine = new Error('mine');

  test.each([0, 1, 5000])(
    'leaves nothing, and its error is heard: after %i sets',
    async (after) => {
      const { pool } = await freshPool();
      function* sets(): Generator<Params> {
        for (let i = 0; i < after; i++) yield [i, 'x'];
        throw mine;
      }
      async function* asyncSets(): AsyncGenerator<Params> {
        yield* sets();
      }
      expect(await failure(pool.runMany(INSERT, sets()))).toBe(mine);
      expect(await failure(pool.runMany(INSERT, asyncSets()))).toBe(mine);
      expect(await count(pool)).toBe(0);
      expect(await pool.runMany(INSERT, [[1, 'x']])).toStrictEqual({ changes: 1 });
    },
  );

  test('when it is asked for its iterator', async () => {
    const { pool } = await freshPool();
    const thrower = () => {
      throw mine;
    };
    const sources = [{ [Symbol.iterator]: thrower }, { [Symbol.asyncIterator]: thrower }];
    for (const source of sources) {
      expect(await failure(pool.runMany(INSERT, source as unknown as Params[]))).toBe(mine);
    }
    expect(await pool.runMany(INSERT, [[1, 'x']])).toStrictEqual({ changes: 1 });
  });
});

describe.each(['sets', 'asyncSets'] as const)('a generator (%s)', (kind) => {
  const total = 1_000_000;

  test('is left soon after a set fails, and closed', async () => {
    const { pool } = await freshPool();
    const source = new Source();
    const sets = source[kind](total, (i) => [i === 100 ? 99 : i, 'x']);
    expect(await failure(pool.runMany(INSERT, sets))).toMatchObject({ index: 100 });
    expect(source.closed).toBe(true);
    expect(source.taken).toBeLessThan(MOST_AHEAD);
    expect(await count(pool)).toBe(0);
  });

  test('is closed where a set is refused', async () => {
    const { pool } = await freshPool();
    const source = new Source();
    const sets = source[kind](total, (i) => [i, i === 100 ? (true as never) : 'x']);
    expect(await failure(pool.runMany(INSERT, sets))).toMatchObject({ index: 100 });
    expect([source.closed, source.taken]).toStrictEqual([true, 101]);
  });

  // The first set holds the thread until all that is read ahead has been.
  const first = (i: number) => (i === 0 ? 1 : 0);
  const SHAPES: readonly (readonly [what: string, most: number, sql: string, Set])[] = [
    ['of one shape', MOST_AHEAD, HELD, (i) => ({ id: i, first: first(i) })],
    ['of blobs', 200, HELD_BLOB, (i) => ({ 1: first(i), 2: Buffer.alloc(100_000) })],
    // They fail, but the thread is held yet.
    ['whose shapes alternate', 20, ONE, (i) => (i % 2 ? [i, i] : [first(i)])],
  ];

  test.each(SHAPES)('%s is not read far ahead of the thread', async (_, most, sql, set) => {
    const { pool, hold } = await freshPool();
    hold.close();
    const source = new Source();
    const controller = new AbortController();
    const { signal } = controller;
    const done = failure(pool.runMany(sql, source[kind](total, set), { signal }));
    while (source.taken < 2) await turn();
    for (let last = -1; last !== source.taken; await turn(50)) last = source.taken;
    expect(source.taken).toBeLessThan(most);
    controller.abort();
    hold.open();
    expect((await done).code).toBe('POOL_ABORTED');
  });
});

test.each(['sets', 'asyncSets'] as const)(
  'half a million sets (%s) need little memory',
  async (kind) => {
    const { pool } = await slowPool();
    // Nothing of them stays in SQLite: what grows is the pool's own.
    await pool.exec(`CREATE VIEW v AS SELECT 1 AS id, 2 AS who;
    CREATE TRIGGER v_i INSTEAD OF INSERT ON v BEGIN SELECT 1; END`);
    const used = () => process.memoryUsage().rss / 2 ** 20;
    const text = 'x'.repeat(300);
    let before = 0;
    let most = 0;
    const sets = new Source()[kind](500_000, (i) => {
      if (i === 50_000) before = used();
      if (i % 10_000 === 0) most = Math.max(most, used());
      return [i, text + i];
    });
    await pool.runMany('INSERT INTO v VALUES (?, ?)', sets);
    // All of them are 150 MB, or twice that on their way.
    expect(most - before).toBeLessThan(120);
  },
);
