import { join } from 'node:path';
import type { Pool } from '@poolite/core';
import { expect, test } from 'vitest';
import { Log } from '../src/log.js';
import { type Fault, FaultyBucket } from './support/faulty-bucket.ts';
import { freshBucket, freshFolder } from './support/fresh.ts';
import { machine } from './support/machines.ts';

/** A machine before whose bucket is a network that does to its next PUTs of entries what is said. */
async function troubled(patience = 30_000) {
  const bucket = freshBucket();
  const next: Fault[] = [];
  const network = new FaultyBucket(bucket, {
    decide: (operation, key) =>
      operation === 'create' && key.startsWith('log/') ? (next.shift() ?? 'none') : 'none',
  });
  const folder = freshFolder();
  const pool = machine(network, join(folder, 'app.db'), { store: { patience } });
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL)');
  return { bucket, network, next, pool, folder };
}

const insert = (pool: Pool, name: string) => pool.run('INSERT INTO t (name) VALUES (?)', [name]);
const names = async (pool: Pool) =>
  (await pool.all<{ name: string }>('SELECT name FROM t ORDER BY id')).map(({ name }) => name);

test.each<[string, Fault[]]>([
  ['a request that is lost', ['lost request']],
  ['a reply that is lost', ['lost reply']],
  ['a request that is sent twice', ['repeated']],
  ['one fault after another', ['lost request', 'lost request', 'lost reply']],
])('%s is no failure, and nothing is stored twice', async (_what, faults) => {
  const { bucket, next, pool } = await troubled();
  next.push(...faults);
  await Promise.all([insert(pool, 'a'), insert(pool, 'b')]);
  await insert(pool, 'c');
  expect(await names(pool)).toEqual(['a', 'b', 'c']);
  const fresh = machine(bucket, join(freshFolder(), 'fresh.db'));
  expect(await names(fresh)).toEqual(['a', 'b', 'c']);
});

test('a request that arrives after another was sent finds the place taken by its own entry', async () => {
  const { bucket, network, next, pool } = await troubled();
  next.push('late');
  await insert(pool, 'a');
  await network.land();
  await insert(pool, 'b');
  expect(await new Log(bucket).head()).toBe(3);
  expect(await names(machine(bucket, join(freshFolder(), 'fresh.db')))).toEqual(['a', 'b']);
});

test('what is refused is not stored, and its caller hears why', async () => {
  const { next, pool } = await troubled();
  next.push('refused');
  await expect(insert(pool, 'a')).rejects.toMatchObject({ code: 'POOL_STORE', retryable: false });
  await insert(pool, 'b');
  expect(await names(pool)).toEqual(['b']);
});

test('where nobody can tell in time, the outcome is unknown; what arrives later counts once', async () => {
  const { bucket, network, next, pool } = await troubled(0);
  next.push('late');
  await expect(insert(pool, 'a')).rejects.toMatchObject({
    ...{ code: 'POOL_OUTCOME_UNKNOWN', retryable: false },
  });
  expect(await names(pool)).toEqual([]);
  await network.land();
  await insert(pool, 'b');
  expect(await names(pool)).toEqual(['a', 'b']);
  expect(await names(machine(bucket, join(freshFolder(), 'fresh.db')))).toEqual(['a', 'b']);
});

test('in haste a commit under way is given up at once: its outcome is unknown', async () => {
  const bucket = freshBucket();
  let hangs = false;
  let reached = () => {};
  const hanging = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const network = new FaultyBucket(bucket, {
    before: (operation, key) => {
      if (!hangs || operation !== 'create' || !key.startsWith('log/')) return undefined;
      reached();
      return new Promise(() => {});
    },
  });
  const pool = machine(network, join(freshFolder(), 'app.db'));
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL)');
  hangs = true;
  const write = insert(pool, 'a');
  write.catch(() => {});
  await hanging;
  await pool.close({ force: true });
  await expect(write).rejects.toMatchObject({ code: 'POOL_OUTCOME_UNKNOWN' });
});

test('a bucket that cannot be reached keeps the pool from opening, and says so', async () => {
  const network = new FaultyBucket(freshBucket(), { decide: () => 'lost request' });
  const pool = machine(network, join(freshFolder(), 'app.db'));
  await expect(pool.ready()).rejects.toMatchObject({ code: 'POOL_STORE' });
  await expect(pool.all('SELECT 1')).rejects.toMatchObject({ code: 'POOL_STORE' });
});

test('reads go on while the bucket is away; writes and refreshes say what is wrong', async () => {
  let away = false;
  const network = new FaultyBucket(freshBucket(), {
    decide: () => (away ? 'lost request' : 'none'),
  });
  const pool = machine(network, join(freshFolder(), 'app.db'), { store: { patience: 0 } });
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL)');
  away = true;
  expect(await names(pool)).toEqual([]);
  await expect(insert(pool, 'a')).rejects.toMatchObject({ code: 'POOL_OUTCOME_UNKNOWN' });
  await expect(pool.refresh()).rejects.toMatchObject({ code: 'POOL_STORE' });
  away = false;
  await insert(pool, 'b');
  expect(await names(pool)).toEqual(['b']);
});
