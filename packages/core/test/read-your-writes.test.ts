import type { Pool } from '@poolite/core';
import { describe, expect, test } from 'vitest';
import { inline } from './support/inline.ts';
import { Gate, refuseUnhandled, SLOW, turn } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';
import { slowPool } from './support/slow.ts';
import { INSERT, range } from './support/table.ts';

refuseUnhandled();

const COUNT = 'SELECT count(*) AS n FROM t';

const freshPools = { auto: sharedPool(), off: sharedPool({ inlineReads: 'off' }) };

const open = (inlineReads: 'auto' | 'off' = 'auto') =>
  freshPools[inlineReads]('CREATE TABLE t (a INTEGER PRIMARY KEY, b)');

/** Makes a read so usual and quick that it runs on the calling thread. */
async function warm(pool: Pool, sql: string): Promise<void> {
  for (let i = 0; i < 3; i++) await inline(() => pool.get(sql), pool);
}

/** A write that is under way for some milliseconds. */
const slowWrite = (pool: Pool, a: number) =>
  pool.run(`INSERT INTO t (a, b) VALUES (?, ${SLOW})`, [a, 15_000]);

const READS: [what: string, count: (pool: Pool) => Promise<unknown>][] = [
  ['get', (pool) => pool.get<{ n: number }>(COUNT).then((row) => row?.n)],
  ['all', (pool) => pool.all('SELECT a FROM t').then((rows) => rows.length)],
  ['values', (pool) => pool.values(COUNT).then((rows) => rows[0]?.[0])],
  ['query', (pool) => pool.query<{ n: number }>(COUNT).then(({ rows }) => rows[0]?.n)],
  [
    'get with options',
    (pool) => pool.get<{ n: number }>(COUNT, [], { timeout: 20_000 }).then((row) => row?.n),
  ],
  [
    'iterate',
    async (pool) => {
      let n = 0;
      for await (const _ of pool.iterate('SELECT a FROM t')) n++;
      return n;
    },
  ],
];

const WRITES: [what: string, write: (pool: Pool, a: number) => Promise<unknown>][] = [
  ['run', slowWrite],
  [
    'batch',
    (pool, a) =>
      pool.batch([{ sql: `INSERT INTO t (a, b) VALUES (?, ${SLOW})`, params: [a, 15_000] }]),
  ],
  [
    'all',
    (pool, a) => pool.all(`INSERT INTO t (a, b) VALUES (?, ${SLOW}) RETURNING a`, [a, 15_000]),
  ],
];

describe('a read sees the writes that were issued before it and not awaited', () => {
  test.each(READS)('%s', async (_, count) => {
    for (const inlineReads of ['off', 'auto'] as const) {
      const pool = await open(inlineReads);
      if (inlineReads === 'auto')
        for (const sql of [COUNT, 'SELECT a FROM t']) await warm(pool, sql);
      let expected = 0;
      for (const [what, write] of WRITES) {
        const written = [write(pool, expected), write(pool, expected + 1)];
        expected += 2;
        expect(await count(pool), `${what}, inline reads ${inlineReads}`).toBe(expected);
        await Promise.all(written);
      }
    }
  });

  test('also where each statement of a long series alternates', async () => {
    const pool = await open();
    await warm(pool, COUNT);
    const seen: Promise<{ n: number } | undefined>[] = [];
    const writes: Promise<unknown>[] = [];
    for (const a of range(1500)) {
      writes.push(pool.run(INSERT, [a]));
      seen.push(pool.get<{ n: number }>(COUNT));
    }
    (await Promise.all(seen)).forEach((row, a) => {
      expect(row?.n).toBeGreaterThan(a);
    });
    await Promise.all(writes);
  });

  test('also where the write fails: the read is answered', async () => {
    const pool = await open();
    await pool.run(INSERT, [1]);
    const failed = pool.run(INSERT, [1]).catch((error: Error) => error);
    expect(await pool.get(COUNT)).toEqual({ n: 1 });
    expect(await failed).toMatchObject({ code: 'SQLITE_CONSTRAINT_PRIMARYKEY' });
  });

  test('also where the write is taken back before it is sent', async () => {
    const pool = await open();
    const controller = new AbortController();
    const taken = pool
      .run(INSERT, [1], { signal: controller.signal })
      .catch((error: Error) => error);
    const read = pool.get(COUNT);
    controller.abort();
    expect(await taken).toMatchObject({ code: 'POOL_ABORTED' });
    expect(await read).toEqual({ n: 0 });
  });

  test('and does not wait for those issued after it', async () => {
    const { pool, hold, other } = await slowPool();
    hold.close();
    other.close();
    const before = pool.run('INSERT INTO t (who) VALUES (held())');
    await hold.begun(1);
    const read = pool.get<{ n: number }>(COUNT);
    // They are answered after the read is, or never.
    const after = range(20).map(() => pool.run('INSERT INTO t (who) VALUES (held_too())'));
    hold.open();
    await before;
    await other.begun(1);
    expect(await read).toEqual({ n: 1 });
    other.open();
    await Promise.all(after);
  });

  test.each(['off', 'auto'] as const)(
    'but never waits for writes behind an open transaction (inline reads %s)',
    async (inlineReads) => {
      const pool = await open(inlineReads);
      if (inlineReads === 'auto') await warm(pool, COUNT);
      const gate = new Gate();
      const begun = new Gate();
      const transaction = pool.transaction(async (tx) => {
        await tx.run(INSERT, [1]);
        begun.open();
        await gate.opened;
      });
      await begun.opened;
      const behind = pool.run(INSERT, [2]);
      for (const [what, count] of READS) expect(await count(pool), what).toBe(0);
      await turn(2);
      // Nor does one wait that was held when the transaction came.
      expect(await pool.snapshot((tx) => tx.get(COUNT))).toEqual({ n: 0 });
      gate.open();
      await Promise.all([transaction, behind]);
      expect(await pool.get(COUNT)).toEqual({ n: 2 });
    },
  );

  test('nor for one that gets the writer while the read waits', async () => {
    const pool = await open('off');
    const gate = new Gate();
    const first = slowWrite(pool, 1);
    const transaction = pool.transaction(async (tx) => {
      await tx.run(INSERT, [2]);
      await gate.opened;
    });
    await turn();
    const behind = pool.run(INSERT, [3]);
    const read = pool.get<{ n: number }>(COUNT);
    expect((await read)?.n).toBeLessThanOrEqual(1);
    gate.open();
    await Promise.all([first, transaction, behind]);
  });
});

describe('a snapshot and a read lease', () => {
  test('see the writes that were issued before them', async () => {
    const pool = await open();
    const written = slowWrite(pool, 1);
    expect(await pool.snapshot((tx) => tx.get(COUNT))).toEqual({ n: 1 });
    const again = slowWrite(pool, 2);
    const lease = await pool.lease('read');
    expect(await lease.get(COUNT)).toEqual({ n: 2 });
    await lease.release();
    await Promise.all([written, again]);
  });
});

describe('readYourWrites: false', () => {
  test.each(['off', 'auto'] as const)(
    'a read waits for no write (inline %s)',
    async (inlineReads) => {
      const { pool, hold } = await slowPool({ readYourWrites: false, inlineReads });
      if (inlineReads === 'auto') await warm(pool, COUNT);
      hold.close();
      const writes = range(100).map(() => pool.run('INSERT INTO t (who) VALUES (held())'));
      await hold.begun(1);
      // They are answered after the read is, or never.
      expect(await pool.get(COUNT)).toEqual({ n: 0 });
      hold.open();
      await Promise.all(writes);
      expect(await pool.get(COUNT)).toEqual({ n: 100 });
    },
  );
});
