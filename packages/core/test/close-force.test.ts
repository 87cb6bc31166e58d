import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { OtherConnection } from './support/child.ts';
import { allSettled, freshFile, openPool, outcome } from './support/folder.ts';
import { slowPool } from './support/slow.ts';

const insert = 'INSERT INTO t (id) VALUES (?)';
const never = () => new Promise<never>(() => {});

async function* endless() {
  for (let i = 0; ; i++) {
    yield [100_000 + i];
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Work that is under way, and what else waits behind it, when the pool closes by force. */
const underWay: Record<
  string,
  (pool: Awaited<ReturnType<typeof slowPool>>['pool']) => Record<string, Promise<unknown>>
> = {
  'a slow read, and reads behind it': (pool) => ({
    slow: pool.get('SELECT sleep(900)'),
    behind: pool.all('SELECT * FROM t'),
    stream: pool.iterate('SELECT * FROM t').next(),
    snapshot: pool.snapshot((tx) => tx.get('SELECT 1')),
    lease: pool.lease('read'),
  }),
  'a slow write, and writes behind it': (pool) => ({
    slow: pool.run('INSERT INTO t (id, who) VALUES (1, sleep(900))'),
    behind: pool.run(insert, [2]),
    batch: pool.batch([{ sql: insert, params: [3] }]),
    runMany: pool.runMany(insert, [[4], [5]]),
    exec: pool.exec('INSERT INTO t (id) VALUES (6)'),
    transaction: pool.transaction((tx) => tx.run(insert, [7])),
    lease: pool.lease('write'),
    checkpoint: pool.checkpoint(),
    heldRead: pool.get('SELECT count(*) FROM t'),
    limited: pool.run(insert, [8], { timeout: 60_000 }),
  }),
  'a slow statement in a transaction': (pool) => ({
    transaction: pool.transaction(async (tx) => {
      await tx.run(insert, [1]);
      await tx.get('SELECT sleep(900)');
    }),
    behind: pool.run(insert, [2]),
    limited: pool.transaction((tx) => tx.run(insert, [3]), { timeout: 60_000 }),
  }),
  'an idle transaction': (pool) => ({
    transaction: pool.transaction(async (tx) => {
      await tx.run(insert, [1]);
      await never();
    }),
    behind: pool.run(insert, [2]),
  }),
  'a slow statement in a snapshot': (pool) => ({
    snapshot: pool.snapshot((tx) => tx.get('SELECT sleep(900)')),
    idle: pool.snapshot(async (tx) => {
      await tx.get('SELECT 1');
      await never();
    }),
  }),
  'a slow script': (pool) => ({
    exec: pool.exec('INSERT INTO t (id) VALUES (1); SELECT sleep(900);'),
    behind: pool.exec('INSERT INTO t (id) VALUES (2)'),
  }),
  'a bulk without an end': (pool) => ({
    runMany: pool.runMany(insert, endless()),
    behind: pool.runMany(insert, [[1]]),
  }),
  'slow statements in leases': (pool) => ({
    read: pool.lease('read').then((lease) => lease.get('SELECT sleep(900)')),
    write: pool.lease('write').then((lease) => lease.run('UPDATE t SET who = sleep(900)')),
    exec: pool.lease('read').then((lease) => lease.exec('SELECT sleep(900)')),
    stream: pool.lease('read').then((lease) => lease.iterate('SELECT sleep(900)').next()),
  }),
  'a slow stream': (pool) => ({
    stream: pool.iterate('SELECT sleep(900)').next(),
    writing: pool.iterate('INSERT INTO t (id) VALUES (1) RETURNING sleep(900)').next(),
  }),
  'a slow statement that runs alone': (pool) => ({
    attach: pool.run("ATTACH ':memory:' || substr(sleep(900), 9) AS other"),
    behind: pool.run(insert, [1]),
  }),
};

const fair = ['resolved', 'POOL_CLOSED', 'POOL_OUTCOME_UNKNOWN'];

for (const [name, start] of Object.entries(underWay)) {
  test(`close by force answers everybody at once: ${name}`, async () => {
    const { pool, file } = await slowPool();
    await pool.run('INSERT INTO t (id) VALUES (99)');
    const calls = start(pool);
    for (const call of Object.values(calls)) call.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    const started = performance.now();
    const closed = pool.close({ force: true });
    const outcomes = await allSettled(calls, 500);
    for (const [call, each] of Object.entries(outcomes)) expect(fair, call).toContain(each);
    expect(await outcome(closed)).toBe('resolved');
    // The statement that runs cannot be interrupted; nothing that waited behind it was begun.
    expect(performance.now() - started).toBeLessThan(3000);
    const db = new Database(file);
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    db.prepare('INSERT INTO t (id) VALUES (777)').run();
    db.close();
  });
}

test('close by force does not wait for a lock of another process', async () => {
  const file = freshFile();
  const pool = openPool(file, { busyTimeout: 60_000 });
  await pool.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  const other = new OtherConnection(file);
  await other.exec('BEGIN IMMEDIATE');
  const calls = {
    run: pool.run(insert, [1]),
    batch: pool.batch([{ sql: insert, params: [2] }]),
    transaction: pool.transaction((tx) => tx.run(insert, [3])),
    exec: pool.exec('INSERT INTO t VALUES (4)'),
    runMany: pool.runMany(insert, [[5]]),
  };
  await new Promise((resolve) => setTimeout(resolve, 100));
  const started = performance.now();
  const outcomes = await allSettled({ ...calls, closed: pool.close({ force: true }) });
  expect(performance.now() - started).toBeLessThan(2000);
  expect(outcomes.closed).toBe('resolved');
  for (const each of Object.values(outcomes)) expect([...fair, 'SQLITE_BUSY']).toContain(each);
  await other.exec('COMMIT');
});
