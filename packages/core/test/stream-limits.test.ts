import { expect, onTestFinished, test, vi } from 'vitest';
import { freshFile, openPool } from './support/folder.ts';
import { slowPool } from './support/slow.ts';

test('a stream whose rows do not come in time ends, and frees its connection', async () => {
  const { pool, hold } = await slowPool();
  hold.close();
  const stream = pool.iterate('SELECT held()', [], { timeout: 30 });
  await expect(stream.next()).rejects.toMatchObject({ code: 'POOL_TIMEOUT' });
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  hold.open();
  expect(await pool.get('SELECT 1 AS one')).toEqual({ one: 1 });
  expect(await pool.checkpoint('TRUNCATE')).toMatchObject({ busy: 0 });
});

test('the time that the reader of a stream takes does not count', async () => {
  const pool = openPool(freshFile());
  await pool.ready();
  // The clock is the test's, and moves while the reader is at it.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const sql =
    'WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 9) SELECT i FROM c';
  let rows = 0;
  for await (const row of pool.iterate(sql, [], { timeout: 1000, chunkSize: 2 })) {
    expect(row).toEqual({ i: ++rows });
    vi.advanceTimersByTime(1500);
  }
  expect(rows).toBe(9);
});

test('a stream on a held connection ends in the same way', async () => {
  const { pool, hold } = await slowPool();
  hold.close();
  await pool.snapshot(async (tx) => {
    const stream = tx.iterate('SELECT held()', [], { timeout: 30 });
    await expect(stream.next()).rejects.toMatchObject({ code: 'POOL_TIMEOUT' });
    hold.open();
  });
});
