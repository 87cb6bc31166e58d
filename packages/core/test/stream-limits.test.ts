import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool, type Pool } from '@poolite/core';
import { afterEach, beforeEach, expect, it } from 'vitest';

const SLOW =
  'WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000000) SELECT max(i) FROM c';
let folder: string;
let pool: Pool;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'poolite-'));
  pool = createPool(join(folder, 'stream.db'));
});

afterEach(async () => {
  await pool.close();
  rmSync(folder, { recursive: true, force: true });
});

it('ends a stream whose rows do not come in time, and frees its connection', async () => {
  const started = performance.now();
  const stream = pool.iterate(SLOW, [], { timeout: 30 });
  await expect(stream.next()).rejects.toMatchObject({ code: 'POOL_TIMEOUT' });
  expect(performance.now() - started).toBeLessThan(500);
  expect(await stream.next()).toEqual({ done: true, value: undefined });
  expect(await pool.get('SELECT 1 AS one')).toEqual({ one: 1 });
});

it('does not count the time that the reader of a stream takes', async () => {
  const sql =
    'WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 9) SELECT i FROM c';
  let rows = 0;
  for await (const row of pool.iterate(sql, [], { timeout: 1000, chunkSize: 2 })) {
    expect(row).toEqual({ i: ++rows });
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  expect(rows).toBe(9);
});

it('ends a stream on a held connection in the same way', async () => {
  await pool.snapshot(async (tx) => {
    const stream = tx.iterate(SLOW, [], { timeout: 30 });
    await expect(stream.next()).rejects.toMatchObject({ code: 'POOL_TIMEOUT' });
  });
});
