import type { Pool } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { OtherConnection } from './support/child.ts';
import { allSettled, freshFile, openPool, outcome } from './support/folder.ts';
import { turn } from './support/observer.ts';
import { slowPool } from './support/slow.ts';

const insert = 'INSERT INTO t (id) VALUES (?)';
const never = () => new Promise<never>(() => {});

let given = 0;
async function* endless() {
  for (given = 0; ; given++) {
    yield [100_000 + given];
    if (given % 100 === 0) await turn();
  }
}

/** Work that is under way, and what else waits behind it, when the pool closes by force. */
const underWay: Record<string, (pool: Pool) => Record<string, Promise<unknown>>> = {
  'a slow read, and reads behind it': (pool) => ({
    slow: pool.get('SELECT held()'),
    behind: pool.all('SELECT * FROM t'),
    stream: pool.iterate('SELECT * FROM t').next(),
    snapshot: pool.snapshot((tx) => tx.get('SELECT 1')),
    lease: pool.lease('read'),
  }),
  'a slow write, and writes behind it': (pool) => ({
    slow: pool.run('INSERT INTO t (id, who) VALUES (1, held())'),
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
      await tx.get('SELECT held()');
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
    snapshot: pool.snapshot((tx) => tx.get('SELECT held()')),
    idle: pool.snapshot(async (tx) => {
      await tx.get('SELECT 1');
      await never();
    }),
  }),
  'a slow script': (pool) => ({
    exec: pool.exec('INSERT INTO t (id) VALUES (1); SELECT held();'),
    behind: pool.exec('INSERT INTO t (id) VALUES (2)'),
  }),
  'a bulk without an end': (pool) => ({
    runMany: pool.runMany(insert, endless()),
    behind: pool.runMany(insert, [[1]]),
  }),
  'slow statements in leases': (pool) => ({
    read: pool.lease('read').then((lease) => lease.get('SELECT held()')),
    write: pool.lease('write').then((lease) => lease.run('UPDATE t SET who = held()')),
    exec: pool.lease('read').then((lease) => lease.exec('SELECT held()')),
    stream: pool.lease('read').then((lease) => lease.iterate('SELECT held()').next()),
  }),
  'a slow stream': (pool) => ({
    stream: pool.iterate('SELECT held()').next(),
    writing: pool.iterate('INSERT INTO t (id) VALUES (1) RETURNING held()').next(),
  }),
  'a slow statement that runs alone': (pool) => ({
    attach: pool.run("ATTACH iif(held(), ':memory:', '') AS other"),
    behind: pool.run(insert, [1]),
  }),
};

/** How those are known to be under way that hold no statement. */
const begun: Record<string, (pool: Pool) => Promise<unknown>> = {
  'an idle transaction': (pool) =>
    expect.poll(() => pool.stats().transactions.heldMs).toBeGreaterThan(0),
  'a bulk without an end': () => expect.poll(() => given).toBeGreaterThan(500),
};

const fair = ['resolved', 'POOL_CLOSED', 'POOL_OUTCOME_UNKNOWN'];

for (const [name, start] of Object.entries(underWay)) {
  test(`close by force answers everybody at once: ${name}`, async () => {
    const { pool, file, hold } = await slowPool();
    await pool.run('INSERT INTO t (id) VALUES (99)');
    hold.close();
    const calls = start(pool);
    for (const call of Object.values(calls)) call.catch(() => {});
    await (begun[name] ?? (() => hold.begun(1)))(pool);
    const closed = pool.close({ force: true });
    // The statement that runs cannot be interrupted, and is held until all have been answered.
    const outcomes = await allSettled(calls);
    for (const [call, each] of Object.entries(outcomes)) expect(fair, call).toContain(each);
    hold.open();
    expect(await outcome(closed)).toBe('resolved');
    const db = new Database(file);
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    db.prepare('INSERT INTO t (id) VALUES (777)').run();
    db.close();
  });
}

test('close by force does not wait for a lock of another process', async () => {
  const file = freshFile();
  const pool = openPool(file, { busyTimeout: 600_000 });
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
  await turn(20);
  // The lock is not given back before all of them have been answered.
  const outcomes = await allSettled({ ...calls, closed: pool.close({ force: true }) });
  expect(outcomes.closed).toBe('resolved');
  for (const each of Object.values(outcomes)) expect([...fair, 'SQLITE_BUSY']).toContain(each);
  await other.exec('COMMIT');
});
