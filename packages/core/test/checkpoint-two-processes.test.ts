import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { Child } from './support/child.ts';
import { freshFile } from './support/folder.ts';
import { TABLE, walBytes } from './support/wal.ts';

const MB = 1e6;

/** Writes and reads beside another process, checkpointing by itself and by hand. */
const program = `
  import { createPool } from '@poolite/core';
  const [file] = process.argv.slice(1);
  const limits = { busyTimeout: 60_000, acquireTimeout: 60_000 };
  const pool = createPool(file, { ...limits, readers: 2, checkpoint: { walPages: 100, walLimit: 4e6 } });
  const told = { written: 0, read: 0, checkpoints: 0, busy: 0, errors: [] };
  pool.on('upkeepError', ({ error }) => told.errors.push(String(error)));
  await pool.ready();
  process.send('ready');
  await new Promise((resolve) => process.once('message', resolve));
  // Until all of it was done often enough beside the other process.
  const enough = () => {
    const { count, resets } = pool.stats().checkpoints;
    return Math.min(told.read, told.checkpoints, count) > 7 && resets > 1;
  };
  let over = false;
  process.on('message', () => { over = true; });
  const loop = async (work) => {
    while (!over) {
      await work().catch((error) => told.errors.push(String(error)));
      if (!told.enough && enough()) {
        told.enough = true;
        process.send('enough');
      }
    }
  };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const blob = Buffer.alloc(3000, 1);
  const write = async () => {
    await Promise.all(Array.from({ length: 8 }, () => pool.run('INSERT INTO t (b) VALUES (?)', [blob])));
    told.written += 8;
    await pause(2);
  };
  const modes = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'];
  await Promise.all([
    loop(write),
    loop(write),
    loop(async () => {
      await pool.get('SELECT count(*) FROM t WHERE id % 7 = 1');
      told.read++;
      await pause(5);
    }),
    loop(async () => {
      const { busy } = await pool.checkpoint(modes[told.checkpoints++ % 4]);
      told.busy += busy;
      await pause(40);
    }),
  ]);
  told.stats = pool.stats().checkpoints;
  await pool.close();
  process.send(told);
  process.disconnect();
`;

interface Told {
  written: number;
  busy: number;
  errors: string[];
  stats: { count: number; resets: number; failed: number };
}

test('two processes checkpoint one file, and neither takes the other for an error', async () => {
  const file = freshFile();
  const db = new Database(file);
  db.exec(`PRAGMA journal_mode = WAL; ${TABLE}`);
  db.close();
  const children = [1, 2].map(() => new Child(program, [file]));
  for (const child of children) expect(await child.message()).toBe('ready');
  for (const child of children) child.process.send('go');
  let peak = 0;
  const peaks = setInterval(() => {
    peak = Math.max(peak, walBytes(file));
  }, 5);
  for (const child of children) expect(await child.message()).toBe('enough');
  for (const child of children) child.process.send('over');
  const both = (await Promise.all(children.map((child) => child.message()))) as Told[];
  clearInterval(peaks);
  const written = both.reduce((sum, told) => sum + told.written, 0);
  const resets = both.reduce((sum, { stats }) => sum + stats.resets, 0);
  const busy = both.reduce((sum, told) => sum + told.busy, 0);
  console.log(
    `${written} rows through a WAL of at most ${(peak / MB).toFixed(1)} MB, emptied ${resets} times; ` +
      `${busy} checkpoints by hand met the other's`,
  );
  for (const { errors, stats } of both) {
    expect(errors).toEqual([]);
    expect(stats.failed).toBe(0);
  }
  const after = new Database(file);
  expect(after.prepare('SELECT count(*) FROM t').pluck().get()).toBe(written);
  expect(after.pragma('integrity_check', { simple: true })).toBe('ok');
  after.close();
  expect(walBytes(file)).toBe(0);
});
