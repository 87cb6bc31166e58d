import { existsSync } from 'node:fs';
import type { Pool, PoolOptions } from '@poolite/core';
import { expect, test } from 'vitest';
import { OtherConnection } from './support/child.ts';
import { allSettled, freshFile, openPool, outcome } from './support/folder.ts';
import { inline } from './support/inline.ts';
import { fileOf, Gate, refuseUnhandled, turn } from './support/observer.ts';
import { slowPool } from './support/slow.ts';
import { next, TABLE, walBytes, write } from './support/wal.ts';

const MB = 1e6;

refuseUnhandled();

async function pooled(options?: PoolOptions): Promise<{ pool: Pool; file: string }> {
  const file = freshFile();
  const pool = openPool(file, { readers: 2, ...options });
  await pool.exec(TABLE);
  await pool.ready();
  return { pool, file };
}

/** A pool whose WAL somebody is in the way of emptying, until the gate is opened. */
async function pinned(options?: PoolOptions) {
  const { pool, file, hold } = await slowPool({
    readers: 2,
    busyTimeout: 120_000,
    checkpoint: { walPages: 1e6, interval: 0 },
    ...options,
  });
  await pool.exec('CREATE TABLE u (b BLOB)');
  // Known as slow, and as quick: also where a run or two of it took long by accident.
  await pool.all('SELECT sleep(20)');
  for (let i = 0; i < 60; i++) await pool.all('SELECT id FROM t WHERE id = 1');
  const gate = new Gate();
  const inside = new Gate();
  const snapshot = pool.snapshot(async (tx) => {
    await tx.get('SELECT count(*) FROM t');
    inside.open();
    await gate.opened;
    return tx.get('SELECT count(*) AS n FROM t');
  });
  await inside.opened;
  await pool.run("INSERT INTO t (who) VALUES ('after the snapshot')");
  return { pool, file, hold, gate, snapshot };
}

/** Waits until so many reads are held. */
async function held(pool: Pool, queued: number): Promise<void> {
  await expect.poll(() => pool.stats().reads.queued).toBeGreaterThanOrEqual(queued);
}

test('reads that may be slow wait until the WAL is empty, quick ones and writes do not', async () => {
  const { pool, gate, snapshot } = await pinned();
  const emptied = pool.checkpoint('TRUNCATE');
  await turn(5);
  const order: string[] = [];
  const note = (name: string) => () => void order.push(name);
  const waiting = [
    pool.all('SELECT sleep(20)').then(note('a slow read')),
    pool.all("SELECT 'never seen before'").then(note('an unknown read')),
    pool.snapshot((tx) => tx.get('SELECT 1')).then(note('a snapshot')),
    pool.iterate('SELECT 1').next().then(note('a stream')),
  ];
  await held(pool, 2);
  await pool.all('SELECT id FROM t WHERE id = 1').then(note('a quick read'));
  await pool.run("INSERT INTO t (who) VALUES ('x')").then(note('a write'));
  await pool.transaction((tx) => tx.run('DELETE FROM u')).then(note('a transaction'));
  expect(order).toEqual(['a quick read', 'a write', 'a transaction']);
  gate.open();
  await emptied.then(note('empty'));
  await Promise.all(waiting);
  expect(order[3]).toBe('empty');
  expect(order.slice(4).sort()).toEqual([
    'a slow read',
    'a snapshot',
    'a stream',
    'an unknown read',
  ]);
  expect(await emptied).toEqual({ busy: 0, log: 0, checkpointed: 0 });
  expect(await snapshot).toEqual({ n: 0 });
  const { holds } = pool.stats().checkpoints;
  expect(holds.slowReads.count).toBe(1);
  expect(holds.slowReads.max).toBeGreaterThan(holds.reads.max);
  expect(holds.reads.count).toBe(1);
  expect(holds.writes.count).toBe(1);
});

test('a lease that is held and idle is in nobody’s way, and waits with its next statement', async () => {
  const { pool, gate } = await pinned();
  const lease = await pool.lease('read');
  await lease.get('SELECT count(*) FROM t');
  const emptied = pool.checkpoint('TRUNCATE');
  await turn(5);
  let answered = false;
  const read = lease.get<{ n: number }>('SELECT count(*) AS n FROM t').then((row) => {
    answered = true;
    return row;
  });
  for (let i = 0; i < 3; i++) await pool.all('SELECT id FROM t WHERE id = 1');
  expect(answered).toBe(false);
  gate.open();
  expect(await emptied).toMatchObject({ busy: 0 });
  expect(await read).toEqual({ n: 1 });
  await lease.release();
});

test('what a thread has and has not begun is taken back', async () => {
  const { pool, hold, gate } = await pinned({ readers: 1 });
  hold.close();
  const running = pool.all('SELECT held()');
  const behind = pool.all('SELECT sleep(20)');
  await hold.begun(1);
  const emptied = pool.checkpoint('TRUNCATE');
  await held(pool, 1);
  hold.open();
  gate.open();
  await running;
  expect(await emptied).toMatchObject({ busy: 0 });
  expect(await behind).toEqual([{ 'sleep(20)': 20 }]);
});

test('a slow read inside a transaction passes: the checkpoint will wait for the transaction', async () => {
  const { pool, gate } = await pinned();
  const begun = new Gate();
  const go = new Gate();
  const transaction = pool.transaction(async (tx) => {
    await tx.run("INSERT INTO t (who) VALUES ('y')");
    begun.open();
    await go.opened;
    const [row] = await pool.all('SELECT sleep(20)');
    await pool.snapshot((snapshot) => snapshot.get('SELECT 1'));
    return row;
  });
  await begun.opened;
  const emptied = pool.checkpoint('TRUNCATE');
  await turn(5);
  go.open();
  expect(await transaction).toEqual({ 'sleep(20)': 20 });
  gate.open();
  expect(await emptied).toMatchObject({ busy: 0 });
});

test('reads on the calling thread wait for the last moment only, and run there again after it', async () => {
  const { pool, file } = await pooled({ busyTimeout: 600_000 });
  await write(pool, 0.1);
  const read = () => pool.get('SELECT id FROM t WHERE id = 1');
  await inline(read, pool);
  // Another process keeps the last step from its lock: it is tried again and again.
  const other = new OtherConnection(file);
  await other.exec('BEGIN IMMEDIATE');
  const emptied = pool.checkpoint('TRUNCATE');
  const held = () => pool.stats().checkpoints.holds.reads.count;
  let longest = 0;
  let quick = 0;
  // Between two last moments they are not held.
  while (held() < 2 || longest < 20 || quick <= held()) {
    const started = performance.now();
    await read();
    const took = performance.now() - started;
    longest = Math.max(longest, took);
    if (took < 20) quick++;
  }
  await other.exec('COMMIT');
  expect(await emptied).toMatchObject({ busy: 0 });
  await inline(read, pool);
});

test('a held read can be given up, by its signal and its timeout', async () => {
  const { pool, gate } = await pinned();
  const emptied = pool.checkpoint('TRUNCATE');
  await turn(5);
  const abort = new AbortController();
  const aborted = outcome(pool.all('SELECT sleep(20)', [], { signal: abort.signal }));
  const late = outcome(pool.all('SELECT sleep(20)', [], { timeout: 30 }));
  const noSnapshot = outcome(pool.snapshot((tx) => tx.get('SELECT 1'), { acquireTimeout: 30 }));
  // The others may have been given up by then.
  await held(pool, 1);
  abort.abort();
  expect([await aborted, await late, await noSnapshot]).toEqual([
    'POOL_ABORTED',
    'POOL_TIMEOUT',
    'POOL_TIMEOUT',
  ]);
  expect(pool.stats().reads.queued).toBe(0);
  gate.open();
  expect(await emptied).toMatchObject({ busy: 0 });
});

test('closing while reads are held does what was asked for; by force it refuses it', async () => {
  for (const force of [false, true]) {
    const { pool, gate, snapshot } = await pinned();
    const calls = {
      emptied: pool.checkpoint('TRUNCATE'),
      snapshot,
      slow: turn(5).then(() => pool.all('SELECT sleep(20)')),
    };
    await held(pool, 1);
    const closed = pool.close({ force, timeout: 600_000 });
    if (!force) gate.open();
    const outcomes = await allSettled(calls);
    await closed;
    gate.open();
    expect(new Set(Object.values(outcomes))).toEqual(new Set([force ? 'POOL_CLOSED' : 'resolved']));
  }
});

const holders: Record<string, (pool: Pool, gate: Gate, inside: Gate) => Promise<unknown>> = {
  snapshot: (pool, gate, inside) =>
    pool.snapshot(async (tx) => {
      await tx.get('SELECT count(*) FROM t');
      inside.open();
      await gate.opened;
    }),
  lease: async (pool, gate, inside) => {
    await using lease = await pool.lease('read');
    await lease.run('BEGIN');
    await lease.get('SELECT count(*) FROM t');
    inside.open();
    await gate.opened;
    await lease.run('COMMIT');
  },
  stream: async (pool, gate, inside) => {
    for await (const _row of pool.iterate('SELECT id FROM t', [], { chunkSize: 1 })) {
      inside.open();
      await gate.opened;
    }
  },
};

test.each(Object.keys(holders))('a %s that keeps the WAL large is named', async (kind) => {
  const { pool, file } = await pooled({ checkpoint: { walLimit: 2 * MB, holdLimit: 50 } });
  await write(pool, 0.1);
  const gate = new Gate();
  const inside = new Gate();
  const holding = (holders[kind] as (typeof holders)[string])(pool, gate, inside);
  await inside.opened;
  const told = next(pool, 'walPinned');
  const writing = (async () => {
    while (pool.stats().checkpoints.pinned === 0) await write(pool, 0.5);
  })();
  const { at, walBytes: bytes, pins } = await told;
  expect(at).toBe('limit');
  expect(bytes).toBeGreaterThan(2 * MB);
  expect(pins).toHaveLength(1);
  const [pin] = pins;
  expect(pin).toMatchObject({ kind });
  expect(pin?.ageMs).toBeGreaterThan(0);
  expect(pin?.openedAt).toContain(fileOf(import.meta));
  await writing;
  gate.open();
  await holding;
  // As soon as it has ended, the WAL is emptied by itself.
  const emptied = next(pool, 'checkpoint', ({ mode, busy }) => mode !== 'PASSIVE' && busy === 0);
  const going = (async () => {
    while (pool.stats().checkpoints.resets === 0) await write(pool, 0.1);
  })();
  expect((await emptied).mode).toBe('TRUNCATE');
  await going;
  expect(walBytes(file)).toBeLessThan(bytes);
});

test.each(['has begun to read from it', 'began when it was empty'])(
  'another process that keeps the WAL large and %s is named by its number',
  async (when) => {
    const { pool, file } = await pooled({ checkpoint: { walLimit: 2 * MB } });
    await write(pool, 0.1);
    if (when === 'began when it was empty') await pool.checkpoint('TRUNCATE');
    const other = new OtherConnection(file);
    await other.exec('BEGIN; SELECT count(*) FROM t');
    const told = next(pool, 'walPinned');
    while (pool.stats().checkpoints.pinned === 0) await write(pool, 0.5);
    const { pins } = await told;
    const pid = other.process.pid as number;
    const wanted = existsSync('/proc/locks') ? { kind: 'process', pid } : { kind: 'unknown' };
    expect(pins).toMatchObject([wanted]);
    if (pins[0]?.kind === 'process') expect(pins[0].ageMs).toBeGreaterThan(0);
    await other.exec('COMMIT');
  },
);

test('with backpressure writes slow down while the WAL is too large, and not after', async () => {
  const { pool } = await pooled({
    checkpoint: { walLimit: MB, holdLimit: 20, backpressure: true },
  });
  // The upkeep thread is up: nothing outgrows its start.
  await pool.checkpoint();
  const gate = new Gate();
  const inside = new Gate();
  const snapshot = (holders.snapshot as (typeof holders)[string])(pool, gate, inside);
  await inside.opened;
  while (pool.stats().checkpoints.pinned === 0) await write(pool, 0.05);
  const one = async () => {
    const started = performance.now();
    await pool.run('INSERT INTO t (b) VALUES (1)');
    return performance.now() - started;
  };
  // The more it is too large, the slower they are.
  while ((await one()) < 25);
  gate.open();
  await snapshot;
  while (pool.stats().checkpoints.resets === 0) await one();
  await one();
  const times: number[] = [];
  for (let i = 0; i < 20; i++) times.push(await one());
  expect(Math.min(...times)).toBeLessThan(25);
});

test('under readers that overlap and many writers the WAL is emptied again and again', async () => {
  const { pool, file } = await pooled({ readers: 3, checkpoint: { walLimit: 8 * MB } });
  await write(pool, 0.1);
  let going = true;
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const readers = Array.from({ length: 3 }, async (_, i) => {
    await pause(i * 60);
    while (going) {
      await pool.snapshot(async (tx) => {
        await tx.get('SELECT max(id) FROM t');
        await pause(180);
        await tx.get('SELECT max(id) FROM t');
      });
    }
  });
  let written = 0;
  let peak = 0;
  // For ever, where readers kept it from being emptied.
  while (pool.stats().checkpoints.resets < 3) {
    await write(pool, 1);
    written += MB;
    peak = Math.max(peak, walBytes(file));
    await pause(20);
  }
  going = false;
  await Promise.all(readers);
  const { resets, holds } = pool.stats().checkpoints;
  console.log(
    `${written / MB} MB through a WAL of at most ${(peak / MB).toFixed(1)} MB (limit 8), emptied ${resets} times; ` +
      `slow reads held ${holds.slowReads.max.toFixed(0)} ms at most, all ${holds.reads.max.toFixed(0)} ms`,
  );
  expect(peak).toBeLessThan(written);
  expect(holds.reads.count).toBeGreaterThanOrEqual(resets);
});
