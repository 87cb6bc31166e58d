import { createPool, type Pool, type PoolError } from '@poolite/core';
import { describe, expect } from 'vitest';
import { failure } from './folder.ts';

/** A count that takes a minute and more on any machine. */
export const ENDLESS = `
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000000)
  SELECT count(*) AS n FROM c`;

/** Rows without an end, as far as any test goes. */
export const ENDLESS_ROWS = `
  WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000000)
  SELECT n FROM c WHERE n % 10 = 0`;

export const ENDLESS_INSERT = `INSERT INTO t (n) ${ENDLESS}`;

/** Whether the extension is there: it is built where the machine has a C compiler. */
const probe = createPool(':memory:');
await probe.ready();
const { loaded, reason } = probe.stats().hooks;
await probe.close();
export const isHooked = loaded;
export const hooked = loaded ? describe : describe.skip;
if (!loaded) console.log(`Interrupts are not tried: ${reason}`);

export type Limits = { signal?: AbortSignal; timeout?: number };

/** Gives a call up once a thread is at it, by either way. */
export async function givenUp(
  way: 'signal' | 'timeout',
  call: (limits: Limits) => Promise<unknown>,
): Promise<PoolError> {
  if (way === 'timeout') return (await failure(call({ timeout: 60 }))) as PoolError;
  const controller = new AbortController();
  const failed = failure(call({ signal: controller.signal }));
  setTimeout(() => controller.abort(), 60);
  return (await failed) as PoolError;
}

export const codes = { signal: 'POOL_ABORTED', timeout: 'POOL_TIMEOUT' } as const;

/** Statements that would take a minute, and whether nothing of them can be stored. */
export const endless: Record<string, (pool: Pool, limits: Limits) => Promise<unknown>> = {
  'a read': (pool, limits) => pool.get(ENDLESS, [], limits),
  'a read on the writer': (pool, limits) => pool.get(ENDLESS, [], { ...limits, access: 'write' }),
  'a write': (pool, limits) => pool.run(ENDLESS_INSERT, [], limits),
  'a batch': (pool, limits) =>
    pool.batch([{ sql: 'INSERT INTO t VALUES (7)' }, { sql: ENDLESS_INSERT }], limits),
  'many sets': (pool, limits) => pool.runMany(`${ENDLESS_INSERT} WHERE n <> ?`, [[1], [2]], limits),
  'a stream': async (pool, limits) => {
    for await (const _ of pool.iterate(ENDLESS, [], limits));
  },
  'the rows of a stream': async (pool, limits) => {
    for await (const _ of pool.iterate(ENDLESS_ROWS, [], { ...limits, chunkSize: 50_000 }));
  },
  'a snapshot': (pool, limits) => pool.snapshot((tx) => tx.get(ENDLESS, [], limits)),
  'a read in a transaction': (pool, limits) =>
    pool.transaction((tx) => tx.get(ENDLESS, [], limits)),
  'a write in a transaction': (pool, limits) =>
    pool.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (7)');
      await tx.run(ENDLESS_INSERT, [], limits);
    }),
  'a script in a transaction': (pool, limits) =>
    pool.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (7)');
      await tx.exec(ENDLESS_INSERT, limits);
    }),
  'a transaction': (pool, limits) =>
    pool.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (7)');
      await tx.run(ENDLESS_INSERT);
    }, limits),
  'a transaction that reads': (pool, limits) => pool.transaction((tx) => tx.get(ENDLESS), limits),
  'a snapshot as a whole': (pool, limits) => pool.snapshot((tx) => tx.get(ENDLESS), limits),
  'a read lease': async (pool, limits) => {
    await using lease = await pool.lease('read', limits);
    await lease.get(ENDLESS, [], limits);
  },
};

/** Each is given up, and leaves nothing behind, neither where it was asked for nor where it ran. */
export async function checkStopped(
  way: 'signal' | 'timeout',
  call: (pool: Pool, limits: Limits) => Promise<unknown>,
  client: Pool,
  writer = client,
): Promise<void> {
  const error = await givenUp(way, (limits) => call(client, limits));
  expect(error.code).toBe(codes[way]);
  // Each of these would wait for a minute behind what was not stopped.
  expect(await writer.get('SELECT count(*) AS n FROM t')).toEqual({ n: 0 });
  await writer.run('INSERT INTO t VALUES (1)');
  expect(await client.transaction((tx) => tx.all('SELECT n FROM t'))).toEqual([{ n: 1 }]);
  for (const pool of [writer, client]) {
    expect(pool.stats()).toMatchObject({ threadsLost: 0, threadsRetired: 0 });
  }
}
