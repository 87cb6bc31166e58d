import type { Params, Pool, Statements } from '@poolite/core';
import { inline } from './inline.ts';

type Rows = Record<string, unknown>[];

type Run = (pool: Pool, sql: string, params?: Params) => Promise<Rows>;

const ways = {
  'a reader thread': (pool, sql, params) => pool.all(sql, params, { access: 'read' }),
  'the calling thread': (pool, sql, params) => inline(() => pool.all(sql, params), pool),
  'the writer': (pool, sql, params) => pool.all(sql, params, { access: 'write' }),
  'a batch': async (pool, sql, params) => (await pool.batch([{ sql, params }]))[0]?.rows as Rows,
  'a transaction': (pool, sql, params) => pool.transaction((tx) => tx.all(sql, params)),
  'a snapshot': (pool, sql, params) => pool.snapshot((tx) => tx.all(sql, params)),
  'a lease': async (pool, sql, params) => {
    await using lease = await pool.lease('read');
    return await lease.all(sql, params);
  },
  'a stream': (pool, sql, params) => collected(pool, sql, params),
  'a stream in a transaction': (pool, sql, params) =>
    pool.transaction((tx) => collected(tx, sql, params)),
} as const satisfies Record<string, Run>;

export type Way = keyof typeof ways;
/** The ways that one read can take through a pool. */
export const WAYS: Readonly<Record<Way, Run>> = ways;
export const EVERY_WAY = Object.keys(ways) as Way[];

async function collected(on: Statements, sql: string, params?: Params): Promise<Rows> {
  const rows: Rows = [];
  for await (const row of on.iterate(sql, params)) rows.push(row);
  return rows;
}
