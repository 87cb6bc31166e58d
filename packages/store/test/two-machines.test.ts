import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createPool } from '@poolite/core';
import { expect, test } from 'vitest';
import { freshBucket, freshFolder } from './support/fresh.ts';
import { machine, tamper } from './support/machines.ts';

const COUNTERS =
  'CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO counter VALUES (1, 0)';

/** Two machines on one log. */
async function two() {
  const bucket = freshBucket();
  const folder = freshFolder();
  const one = machine(bucket, join(folder, 'one.db'));
  const other = machine(bucket, join(folder, 'other.db'));
  await one.exec(COUNTERS);
  await other.refresh();
  return { bucket, folder, one, other };
}

const read = 'SELECT n FROM counter WHERE id = 1';

test('what one machine writes the other sees when it asks, and not before', async () => {
  const { one, other } = await two();
  await one.run('UPDATE counter SET n = 5');
  expect(await other.get(read)).toEqual({ n: 0 });
  expect(await other.get(read, [], { linearizable: true })).toEqual({ n: 5 });
  await one.run('UPDATE counter SET n = 6');
  await other.refresh();
  expect(await other.get(read)).toEqual({ n: 6 });
});

test('by itself it sees it soon, and its live queries with it', async () => {
  const { bucket, folder, one } = await two();
  const eager = machine(bucket, join(folder, 'eager.db'), { freshness: { interval: 20 } });
  for await (const [row] of eager.live<{ n: number }>(read)) {
    if (row?.n === 7) break;
    if (row?.n === 0) await one.run('UPDATE counter SET n = 7');
  }
});

test('writes of both count, however they meet: statements and callbacks run again', async () => {
  const { one, other } = await two();
  const pools = [one, other];
  const writes = Array.from({ length: 40 }, (_, i) => {
    const pool = i % 2 === 0 ? one : other;
    if (i % 4 < 2) return pool.run('UPDATE counter SET n = n + 1');
    return pool.transaction(
      async (tx) => {
        const row = await tx.get<{ n: number }>(read);
        await tx.run('UPDATE counter SET n = ?', [(row?.n ?? 0) + 1]);
      },
      { retries: 100 },
    );
  });
  await Promise.all(writes);
  for (const pool of pools) {
    expect(await pool.get(read, [], { linearizable: true })).toEqual({ n: 40 });
  }
  const [a, b] = pools.map((pool) => pool.stats().replica);
  expect(a?.position).toBe(b?.position);
  expect(Math.min(a?.committed ?? 0, b?.committed ?? 0)).toBeGreaterThan(0);
});

test('a machine that is beaten hears POOL_CONFLICT where it may not run again', async () => {
  const { one, other } = await two();
  await one.run('UPDATE counter SET n = 1');
  const once = other.transaction((tx) => tx.run('UPDATE counter SET n = n + 1'), { retries: 0 });
  await expect(once).rejects.toMatchObject({ code: 'POOL_CONFLICT', retryable: true });
  // It has read what beat it.
  expect(await other.get(read)).toEqual({ n: 1 });
});

test('a request is done once, whichever machine is asked', async () => {
  const { one, other } = await two();
  const ask = (pool: typeof one) =>
    pool.run('UPDATE counter SET n = n + 1', [], { idempotencyKey: 'order 17' });
  const results = await Promise.all([ask(one), ask(other), ask(one), ask(other)]);
  expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1);
  expect(await other.get(read, [], { linearizable: true })).toEqual({ n: 1 });
});

test('a file that has data begins an empty log with it, and is refused by one that has entries', async () => {
  const { bucket, folder } = await two();
  const [file, late] = ['app.db', 'late.db'].map((name) => join(folder, name)) as [string, string];
  for (const each of [file, late]) tamper(each, `${COUNTERS}; UPDATE counter SET n = 41`);
  const fresh = freshBucket();
  const seeded = machine(fresh, file);
  await seeded.run('UPDATE counter SET n = n + 1');
  const another = machine(fresh, join(folder, 'another.db'));
  expect(await another.get(read)).toEqual({ n: 42 });
  const refused = machine(bucket, late);
  await expect(refused.ready()).rejects.toMatchObject({
    ...{ code: 'POOL_STORE', message: expect.stringContaining('data of its own') },
  });
});

test('a replica has one owner; pools of one process that agree share it', async () => {
  const { bucket, folder, one } = await two();
  const file = join(folder, 'one.db');
  const same = machine(bucket, file);
  await same.run('UPDATE counter SET n = 3');
  expect(await one.get(read)).toEqual({ n: 3 });
  const different = machine(bucket, file, { readers: 2 });
  await expect(different.ready()).rejects.toMatchObject({ code: 'POOL_IN_USE' });
});

test('a replica of another log is refused, and stays as it is', async () => {
  const { one, folder } = await two();
  await one.close();
  const lost = machine(freshBucket(), join(folder, 'one.db'));
  await expect(lost.ready()).rejects.toMatchObject({
    ...{ code: 'POOL_STORE', message: expect.stringContaining('another log') },
  });
  const plain = createPool(join(folder, 'one.db'), { driver: 'node:sqlite' });
  expect(await plain.get(read)).toEqual({ n: 0 });
  await plain.close();
});

test('a pool that is closed leaves a file that can be opened again, where it was', async () => {
  const { bucket, folder, one, other } = await two();
  await one.close();
  await other.run('UPDATE counter SET n = 8');
  expect(existsSync(join(folder, 'one.db-wal'))).toBe(false);
  const again = machine(bucket, join(folder, 'one.db'));
  expect(await again.get(read)).toEqual({ n: 8 });
});
