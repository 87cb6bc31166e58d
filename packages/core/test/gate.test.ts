import {
  createPool,
  type Pool,
  PoolError,
  type PoolOptions,
  type ReplicaHost,
} from '@poolite/core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freshFile } from './support/folder.ts';

/** A promise, and what resolves it. */
function later(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** What the gate says, the newest last. */
type Told = { type: string; written?: string[]; conflict?: boolean; message?: unknown };
type Verdict = 'commit' | 'again' | 'conflict';

class FakeStore {
  readonly poolite = 'store';
  readonly where = 'nowhere';
  readonly told: Told[] = [];
  /** What the next proposals hear; then they are committed. */
  readonly verdicts: (Verdict | Error)[] = [];
  /** Set where proposals wait for it. */
  hold: Promise<void> | undefined;
  proposed: (() => void) | undefined;
  host!: ReplicaHost;
  refreshed = 0;

  replica(host: ReplicaHost) {
    this.host = host;
    return {
      gate: {
        module: new URL('./support/recording-gate.mjs', import.meta.url).href,
        data: undefined,
      },
      prepare: () => Promise.resolve(),
      start: () => {},
      stop: () => {},
      close: () => Promise.resolve(),
      refresh: async () => {
        this.refreshed++;
      },
      stats: () => ({
        position: 0,
        committed: 0,
        applied: 0,
        conflicts: 0,
        seenAt: 0,
        error: undefined,
      }),
      answer: async (question: unknown) => {
        const told = question as Told;
        this.told.push(told);
        if (told.type !== 'propose') return undefined;
        this.proposed?.();
        await this.hold;
        const verdict = this.verdicts.shift() ?? 'commit';
        if (verdict instanceof Error) throw verdict;
        return verdict;
      },
    };
  }

  get proposals(): string[][] {
    return this.told.flatMap(({ type, written }) => (type === 'propose' ? [written ?? []] : []));
  }
}

async function gated(options: PoolOptions = {}): Promise<{ pool: Pool; store: FakeStore }> {
  const store = new FakeStore();
  const pool = createPool(freshFile('app.db'), {
    ...{ driver: 'node:sqlite', store, readers: 1, ...options },
  });
  onTestFinished(() => pool.close({ force: true }));
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)');
  store.told.length = 0;
  return { pool, store };
}

const count = async (pool: Pool) =>
  (await pool.get<{ n: number }>('SELECT count(*) AS n FROM t'))?.n;
const insert = (pool: Pool, name: string) => pool.run('INSERT INTO t (name) VALUES (?)', [name]);
const conflict = expect.objectContaining({ code: 'POOL_CONFLICT', retryable: true });

test('writes that are committed together are one proposal, and nobody is answered before', async () => {
  // The count would wait for the writes.
  const { pool, store } = await gated({ readYourWrites: false });
  const { promise, resolve } = later();
  store.hold = promise;
  let answered = 0;
  const writes = Array.from({ length: 20 }, (_, i) => insert(pool, `${i}`).then(() => answered++));
  await new Promise<void>((proposed) => {
    store.proposed = proposed;
  });
  expect([answered, await count(pool)]).toEqual([0, 0]);
  resolve();
  await Promise.all(writes);
  expect(store.proposals.flat()).toHaveLength(20);
  expect(store.proposals.length).toBeLessThanOrEqual(2);
  expect(await count(pool)).toBe(20);
});

test('a single write asks as well, and one that only reads does not', async () => {
  const { pool, store } = await gated();
  await insert(pool, 'a');
  await pool.all('SELECT * FROM t');
  expect(store.proposals).toEqual([['INSERT INTO t (name) VALUES (?)']]);
});

test('statements run again where others were first, and their callers do not notice', async () => {
  const { pool, store } = await gated();
  store.verdicts.push('again', 'again');
  const results = await Promise.all(['a', 'b', 'c'].map((name) => insert(pool, name)));
  expect(results.map(({ changes }) => changes)).toEqual([1, 1, 1]);
  expect(await count(pool)).toBe(3);
  expect(store.told.filter(({ conflict }) => conflict)).toHaveLength(2);
});

test('where they must not run again, every caller hears POOL_CONFLICT and nothing is stored', async () => {
  const { pool, store } = await gated();
  store.verdicts.push('conflict');
  const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((name) => insert(pool, name)));
  expect(outcomes).toEqual(outcomes.map(() => ({ status: 'rejected', reason: conflict })));
  expect(await count(pool)).toBe(0);
  await insert(pool, 'd');
  expect(await count(pool)).toBe(1);
});

test('what the store throws is what callers hear, with its code', async () => {
  const { pool, store } = await gated();
  store.verdicts.push(new PoolError('POOL_OUTCOME_UNKNOWN', 'the bucket did not answer'));
  await expect(insert(pool, 'a')).rejects.toMatchObject({
    ...{ code: 'POOL_OUTCOME_UNKNOWN', message: 'the bucket did not answer', retryable: false },
  });
  expect(await count(pool)).toBe(0);
});

test('a statement that the gate refuses fails alone', async () => {
  const { pool, store } = await gated();
  const outcomes = await Promise.allSettled([
    insert(pool, 'a'),
    pool.run("INSERT INTO t (name) VALUES ('forbidden')"),
    insert(pool, 'b'),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(outcomes[1]).toMatchObject({ reason: { code: 'POOL_MISUSE' } });
  expect(store.proposals.flat()).toHaveLength(2);
});

describe('a transaction', () => {
  const add = (pool: Pool, tries: number[], retries?: number) =>
    pool.transaction(
      async (tx) => {
        tries.push((await tx.get<{ n: number }>('SELECT count(*) AS n FROM t'))?.n ?? -1);
        await tx.run("INSERT INTO t (name) VALUES ('x')");
        return tries.length;
      },
      retries === undefined ? {} : { retries },
    );

  test('runs its callback again, on the state of then', async () => {
    const { pool, store } = await gated();
    store.verdicts.push('again', 'conflict');
    const tries: number[] = [];
    expect(await add(pool, tries)).toBe(3);
    expect(tries).toEqual([0, 0, 0]);
    expect(await count(pool)).toBe(1);
  });

  test.each([
    ['the option retries of the pool', { retries: 2 }, undefined, 3],
    ['its own', { retries: 5 }, 1, 2],
    ['none', {}, 0, 1],
  ])('runs it no more often than %s says', async (_what, options, own, runs) => {
    const { pool, store } = await gated(options);
    for (let i = 0; i < 20; i++) store.verdicts.push('conflict');
    const tries: number[] = [];
    await expect(add(pool, tries, own)).rejects.toEqual(conflict);
    expect(tries).toHaveLength(runs);
    expect(await count(pool)).toBe(0);
  });

  test('shares its proposal with others, and all of them run again', async () => {
    const { pool, store } = await gated();
    store.verdicts.push('conflict');
    const all = Array.from({ length: 16 }, () => add(pool, []));
    await Promise.all(all);
    expect(await count(pool)).toBe(16);
    expect(store.proposals.length).toBeLessThan(18);
  });

  test('tells of its savepoints, its own and those of statements', async () => {
    const { pool, store } = await gated();
    await pool.transaction(async (tx) => {
      await tx.run("INSERT INTO t (name) VALUES ('kept')");
      await expect(
        tx.savepoint(async (inner) => {
          await inner.run("INSERT INTO t (name) VALUES ('dropped')");
          throw new Error('enough');
        }),
      ).rejects.toThrow('enough');
    });
    expect(await count(pool)).toBe(1);
    expect(store.proposals).toHaveLength(1);
  });
});

test('on a lease a conflict reaches whoever commits, and a statement alone runs again', async () => {
  const { pool, store } = await gated();
  const lease = await pool.lease('write');
  await lease.run('BEGIN');
  await lease.run("INSERT INTO t (name) VALUES ('a')");
  store.verdicts.push('again');
  await expect(lease.run('COMMIT')).rejects.toEqual(conflict);
  store.verdicts.push('again');
  await lease.run("INSERT INTO t (name) VALUES ('b')");
  await lease.release();
  expect(await pool.all('SELECT name FROM t')).toEqual([{ name: 'b' }]);
});

test('a batch is whole, however often it runs', async () => {
  const { pool, store } = await gated();
  store.verdicts.push('again');
  const sql = 'INSERT INTO t (id, name) VALUES (?, ?)';
  await pool.batch([
    { sql, params: [1, 'a'] },
    { sql, params: [2, 'b'] },
  ]);
  await expect(
    pool.batch([
      { sql, params: [3, 'c'] },
      { sql, params: [1, 'again'] },
    ]),
  ).rejects.toMatchObject({ code: 'SQLITE_CONSTRAINT_PRIMARYKEY' });
  expect(await count(pool)).toBe(2);
});

test('runMany runs an array again, and tells of a conflict where its sets came from a generator', async () => {
  const { pool, store } = await gated();
  const sql = 'INSERT INTO t (name) VALUES (?)';
  store.verdicts.push('again');
  expect(await pool.runMany(sql, [['a'], ['b']])).toEqual({ changes: 2 });
  store.verdicts.push('again');
  const sets = (function* () {
    yield ['c'];
  })();
  await expect(pool.runMany(sql, sets)).rejects.toEqual(conflict);
  expect(await count(pool)).toBe(2);
});

test('a script is one proposal for neighbours, and settings run between', async () => {
  const { pool, store } = await gated();
  store.verdicts.push('again');
  await pool.exec(`
    CREATE TABLE a (id INTEGER PRIMARY KEY); -- a comment; with a semicolon
    CREATE TRIGGER tr AFTER INSERT ON a BEGIN INSERT INTO t (name) VALUES ('tr'); END;
    PRAGMA foreign_keys = OFF;
    INSERT INTO a VALUES (1);
  `);
  expect(store.proposals.map((written) => written.map((sql) => sql.slice(0, 14)))).toEqual([
    ['CREATE TABLE a', 'CREATE TRIGGER'],
    ['CREATE TABLE a', 'CREATE TRIGGER'],
    ['INSERT INTO a '],
  ]);
  await expect(pool.exec('BEGIN; DELETE FROM t; COMMIT')).rejects.toMatchObject({
    ...{ code: 'POOL_MISUSE', message: expect.stringContaining('pool.transaction()') },
  });
  expect(await count(pool)).toBe(1);
});

test('a message reaches the gate in a turn of its own, and a failure comes back', async () => {
  const { pool, store } = await gated();
  const { promise, resolve } = later();
  const open = pool.transaction(async (tx) => {
    await tx.run("INSERT INTO t (name) VALUES ('a')");
    await promise;
  });
  const turn = store.host.turn('hello');
  resolve();
  await Promise.all([open, turn]);
  const types = store.told.map(({ type }) => type);
  expect(types.indexOf('turn')).toBeGreaterThan(types.indexOf('committed'));
  expect(store.told.at(-1)).toEqual({ type: 'turn', message: 'hello', inTransaction: false });
  await expect(store.host.turn('fail')).rejects.toThrow('no such turn');
});

test('a request with a key is done once, and asked for again it has the same result', async () => {
  const { pool } = await gated({ integers: 'bigint' });
  const add = () =>
    pool.run("INSERT INTO t (name) VALUES ('a')", [], { idempotencyKey: 'request 1' });
  const first = await add();
  expect([await add(), await add()]).toEqual([first, first]);
  let runs = 0;
  const work = () => {
    runs++;
    return Promise.resolve({ list: [1, 'two', null] });
  };
  const both = [1, 2].map(() => pool.transaction(work, { idempotencyKey: 'request 2' }));
  expect(await Promise.all(both)).toEqual([{ list: [1, 'two', null] }, { list: [1, 'two', null] }]);
  expect(runs).toBe(1);
  await expect(
    pool.transaction(() => Promise.resolve(new Map()), { idempotencyKey: 'request 3' }),
  ).rejects.toMatchObject({ code: 'POOL_MISUSE' });
  await expect(pool.run('SELECT 1', [], { idempotencyKey: '' })).rejects.toMatchObject({
    ...{ code: 'POOL_OPTIONS', message: expect.stringContaining('idempotencyKey') },
  });
});

test('a linearizable read asks the store first, whichever way it is read', async () => {
  const { pool, store } = await gated();
  const options = { linearizable: true };
  await pool.all('SELECT 1', [], options);
  await pool.get('SELECT 1', [], options);
  await pool.values('SELECT 1', [], options);
  await pool.query('SELECT 1', [], options);
  await pool.snapshot((tx) => tx.get('SELECT 1'), options);
  await pool.transaction((tx) => tx.get('SELECT 1'), options);
  await pool.refresh();
  expect(store.refreshed).toBe(7);
});

test('closing waits for a proposal; in haste its outcome is unknown', async () => {
  const patient = await gated();
  const { promise, resolve } = later();
  patient.store.hold = promise;
  const write = insert(patient.pool, 'a');
  const closed = patient.pool.close();
  setImmediate(resolve);
  await closed;
  await write;
  expect(patient.store.told.at(-1)).toEqual({ type: 'close' });

  const hasty = await gated();
  const proposed = new Promise<void>((reached) => {
    hasty.store.proposed = reached;
  });
  const never = later();
  hasty.store.hold = never.promise;
  const unknown = insert(hasty.pool, 'a');
  unknown.catch(() => {});
  await proposed;
  const ended = hasty.pool.close({ force: true });
  await expect(unknown).rejects.toMatchObject({ code: 'POOL_OUTCOME_UNKNOWN' });
  // The replica answers what it was asked, in haste or not.
  never.resolve();
  await ended;
});

test.each([
  [{ driver: 'better-sqlite3' }, "needs driver: 'node:sqlite'"],
  [{ readonly: true }, "contradicts 'readonly'"],
  [{ writer: 'shared' }, "contradicts 'writer'"],
  [{ exactlyOnce: true }, "contradicts 'exactlyOnce'"],
  [{ store: { poolite: 'store' } }, "what '@poolite/store' makes"],
] as [PoolOptions, string][])('a store with %j is refused', (options, message) => {
  const all = { driver: 'node:sqlite', store: new FakeStore(), ...options };
  expect(() => createPool(freshFile('app.db'), all)).toThrow(message);
});

test('what is for a store alone is refused without one', async () => {
  expect(() => createPool(':memory:', { retries: 3 })).toThrow("'retries' is for a pool with a");
  expect(() => createPool(':memory:', { freshness: {} })).toThrow("'freshness' is for a pool");
  const pool = createPool(':memory:');
  onTestFinished(() => pool.close());
  await pool.refresh();
  expect(await pool.all('SELECT 1 AS one', [], { linearizable: true })).toEqual([{ one: 1 }]);
  await expect(pool.run('SELECT 1', [], { idempotencyKey: 'a' })).rejects.toMatchObject({
    ...{ code: 'POOL_OPTIONS', message: expect.stringContaining("pool with a 'store'") },
  });
});
