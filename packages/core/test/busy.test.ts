import type { Pool, PoolOptions } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { OtherConnection } from './support/child.ts';
import { failure, freshFile, openPool, outcome } from './support/folder.ts';
import { inline } from './support/inline.ts';

const insert = 'INSERT INTO t (id) VALUES (NULL)';

interface Shared {
  file: string;
  pool: Pool;
  other: OtherConnection;
}

async function shared(options?: PoolOptions): Promise<Shared> {
  const file = freshFile();
  const pool = openPool(file, options);
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, who TEXT)');
  await pool.run(insert);
  const other = new OtherConnection(file);
  await other.exec('SELECT 1');
  return { file, pool, other };
}

function later<T>(ms: number, work: () => Promise<T>): Promise<T> {
  return new Promise<void>((resolve) => setTimeout(resolve, ms)).then(work);
}

/** Every way to write. */
const writes: Record<string, (pool: Pool) => Promise<unknown>> = {
  run: (pool) => pool.run(insert),
  query: (pool) => pool.query(insert),
  returning: (pool) => pool.all(`${insert} RETURNING id`),
  batch: (pool) => pool.batch([{ sql: insert }, { sql: insert }]),
  'a group of writes': (pool) =>
    Promise.all([pool.run(insert), pool.run(insert), pool.run(insert)]),
  runMany: (pool) => pool.runMany(insert, [[], [], []]),
  exec: (pool) => pool.exec(`${insert}; ${insert}`),
  'exec with a transaction': (pool) => pool.exec(`BEGIN IMMEDIATE; ${insert}; COMMIT`),
  transaction: (pool) => pool.transaction((tx) => tx.run(insert)),
  'an exclusive transaction': (pool) =>
    pool.transaction((tx) => tx.run(insert), { behavior: 'exclusive' }),
  'a deferred transaction': (pool) =>
    pool.transaction((tx) => tx.run(insert), { behavior: 'deferred' }),
  'a deferred transaction that runs a script': (pool) =>
    pool.transaction((tx) => tx.exec(insert), { behavior: 'deferred' }),
  'a lease': async (pool) => {
    const lease = await pool.lease('write');
    await lease.run(insert).finally(() => lease.release());
  },
  'a lease that begins immediate': async (pool) => {
    const lease = await pool.lease('write');
    const work = async () => {
      await lease.run('BEGIN IMMEDIATE');
      await lease.run(insert);
      await lease.run('COMMIT');
    };
    await work().finally(() => lease.release());
  },
  'a lease that begins deferred': async (pool) => {
    const lease = await pool.lease('write');
    const work = async () => {
      await lease.run('BEGIN');
      await lease.run(insert);
      await lease.run('COMMIT');
    };
    await work().finally(() => lease.release());
  },
  'a lease that streams a write': async (pool) => {
    const lease = await pool.lease('write');
    const stream = lease.iterate(`${insert} RETURNING id`);
    await stream.next().finally(() => lease.release());
  },
  'a stream that writes': (pool) => pool.iterate(`${insert} RETURNING id`).next(),
  'a setting': (pool) => pool.run('PRAGMA user_version = 7'),
  VACUUM: (pool) => pool.run('VACUUM'),
};

test('every way to write waits for a lock that is held for a moment', async () => {
  const { pool, other } = await shared({ busyTimeout: 60_000 });
  for (const [name, write] of Object.entries(writes)) {
    await other.exec('BEGIN IMMEDIATE; INSERT INTO t (who) VALUES (1)');
    const started = performance.now();
    const call = outcome(write(pool));
    const released = later(100, () => other.exec('COMMIT'));
    const code = await call;
    const took = performance.now() - started;
    await released;
    expect(code, name).toBe('resolved');
    expect(took, name).toBeGreaterThan(90);
  }
});

test('every way to write fails with SQLITE_BUSY after busyTimeout, and says what was tried', async () => {
  const { pool, other } = await shared({ busyTimeout: 60 });
  for (const [name, write] of Object.entries(writes)) {
    await other.exec('BEGIN IMMEDIATE; INSERT INTO t (who) VALUES (1)');
    const started = performance.now();
    const error = await failure(write(pool));
    const took = performance.now() - started;
    expect(error.code, name).toBe('SQLITE_BUSY');
    expect(error, name).toBeInstanceOf(Database.SqliteError);
    expect(error.message, name).toMatch(/(tried \d+ times in|waited) \d+ ms, busyTimeout is 60 ms/);
    expect(took, name).toBeGreaterThan(55);
    await other.exec('ROLLBACK');
    expect(await outcome(write(pool)), name).toBe('resolved');
  }
  expect(await pool.get('SELECT count(*) AS n FROM t WHERE who = 1')).toEqual({ n: 0 });
});

test('the wait is told by an event and in the statistics', async () => {
  const { pool, other } = await shared({ busyTimeout: 60_000, retry: { attempts: 7 } });
  let retries = 0;
  pool.on('busy', (event) => {
    retries += event.retries;
  });
  await other.exec('BEGIN IMMEDIATE');
  expect(await outcome(pool.run(insert))).toBe('SQLITE_BUSY');
  await other.exec('COMMIT');
  expect(retries).toBe(7);
  expect(pool.stats().busyRetries).toBe(7);
});

test('reads go on while a write waits for the lock: those that need not see it', async () => {
  const { pool, other } = await shared({ readYourWrites: false, busyTimeout: 60_000 });
  await other.exec('BEGIN IMMEDIATE');
  const write = outcome(pool.run(insert));
  const snapshot = await pool.snapshot((tx) => tx.get('SELECT count(*) AS n FROM t'));
  expect(snapshot).toEqual({ n: 1 });
  expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: 1 });
  expect(await inline(() => pool.get('SELECT count(*) AS n FROM t'), pool)).toEqual({ n: 1 });
  expect(pool.stats().reads.threaded).toBeGreaterThan(0);
  await other.exec('COMMIT');
  expect(await write).toBe('resolved');
});

test('a read that was issued after the write waits for it, and sees it', async () => {
  const { pool, other } = await shared({ busyTimeout: 60_000 });
  await other.exec('BEGIN IMMEDIATE');
  const write = pool.run(insert);
  const read = pool.get('SELECT count(*) AS n FROM t');
  await other.exec('COMMIT');
  await write;
  expect(await read).toEqual({ n: 2 });
});

/** How often a write was tried, and for how many ms, until its attempts had come to their end. */
async function triedOut(retry: NonNullable<PoolOptions['retry']>): Promise<[number, number]> {
  const { pool, other } = await shared({ busyTimeout: 600_000, retry });
  await other.exec('BEGIN IMMEDIATE');
  const error = await failure(pool.run(insert));
  await other.exec('COMMIT');
  expect(error.code).toBe('SQLITE_BUSY');
  const [, times, ms] = /tried (\d+) times in (\d+) ms/.exec(error.message) ?? [];
  return [Number(times), Number(ms)];
}

test.each([0, 1, 5])('%i attempts bound the tries, whatever busyTimeout says', async (attempts) => {
  const [times] = await triedOut({ attempts });
  expect(times).toBe(attempts + 1);
});

// Delays begin after 200 short polls.
test('delays begin with baseDelay', async () => {
  const [times, ms] = await triedOut({ attempts: 203, baseDelay: 150, maxDelay: 150, jitter: 0 });
  expect(times).toBe(204);
  expect(ms).toBeGreaterThan(3 * 150);
});

test('delays never outgrow maxDelay', async () => {
  // By its last they would last for days.
  const [times] = await triedOut({ attempts: 240, baseDelay: 1, maxDelay: 1, jitter: 0 });
  expect(times).toBe(241);
});

test('busyTimeout 0 does not wait at all', async () => {
  const { pool, other } = await shared({ busyTimeout: 0 });
  await other.exec('BEGIN IMMEDIATE');
  const calls = {
    run: pool.run(insert),
    transaction: pool.transaction((tx) => tx.run(insert)),
    exec: pool.exec(insert),
    runMany: pool.runMany(insert, [[]]),
  };
  for (const [name, call] of Object.entries(calls)) {
    const error = await failure(call);
    expect(error.code, name).toBe('SQLITE_BUSY');
    expect(error.message, name).toMatch(/(tried 1 times in|waited) \d+ ms, busyTimeout is 0 ms/);
  }
  expect(pool.stats().busyRetries).toBe(0);
  await other.exec('COMMIT');
  expect(await outcome(pool.run(insert))).toBe('resolved');
});

test('a deferred transaction that read before another process wrote: SQLITE_BUSY_SNAPSHOT at once', async () => {
  const { pool, other } = await shared();
  const lease = await pool.lease('write');
  await lease.run('BEGIN DEFERRED');
  await lease.get('SELECT count(*) FROM t');
  await other.exec(insert);
  const error = await failure(lease.run(insert));
  expect(error.code).toBe('SQLITE_BUSY_SNAPSHOT');
  // Nothing was tried again.
  expect(pool.stats().busyRetries).toBe(0);
  expect(lease.inTransaction).toBe(true);
  await lease.run('ROLLBACK');
  await lease.run('BEGIN IMMEDIATE');
  await lease.run(insert);
  await lease.run('COMMIT');
  await lease.release();
  const whole = pool.transaction(
    async (tx) => {
      await tx.get('SELECT count(*) FROM t');
      await other.exec(insert);
      await tx.run(insert);
    },
    { behavior: 'deferred' },
  );
  expect(await outcome(whole)).toBe('SQLITE_BUSY_SNAPSHOT');
  expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: 4 });
});

test('a checkpoint behind a reader of another process tells that it could not finish', async () => {
  const { pool, other } = await shared({ busyTimeout: 150 });
  await other.exec('BEGIN; SELECT * FROM t');
  await pool.run(insert);
  const passive = await pool.checkpoint('PASSIVE');
  expect(passive.checkpointed).toBeLessThan(passive.log);
  expect((await pool.checkpoint('TRUNCATE')).busy).toBe(1);
  await other.exec('COMMIT');
  expect(await pool.checkpoint('TRUNCATE')).toEqual({ busy: 0, log: 0, checkpointed: 0 });
});

/** In rollback mode a writer keeps readers out while it commits: a pool may read such a file. */
async function rollbackFile(): Promise<{ file: string; other: OtherConnection }> {
  const file = freshFile();
  const db = new Database(file);
  db.exec('PRAGMA journal_mode = DELETE; CREATE TABLE t (id INTEGER PRIMARY KEY)');
  db.close();
  const other = new OtherConnection(file);
  await other.exec('SELECT 1');
  return { file, other };
}

const reads: Record<string, (pool: Pool) => Promise<unknown>> = {
  'a quick read': (pool) => pool.get('SELECT count(*) AS n FROM t'),
  'a new read': (pool) => pool.all('SELECT id FROM t'),
  'a snapshot': (pool) => pool.snapshot((tx) => tx.get('SELECT count(*) FROM t')),
  'a stream': (pool) => pool.iterate('SELECT id FROM t').next(),
};

test('every way to read waits for an exclusive lock, and no longer than busyTimeout', async () => {
  const { file, other } = await rollbackFile();
  const open = (busyTimeout: number) => openPool(file, { readonly: true, busyTimeout });
  const [patient, hasty] = [open(60_000), open(60)];
  for (const pool of [patient, hasty]) {
    await inline(() => pool.get('SELECT count(*) AS n FROM t'), pool);
  }
  for (const [name, read] of Object.entries(reads)) {
    await other.exec('BEGIN EXCLUSIVE; INSERT INTO t VALUES (NULL)');
    expect(await outcome(read(hasty)), name).toBe('SQLITE_BUSY');
    const call = outcome(read(patient));
    const released = later(50, () => other.exec('COMMIT'));
    expect(await call, name).toBe('resolved');
    await released;
    expect(await outcome(read(hasty)), name).toBe('resolved');
  }
  expect(await patient.get('SELECT count(*) AS n FROM t')).toEqual({ n: 4 });
});
