import type { Pool } from '@poolite/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ENDLESS } from './support/endless.ts';
import { freshFile, openPool } from './support/folder.ts';

/** Aborts of one run; a longer form: ABORTS=1000 pnpm vitest run aborts.properties */
const ABORTS = Number(process.env.ABORTS ?? 120);
/** Calls that are under way together. */
const TOGETHER = 24;

interface Call {
  what: 'read' | 'write' | 'batch' | 'transaction' | 'snapshot' | 'stream' | 'many';
  /** Whether it takes a minute, unless it is aborted. */
  endless: boolean;
  by: 'signal' | 'timeout';
  after: number;
}

const call = fc.record<Call>({
  what: fc.constantFrom('read', 'write', 'batch', 'transaction', 'snapshot', 'stream', 'many'),
  endless: fc.boolean(),
  by: fc.constantFrom('signal', 'timeout'),
  after: fc.integer({ min: 1, max: 25 }),
});

/** What a call came to. */
type Outcome = { id: number; rows: unknown } | { id: number; code: string };

const insert = 'INSERT INTO t (id, part) VALUES (?, ?)';

function run(pool: Pool, { what, endless, by, after }: Call, id: number): Promise<unknown> {
  const limits = by === 'timeout' ? { timeout: after } : { signal: AbortSignal.timeout(after) };
  const tail = endless ? ` FROM (${ENDLESS})` : '';
  const read = `SELECT :id AS id${tail}`;
  // Whole or not at all: two rows with the same number.
  const write = `INSERT INTO t (id, part) SELECT :id, :part${tail}`;
  switch (what) {
    case 'read':
      return pool.get(read, { id }, limits);
    case 'snapshot':
      return pool.snapshot((tx) => tx.get(read, { id }, limits));
    case 'stream':
      return lastRow(pool.iterate(read, { id }, limits));
    case 'write':
      return pool.run(
        `INSERT INTO t (id, part) SELECT :id, p FROM (SELECT 1 AS p UNION ALL
        SELECT 2)${endless ? `, (${ENDLESS})` : ''}`,
        { id },
        limits,
      );
    case 'batch':
      return pool.batch(
        [
          { sql: insert, params: [id, 1] },
          { sql: write, params: { id, part: 2 } },
        ],
        limits,
      );
    case 'many':
      return pool.runMany(
        write,
        [
          { id, part: 1 },
          { id, part: 2 },
        ],
        limits,
      );
    case 'transaction':
      return pool.transaction(async (tx) => {
        await tx.run(insert, [id, 1]);
        await tx.run(write, { id, part: 2 }, limits);
      });
  }
}

async function lastRow(rows: AsyncIterable<unknown>): Promise<unknown> {
  let last: unknown;
  for await (const row of rows) last = row;
  return last;
}

const isRead = ({ what }: Call) => ['read', 'snapshot', 'stream'].includes(what);
/** Errors of a call that left nothing behind; the last is of those who shared a commit with one. */
const NOTHING = ['POOL_ABORTED', 'POOL_TIMEOUT', 'POOL_THREAD_LOST'];

test(`${ABORTS} random aborts under load lose nothing, and leave nothing`, async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  const calls = fc.sample(call, { seed, numRuns: ABORTS });
  const pool = openPool(freshFile(), { readers: 2, acquireTimeout: 0, transactionTimeout: 0 });
  await pool.exec('CREATE TABLE t (id INTEGER, part INTEGER)');
  const { loaded, reason } = pool.stats().hooks;
  if (!loaded) return console.log(`Aborts are not tried: ${reason}`);
  console.log(`seed ${seed}`);
  let free = true;
  const load = (async () => {
    let n = 0;
    for (; free; n++) {
      await Promise.all([
        pool.run('INSERT INTO t (id, part) VALUES (-1, ?)', [n]),
        pool.get('SELECT count(*) AS n FROM t WHERE id < 0'),
      ]);
    }
    return n;
  })();
  const outcomes: Outcome[] = [];
  for (let from = 0; from < calls.length; from += TOGETHER) {
    const some = calls.slice(from, from + TOGETHER).map(async (each, i): Promise<Outcome> => {
      const id = from + i;
      try {
        return { id, rows: await run(pool, each, id) };
      } catch (error) {
        return { id, code: String((error as { code?: string }).code ?? error) };
      }
    });
    outcomes.push(...(await Promise.all(some)));
  }
  free = false;
  const written = await load;
  const parts = new Map<number, number>();
  for (const [id, count] of await pool.values<[number, number]>(
    'SELECT id, count(*) FROM t GROUP BY id',
  )) {
    parts.set(id, count);
  }
  expect(parts.get(-1), `seed ${seed}`).toBe(written);
  for (const outcome of outcomes) {
    const { id } = outcome;
    const each = calls[id] as Call;
    const where = `seed ${seed}, call ${id}: ${JSON.stringify(each)} ${JSON.stringify(outcome)}`;
    const stored = parts.get(id) ?? 0;
    if ('rows' in outcome) {
      expect(each.endless, where).toBe(false);
      if (isRead(each)) expect(outcome.rows, where).toEqual({ id });
      else expect(stored, where).toBe(2);
    } else if (NOTHING.includes(outcome.code)) {
      expect(stored, where).toBe(0);
      if (outcome.code === 'POOL_THREAD_LOST') expect(each.what, where).toBe('transaction');
    } else {
      expect(outcome.code, where).toBe('POOL_OUTCOME_UNKNOWN');
      expect(isRead(each), where).toBe(false);
      expect([0, 2], where).toContain(stored);
    }
  }
  const { reads, writes, transactions, threadsLost, threadsRetired } = pool.stats();
  expect(threadsLost + threadsRetired).toBe(0);
  expect(reads).toMatchObject({ queued: 0, running: 0, held: 0 });
  expect([writes.queued, transactions.waiting, transactions.heldMs]).toEqual([0, 0, 0]);
  // Nothing is held any more: closing waits for whatever is.
  const started = performance.now();
  await pool.close();
  expect(performance.now() - started).toBeLessThan(9000);
}, 300_000);
