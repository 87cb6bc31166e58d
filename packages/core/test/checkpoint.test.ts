import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { channels, createPool, type Pool, PoolError, type PoolOptions } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { OtherConnection, runScript } from './support/child.ts';
import { failure, freshFile, openPool, outcome, writeModule } from './support/folder.ts';
import { Gate, refuseUnhandled } from './support/observer.ts';
import { BLOB, next, TABLE, walBytes, write } from './support/wal.ts';

const MB = 1e6;

refuseUnhandled();

async function pooled(options?: PoolOptions): Promise<{ pool: Pool; file: string }> {
  const file = freshFile();
  const pool = openPool(file, { readers: 1, ...options });
  await pool.exec(TABLE);
  return { pool, file };
}

test('what gathers in the WAL is moved beside the writer, and SQLite begins anew in it', async () => {
  const { pool, file } = await pooled({ checkpoint: { walPages: 200 } });
  const first = next(pool, 'checkpoint');
  await write(pool, 2);
  const message = await first;
  expect(message).toMatchObject({ file, mode: 'PASSIVE', busy: 0 });
  expect(message.pages).toBeGreaterThanOrEqual(200);
  expect(message.held).toEqual({ slowReads: 0, reads: 0, writes: 0 });
  // Whoever writes slowly enough never lets it grow: it is all moved now and then.
  for (let i = 0; i < 10; i++) {
    await write(pool, 1);
    await pool.checkpoint();
  }
  expect(walBytes(file)).toBeLessThan(4 * MB);
  const { checkpoints } = pool.stats();
  expect(checkpoints.pages).toBeGreaterThan((12 * MB) / 4120 / 2);
  expect(checkpoints.latency.count).toBe(checkpoints.count);
  expect(checkpoints.holds.writes.count).toBe(0);
});

test('a writer that never rests does not let the WAL grow without end', async () => {
  const { pool, file } = await pooled({ checkpoint: { walLimit: 12 * MB } });
  await pool.checkpoint();
  let written = 0;
  // Without an end, it would never be begun anew.
  const writer = async () => {
    while (pool.stats().checkpoints.resets < 3) {
      await write(pool, 1);
      written += MB;
    }
  };
  await Promise.all([writer(), writer()]);
  const wal = walBytes(file);
  console.log(`${written / MB} MB went through a WAL of ${(wal / MB).toFixed(1)} MB`);
  // The file keeps the size of what it held at the most.
  expect(wal).toBeLessThan(written);
});

test('what is little is moved after the interval', async () => {
  const { pool, file } = await pooled({ checkpoint: { interval: 100 } });
  await pool.run('INSERT INTO t (b) VALUES (?)', [BLOB]);
  const copy = new Database(file, { readonly: true });
  const state = () => (copy.pragma('wal_checkpoint(NOOP)') as Record<string, number>[])[0];
  await expect.poll(() => state()?.log === state()?.checkpointed).toBe(true);
  expect(state()?.log).toBeGreaterThan(0);
  copy.close();
  // It is told once it is known here.
  await expect.poll(() => pool.stats().checkpoints.count).toBeGreaterThan(0);
  expect(pool.stats().checkpoints.resets).toBe(0);
  // Nothing is written: nothing more is done.
  const { count } = pool.stats().checkpoints;
  await new Promise((resolve) => setTimeout(resolve, 350));
  expect(pool.stats().checkpoints.count).toBe(count);
});

test('a script that writes little ends without an upkeep thread, and is held up by no timer', async () => {
  const file = freshFile();
  const ended = await runScript(
    `import { createPool } from '@poolite/core';
    const pool = createPool(process.argv[1], { readers: 1, checkpoint: { interval: 600_000 } });
    await pool.exec('CREATE TABLE t (b)');
    for (let i = 0; i < 100; i++) await pool.run('INSERT INTO t VALUES (?)', [i]);
    const { workers } = process.report.getReport();
    console.log(workers.length, pool.stats().checkpoints.count);`,
    { args: [file] },
  );
  expect(ended).toMatchObject({ code: 0, signal: null, stdout: '2 0\n' });
});

test('an upkeep thread keeps no process alive', async () => {
  const ended = await runScript(
    `import { createPool } from '@poolite/core';
    const pool = createPool(process.argv[1], { readers: 1 });
    await pool.exec('CREATE TABLE t (b)');
    await pool.checkpoint();
    const { workers } = process.report.getReport();
    console.log(workers.length, pool.stats().checkpoints.count);`,
    { args: [freshFile()] },
  );
  expect(ended).toMatchObject({ code: 0, stdout: '3 1\n' });
});

test('a checkpoint by hand tells what it did, in all four modes', async () => {
  const { pool, file } = await pooled({ checkpoint: { walPages: 1e6 } });
  for (const mode of ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const) {
    await write(pool, 0.2);
    const told = await pool.checkpoint(mode);
    expect(told.busy).toBe(0);
    expect(told.checkpointed).toBe(told.log);
    expect(told.log > 40, mode).toBe(mode !== 'TRUNCATE');
    expect(Object.keys(told).sort()).toEqual(['busy', 'checkpointed', 'log']);
  }
  expect(walBytes(file)).toBe(0);
  expect(await pool.checkpoint()).toEqual({ busy: 0, log: 0, checkpointed: 0 });
  const error = await failure(pool.checkpoint('BRISK' as never));
  expect(error).toMatchObject({ code: 'POOL_MISUSE' });
  expect(error.message).toContain('PASSIVE, FULL, RESTART, TRUNCATE');
});

test('it waits for the writes that were issued before it', async () => {
  const { pool, file } = await pooled();
  void write(pool, 0.1);
  await pool.checkpoint('TRUNCATE');
  const copy = new Database(file, { readonly: true });
  expect(copy.prepare('SELECT count(*) FROM t').pluck().get()).toBeGreaterThan(0);
  copy.close();
});

test('PASSIVE by hand goes on beside a transaction, also from within it', async () => {
  const { pool } = await pooled();
  await pool.transaction(async (tx) => {
    await tx.run('INSERT INTO t (b) VALUES (1)');
    expect(await pool.checkpoint()).toMatchObject({ busy: 0 });
    expect(await outcome(pool.checkpoint('FULL'))).toBe('POOL_DEADLOCK');
    await tx.run('INSERT INTO t (b) VALUES (2)');
  });
  expect(await pool.get('SELECT count(*) AS n FROM t')).toEqual({ n: 2 });
});

test.each(['FULL', 'RESTART', 'TRUNCATE'] as const)(
  '%s behind a reader of this pool waits for it, and at most busyTimeout',
  async (mode) => {
    const { pool } = await pooled({ busyTimeout: 300, checkpoint: { walPages: 1e6 } });
    await write(pool, 0.1);
    await pool.snapshot(async (tx) => {
      await tx.get('SELECT count(*) FROM t');
      await write(pool, 0.1);
      const started = performance.now();
      expect(await pool.checkpoint(mode)).toMatchObject({ busy: 1 });
      expect(performance.now() - started).toBeGreaterThan(290);
    });
    await pool.close();
    const patient = openPool(pool.file, { readers: 1, busyTimeout: 120_000 });
    await write(patient, 0.1);
    let ended = false;
    const inside = new Gate();
    const snapshot = patient.snapshot(async (tx) => {
      await tx.get('SELECT count(*) FROM t');
      inside.open();
      await new Promise((resolve) => setTimeout(resolve, 50));
      ended = true;
    });
    await inside.opened;
    expect(await patient.checkpoint(mode)).toMatchObject({ busy: 0 });
    expect(ended).toBe(true);
    await snapshot;
  },
);

test.each(['FULL', 'RESTART', 'TRUNCATE'] as const)(
  '%s behind a lease that keeps the writer is told as busy after busyTimeout',
  async (mode) => {
    const { pool } = await pooled({ busyTimeout: 60, checkpoint: { walPages: 1e6 } });
    const lease = await pool.lease('write');
    await lease.run('INSERT INTO t (b) VALUES (1)');
    const told = await pool.checkpoint(mode);
    expect(told).toMatchObject({ busy: 1 });
    expect(told.log).toBeGreaterThan(0);
    await lease.release();
    expect(await pool.checkpoint(mode)).toMatchObject({ busy: 0 });
  },
);

test('a lease that keeps the writer is no error where the WAL should be emptied', async () => {
  const checkpoint = { walPages: 50, walLimit: MB, holdLimit: 20 };
  const { pool } = await pooled({ checkpoint });
  const told = next(pool, 'walPinned');
  const lease = await pool.lease('write');
  while (pool.stats().checkpoints.pinned === 0)
    await lease.run('INSERT INTO t (b) VALUES (?)', [BLOB]);
  await told;
  await lease.release();
  expect(pool.stats().checkpoints.failed).toBe(0);
});

test('in memory there is no WAL: by hand it says so, and the option is ignored', async () => {
  const pool = openPool(':memory:', { checkpoint: { walPages: 1, interval: 1 } });
  await pool.exec(TABLE);
  await pool.run('INSERT INTO t (b) VALUES (1)');
  for (const mode of ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const) {
    expect(await pool.checkpoint(mode)).toEqual({ busy: 0, log: -1, checkpointed: -1 });
  }
  expect(pool.stats().checkpoints.count).toBe(0);
  await openPool(':memory:', { checkpoint: 'hands-off' }).get('SELECT 1');
});

test('a readonly pool leaves the WAL to whoever writes it', async () => {
  const { pool: writing, file } = await pooled({ checkpoint: { walPages: 1e6 } });
  await write(writing, 0.1);
  const pool = openPool(file, { readonly: true, readers: 1, checkpoint: { interval: 1 } });
  expect(await pool.get('SELECT count(*) > 0 AS some FROM t')).toEqual({ some: 1 });
  const error = await failure(pool.checkpoint());
  expect(error).toMatchObject({ code: 'POOL_MISUSE' });
  expect(error.message).toContain('readonly');
  const size = walBytes(file);
  await pool.close();
  expect(walBytes(file)).toBe(size);
});

test.each([
  [{ checkpoint: 'hands-of' }, "option 'checkpoint' must be 'hands-off' or an object"],
  [{ checkpoint: false }, "option 'checkpoint' must be an object"],
  [{ checkpoint: { walpages: 1 } }, "unknown option 'checkpoint.walpages'"],
  [{ checkpoint: { walPages: 0 } }, "option 'checkpoint.walPages' must be a whole number from 1"],
  [
    { checkpoint: { walLimit: 65_535 } },
    "option 'checkpoint.walLimit' must be a whole number of bytes",
  ],
  [{ checkpoint: { interval: -1 } }, "option 'checkpoint.interval' must be a whole number of ms"],
  [
    { checkpoint: { holdLimit: 1.5 } },
    "option 'checkpoint.holdLimit' must be a whole number of ms",
  ],
  [{ checkpoint: { backpressure: 1 } }, "option 'checkpoint.backpressure' must be true or false"],
  [{ pragmas: { wal_autocheckpoint: 0 } }, "see the option 'checkpoint'"],
])('refuses %j', (options, message) => {
  const open = () => createPool(freshFile(), options as never);
  expect(open).toThrow(message);
  expect(open).toThrow(PoolError);
});

/** A pool whose setup does `what` on each new connection, as long as the file `broken` is there. */
async function breakable(what: string): Promise<{ pool: Pool; broken: string }> {
  const file = freshFile();
  const broken = join(dirname(file), 'broken');
  const setup = writeModule(
    file,
    'breakable.mjs',
    `import { existsSync } from 'node:fs';
    export default () => { if (existsSync(${JSON.stringify(broken)})) ${what}; };`,
  );
  const pool = openPool(file, {
    readers: 1,
    setup,
    inlineReads: 'off',
    checkpoint: { walPages: 50 },
  });
  await pool.exec(TABLE);
  await pool.ready();
  writeFileSync(broken, '');
  return { pool, broken };
}

test('an upkeep thread that dies is reported, and the next checkpoint starts another', async () => {
  const { pool, broken } = await breakable('process.exit(7)');
  const lost = next(pool, 'threadLost');
  const told = next(pool, 'upkeepError');
  await write(pool, 1);
  expect(await lost).toMatchObject({ role: 'upkeep' });
  expect(await told).toMatchObject({ task: 'checkpoint', error: { code: 'POOL_THREAD_LOST' } });
  expect(await outcome(pool.checkpoint('TRUNCATE'))).toBe('POOL_THREAD_LOST');
  rmSync(broken);
  expect(await pool.checkpoint('TRUNCATE')).toEqual({ busy: 0, log: 0, checkpointed: 0 });
  expect(pool.stats().checkpoints.failed).toBeGreaterThan(0);
});

test('an upkeep thread that cannot open the file says why, and the pool works on', async () => {
  const { pool, broken } = await breakable("throw new Error('no key')");
  expect((await failure(pool.checkpoint())).message).toContain('no key');
  const told = next(pool, 'upkeepError');
  await write(pool, 1);
  expect(String((await told).error)).toContain('no key');
  rmSync(broken);
  expect(await pool.checkpoint()).toMatchObject({ busy: 0 });
  await pool.run('INSERT INTO t (b) VALUES (1)');
});

test('the channels tell the same as the events', async () => {
  const { pool, file } = await pooled();
  const heard: unknown[] = [];
  const listener = (message: unknown) => heard.push(message);
  channels.checkpoint.subscribe(listener);
  onTestFinished(() => void channels.checkpoint.unsubscribe(listener));
  const told = next(pool, 'checkpoint', ({ mode }) => mode === 'TRUNCATE');
  await pool.checkpoint('TRUNCATE');
  expect(heard.at(-1)).toEqual(await told);
  expect(await told).toMatchObject({ file, busy: 0, log: 0 });
});

test('closing tells who keeps the WAL from being empty', async () => {
  const { pool, file } = await pooled();
  await write(pool, 0.1);
  const other = new OtherConnection(file);
  await other.exec('BEGIN; SELECT count(*) FROM t');
  await write(pool, 0.1);
  const told = next(pool, 'walPinned');
  await pool.close();
  const { at, walBytes: bytes, pins } = await told;
  expect({ at, bytes }).toEqual({ at: 'close', bytes: walBytes(file) });
  const pid = other.process.pid as number;
  const wanted = existsSync('/proc/locks') ? { kind: 'process', pid } : { kind: 'unknown' };
  expect(pins).toMatchObject([wanted]);
  await other.exec('COMMIT');
});

test('closing tells nothing where the WAL is empty', async () => {
  const { pool, file } = await pooled();
  let told = 0;
  pool.on('walPinned', () => told++);
  await write(pool, 0.1);
  await pool.close();
  expect(told).toBe(0);
  expect(walBytes(file)).toBe(0);
});
