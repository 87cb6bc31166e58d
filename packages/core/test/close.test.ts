import { existsSync, statSync } from 'node:fs';
import { createPool, PoolError } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { OtherConnection } from './support/child.ts';
import { allSettled, failure, freshFile, openPool, outcome } from './support/folder.ts';
import { turn } from './support/observer.ts';
import { slowPool } from './support/slow.ts';

const insert = 'INSERT INTO t (id) VALUES (?)';

function ids(file: string): number[] {
  const db = new Database(file, { readonly: true });
  const rows = db.prepare('SELECT id FROM t ORDER BY id').pluck().all() as number[];
  db.close();
  return rows;
}

function walBytes(file: string): number {
  return existsSync(`${file}-wal`) ? statSync(`${file}-wal`).size : 0;
}

test('close waits for everything that was accepted before it', async () => {
  const { pool, file } = await slowPool();
  const accepted = {
    run: pool.run(insert, [1]),
    slowRun: pool.run('INSERT INTO t (id, who) VALUES (2, sleep(100))'),
    batch: pool.batch([
      { sql: insert, params: [3] },
      { sql: insert, params: [4] },
    ]),
    runMany: pool.runMany(insert, [[5], [6]]),
    exec: pool.exec('INSERT INTO t (id) VALUES (7)'),
    transaction: pool.transaction(async (tx) => {
      await tx.run(insert, [8]);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await tx.run(insert, [9]);
    }),
    read: pool.all('SELECT sleep(100)'),
    get: pool.get('SELECT count(*) FROM t'),
    snapshot: pool.snapshot(async (tx) => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      return tx.get('SELECT 1');
    }),
    checkpoint: pool.checkpoint('TRUNCATE'),
  };
  await pool.close({ timeout: 600_000 });
  const outcomes = await allSettled(accepted, 10);
  expect(new Set(Object.values(outcomes))).toEqual(new Set(['resolved']));
  expect(ids(file)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('after close the WAL is gone', async () => {
  for (const force of [false, true]) {
    const { pool, file } = await slowPool();
    await pool.runMany(
      insert,
      Array.from({ length: 5000 }, (_, i) => [i]),
    );
    expect(walBytes(file)).toBeGreaterThan(0);
    await pool.close({ force });
    expect(existsSync(`${file}-wal`)).toBe(false);
    expect(existsSync(`${file}-shm`)).toBe(false);
    expect(ids(file)).toHaveLength(5000);
  }
});

test('after close the WAL is empty where another process still has the file open', async () => {
  const { pool, file } = await slowPool();
  const other = new OtherConnection(file);
  await other.exec('SELECT count(*) FROM t');
  await pool.runMany(
    insert,
    Array.from({ length: 5000 }, (_, i) => [i]),
  );
  expect(walBytes(file)).toBeGreaterThan(0);
  await pool.close();
  expect(walBytes(file)).toBe(0);
  await other.end();
});

test('close may be called again, at the same time and later, and is told once', async () => {
  const { pool } = await slowPool();
  let told = 0;
  pool.on('close', () => told++);
  const write = pool.run('INSERT INTO t (who) VALUES (sleep(50))');
  await Promise.all([pool.close(), pool.close(), pool.close({ force: true })]);
  await pool.close();
  await pool[Symbol.asyncDispose]();
  expect(told).toBe(1);
  expect(await outcome(write)).toBe('resolved');
  expect(pool.stats().state).toBe('closed');
});

test('disposing of a pool closes it', async () => {
  const file = freshFile();
  const pool = createPool(file);
  const write = pool.exec('CREATE TABLE t (id)');
  await pool[Symbol.asyncDispose]();
  await write;
  const error = await failure(pool.get('SELECT 1'));
  expect(PoolError.is(error)).toBe(true);
  expect(error.code).toBe('POOL_CLOSED');
});

test('no thread, port or timer is left behind', async () => {
  const threads = () =>
    process.getActiveResourcesInfo().filter((each) => each === 'MessagePort' || each === 'Worker');
  await expect.poll(threads).toEqual([]);
  for (let i = 0; i < 5; i++) {
    const pool = createPool(freshFile(), { readers: 3 });
    await pool.exec('CREATE TABLE t (id)');
    await pool.all('SELECT * FROM t');
    await pool.close({ force: i % 2 === 1 });
  }
  await expect.poll(threads).toEqual([]);
});

test('close while the pool is opening does what was asked for, then closes', async () => {
  const { pool: first, file } = await slowPool();
  await first.close();
  const pool = createPool(file);
  const calls = {
    ready: pool.ready(),
    exec: pool.exec('CREATE TABLE u (id INTEGER PRIMARY KEY)'),
    run: pool.run(insert, [1]),
    get: pool.get('SELECT count(*) FROM t'),
    transaction: pool.transaction((tx) => tx.get('SELECT 1')),
    snapshot: pool.snapshot((tx) => tx.get('SELECT count(*) FROM t')),
    lease: pool.lease('read').then((lease) => lease.release()),
    stream: pool.iterate('SELECT count(*) FROM t').next(),
  };
  const closed = pool.close();
  expect(await outcome(pool.run(insert, [2]))).toBe('POOL_CLOSED');
  const outcomes = await allSettled({ ...calls, closed });
  expect(new Set(Object.values(outcomes))).toEqual(new Set(['resolved']));
  expect(ids(file)).toEqual([1]);
});

test('close by force while the pool is opening settles every call', async () => {
  for (let i = 0; i < 5; i++) {
    const pool = createPool(freshFile(), { readers: 2 });
    const calls = {
      ready: pool.ready(),
      run: pool.run('CREATE TABLE t (id INTEGER PRIMARY KEY)'),
      get: pool.get('SELECT 1'),
      transaction: pool.transaction((tx) => tx.get('SELECT 1')),
      snapshot: pool.snapshot((tx) => tx.get('SELECT 1')),
      lease: pool.lease('read'),
      stream: pool.iterate('SELECT 1').next(),
      closed: pool.close({ force: true }),
    };
    const outcomes = await allSettled(calls);
    expect(outcomes.closed).toBe('resolved');
    for (const each of Object.values(outcomes)) {
      expect(['resolved', 'POOL_CLOSED', 'POOL_OUTCOME_UNKNOWN']).toContain(each);
    }
  }
});

test('close while a file that cannot be opened is being opened resolves', async () => {
  for (const force of [false, true]) {
    const pool = createPool('/nowhere/at/all/test.db');
    const calls = { get: pool.get('SELECT 1'), ready: pool.ready() };
    const outcomes = await allSettled({ ...calls, closed: pool.close({ force }) });
    expect(outcomes.closed).toBe('resolved');
    expect(outcomes.get).toBe('SQLITE_CANTOPEN');
    await pool.close();
  }
});

test('a transaction that never ends is rolled back when close has waited long enough', async () => {
  const { pool, file } = await slowPool();
  let reached = () => {};
  const inside = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const endless = pool.transaction(async (tx) => {
    await tx.run(insert, [1]);
    reached();
    await new Promise(() => {});
  });
  await inside;
  const behind = pool.run(insert, [2]);
  const waiting = pool.transaction((tx) => tx.run(insert, [3]));
  const started = performance.now();
  const closed = pool.close({ timeout: 200 });
  const outcomes = await allSettled({ endless, behind, waiting, closed });
  expect(performance.now() - started).toBeGreaterThan(190);
  expect(outcomes).toEqual({
    endless: 'POOL_CLOSED',
    behind: 'POOL_CLOSED',
    waiting: 'POOL_CLOSED',
    closed: 'resolved',
  });
  expect(ids(file)).toEqual([]);
});

test('close from inside a transaction ends it after the timeout, and does not hang', async () => {
  const { pool, file } = await slowPool();
  const whole = pool.transaction(async (tx) => {
    await tx.run(insert, [1]);
    await pool.close({ timeout: 200 });
    return tx.run(insert, [2]);
  });
  expect(await allSettled({ whole })).toEqual({ whole: 'POOL_CLOSED' });
  await pool.close();
  expect(ids(file)).toEqual([]);
});

test('close from inside a snapshot ends it after the timeout, and does not hang', async () => {
  const { pool } = await slowPool();
  const whole = pool.snapshot(async (tx) => {
    await tx.get('SELECT 1');
    await pool.close({ timeout: 200 });
    return tx.get('SELECT 1');
  });
  expect(await allSettled({ whole })).toEqual({ whole: 'POOL_CLOSED' });
});

test('leaked leases and streams do not keep close from ending', async () => {
  const { pool, file } = await slowPool();
  await pool.runMany(
    insert,
    Array.from({ length: 1000 }, (_, i) => [i]),
  );
  const read = await pool.lease('read');
  const write = await pool.lease('write');
  await write.run('BEGIN IMMEDIATE');
  await write.run('DELETE FROM t');
  const stream = pool.iterate('SELECT id FROM t', [], { chunkSize: 10 });
  await stream.next();
  const inside = write.iterate('SELECT 1');
  await inside.next();
  await pool.close({ timeout: 200 });
  const drain = async () => {
    for await (const _ of stream);
  };
  const outcomes = await allSettled({
    'read.get': read.get('SELECT 1'),
    'read.exec': read.exec('SELECT 1'),
    'read.iterate': read.iterate('SELECT 1').next(),
    'write.run': write.run(insert, [5000]),
    'write.commit': write.run('COMMIT'),
    'write.iterate': write.iterate('SELECT 1').next(),
    stream: drain(),
  });
  expect(new Set(Object.values(outcomes))).toEqual(new Set(['POOL_CLOSED']));
  const releases = await allSettled({ read: read.release(), write: write.release() });
  expect(new Set(Object.values(releases))).toEqual(new Set(['resolved']));
  expect(ids(file)).toHaveLength(1000);
});

test('what is held when close is called works on until it is given back', async () => {
  const { pool, file } = await slowPool();
  const read = await pool.lease('read');
  const write = await pool.lease('write');
  const closed = pool.close({ timeout: 600_000 });
  await turn(10);
  await write.run('BEGIN');
  await write.run(insert, [1]);
  await write.run('COMMIT');
  expect(await read.get('SELECT count(*) AS n FROM t')).toEqual({ n: 1 });
  await write.release();
  expect(pool.stats().state).toBe('closing');
  await read.release();
  await closed;
  expect(ids(file)).toEqual([1]);
});

test('close waits for streams that are being read, and no longer', async () => {
  const { pool } = await slowPool();
  await pool.runMany(
    insert,
    Array.from({ length: 1000 }, (_, i) => [i]),
  );
  for (const all of [true, false]) {
    const other = openPool(pool.file, { readers: 1, inlineReads: 'off', busyTimeout: 1234 });
    const stream = other.iterate('SELECT id FROM t', [], { chunkSize: 10 });
    await stream.next();
    // It ends with the stream, or not at all.
    const closed = other.close({ timeout: 600_000 });
    let count = 1;
    for await (const _ of stream) if (++count === 500 && !all) break;
    expect(count).toBe(all ? 1000 : 500);
    await closed;
  }
});

test('listeners that throw, or close again, do not disturb the close', async () => {
  const pool = openPool(freshFile());
  await pool.ready();
  let again: Promise<void> | undefined;
  pool.on('close', () => {
    again = pool.close();
  });
  await pool.close();
  expect(await outcome(again as Promise<void>)).toBe('resolved');
});
