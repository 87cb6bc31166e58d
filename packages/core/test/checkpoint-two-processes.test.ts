import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { Child } from './support/child.ts';
import { freshFile } from './support/folder.ts';
import { TABLE, walBytes } from './support/wal.ts';

const MB = 1e6;

/** Writes and reads beside another process, checkpointing by itself and by hand. */
const program = `
  import { createPool } from '@poolite/core';
  const [file, ms] = process.argv.slice(1);
  const pool = createPool(file, { readers: 2, checkpoint: { walPages: 100, walLimit: 4e6 } });
  const told = { written: 0, read: 0, checkpoints: 0, busy: 0, errors: [] };
  pool.on('upkeepError', ({ error }) => told.errors.push(String(error)));
  await pool.ready();
  process.send('ready');
  await new Promise((resolve) => process.once('message', resolve));
  const end = performance.now() + Number(ms);
  const loop = async (work) => {
    while (performance.now() < end) await work().catch((error) => told.errors.push(String(error)));
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
  read: number;
  checkpoints: number;
  busy: number;
  errors: string[];
  stats: { count: number; resets: number; failed: number };
}

test('two processes checkpoint one file, and neither takes the other for an error', async () => {
  const file = freshFile();
  const db = new Database(file);
  db.exec(`PRAGMA journal_mode = WAL; ${TABLE}`);
  db.close();
  const children = [1, 2].map(() => new Child(program, [file, '2500']));
  for (const child of children) expect(await child.message()).toBe('ready');
  for (const child of children) child.process.send('go');
  let peak = 0;
  const peaks = setInterval(() => {
    peak = Math.max(peak, walBytes(file));
  }, 5);
  const both = (await Promise.all(children.map((child) => child.message()))) as Told[];
  clearInterval(peaks);
  const written = both.reduce((sum, told) => sum + told.written, 0);
  const resets = both.reduce((sum, { stats }) => sum + stats.resets, 0);
  const busy = both.reduce((sum, told) => sum + told.busy, 0);
  console.log(
    `${written} rows through a WAL of at most ${(peak / MB).toFixed(1)} MB, emptied ${resets} times; ` +
      `${busy} checkpoints by hand met the other's`,
  );
  for (const { errors, stats, checkpoints, read } of both) {
    expect(errors).toEqual([]);
    expect(stats.failed).toBe(0);
    expect(stats.count).toBeGreaterThan(3);
    expect(checkpoints).toBeGreaterThan(3);
    expect(read).toBeGreaterThan(3);
  }
  expect(resets).toBeGreaterThan(1);
  expect(peak).toBeLessThan(40 * MB);
  const after = new Database(file);
  expect(after.prepare('SELECT count(*) FROM t').pluck().get()).toBe(written);
  expect(after.pragma('integrity_check', { simple: true })).toBe('ok');
  after.close();
  expect(walBytes(file)).toBe(0);
});
