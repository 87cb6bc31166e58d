import { join } from 'node:path';
import type { Pool, PoolOptions } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { freshFolder, openPool, writeModule } from './support/folder.ts';
import { Gate, refuseUnhandled } from './support/observer.ts';
import { BLOB, next, walBytes } from './support/wal.ts';

refuseUnhandled();

const MB = 1e6;

/** A pool on whose connections another database is attached, in WAL mode. */
async function attached(
  options: PoolOptions,
): Promise<{ pool: Pool; file: string; beside: string }> {
  const folder = freshFolder();
  const [file, beside] = [join(folder, 'main.db'), join(folder, 'beside.db')];
  const db = new Database(beside);
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE other (b BLOB)');
  db.close();
  const source = `export default (db) => db.exec("ATTACH '${beside}' AS \\"the other\\"")`;
  const setup = writeModule(file, 'setup.mjs', source);
  const pool = openPool(file, { readers: 2, setup, ...options });
  await pool.ready();
  return { pool, file, beside };
}

/** How many pages are in the WAL of a file alone, seen without the pool. */
function left(file: string): number {
  const db = new Database(file, { readonly: true });
  const [row] = db.pragma('wal_checkpoint(NOOP)') as { log: number; checkpointed: number }[];
  db.close();
  return (row?.log ?? 0) - (row?.checkpointed ?? 0);
}

async function write(pool: Pool, megabytes: number): Promise<void> {
  for (let done = 0; done < megabytes * MB; done += 16 * 4120) {
    const rows = Array.from({ length: 16 }, () => pool.run('INSERT INTO other VALUES (?)', [BLOB]));
    await Promise.all(rows);
  }
}

test('the WAL of an attached database is moved after the interval, where no other is written', async () => {
  const { pool, beside } = await attached({ checkpoint: { interval: 50 } });
  const made = next(pool, 'checkpoint');
  await pool.run("INSERT INTO other VALUES ('a row')");
  expect(await made).toMatchObject({ mode: 'PASSIVE', busy: 0, pages: 1 });
  expect(left(beside)).toBe(0);
});

test.each(['t', 'other'])(
  'what a reader kept in the WAL of %s is moved without another write',
  async (table) => {
    const { pool, file, beside } = await attached({ checkpoint: { interval: 50 } });
    await pool.exec('CREATE TABLE t (b)');
    const gate = new Gate();
    const inside = new Gate();
    const snapshot = pool.snapshot(async (tx) => {
      await tx.get(`SELECT count(*) FROM ${table}`);
      inside.open();
      await gate.opened;
    });
    await inside.opened;
    await pool.run(`INSERT INTO ${table} VALUES ('a row')`);
    // Time for the pool to find that the snapshot is in the way.
    await new Promise((resolve) => setTimeout(resolve, 300));
    gate.open();
    await snapshot;
    const seen = table === 't' ? file : beside;
    await expect.poll(() => left(seen), { interval: 200, timeout: 60_000 }).toBe(0);
  },
);

test('the WAL of an attached database is emptied again and again', async () => {
  const { pool, beside } = await attached({ checkpoint: { walLimit: 4 * MB, interval: 0 } });
  let written = 0;
  let peak = 0;
  for (; pool.stats().checkpoints.resets < 3; written++) {
    await write(pool, 1);
    peak = Math.max(peak, walBytes(beside));
  }
  console.log(`${written} MB through a WAL of at most ${(peak / MB).toFixed(1)} MB (limit 4)`);
  expect(peak).toBeLessThan(written * MB);
  expect(await pool.checkpoint('TRUNCATE')).toMatchObject({ busy: 0 });
  expect(walBytes(beside)).toBe(0);
});

test('who keeps the WAL of an attached database large is named', async () => {
  const { pool, beside } = await attached({ checkpoint: { walLimit: MB, holdLimit: 20 } });
  const gate = new Gate();
  const inside = new Gate();
  const snapshot = pool.snapshot(async (tx) => {
    await tx.get('SELECT count(*) FROM other');
    inside.open();
    await gate.opened;
  });
  await inside.opened;
  const told = next(pool, 'walPinned');
  while (pool.stats().checkpoints.pinned === 0) await write(pool, 0.5);
  const { walBytes: bytes, pins } = await told;
  expect(pins).toMatchObject([{ kind: 'snapshot' }]);
  expect(bytes).toBeGreaterThan(MB);
  gate.open();
  await snapshot;
  while (pool.stats().checkpoints.resets === 0) await write(pool, 0.1);
  await pool.close();
  expect(walBytes(beside)).toBe(0);
});
