import { execFile } from 'node:child_process';
import { closeSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BackupOptions, createPool } from '@poolite/core';
import Database from 'better-sqlite3';
import type { Scenario } from '../harness.ts';

const MEGABYTES = 150;
const CALLERS = 8;
/** How long each caller waits between two writes, in ms. */
const THINK = 2;
const CALM = 1500;

function fill(file: string): void {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec(`
    CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, body BLOB);
    CREATE INDEX by_name ON item (name);
    CREATE TABLE hit (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
    INSERT INTO hit VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0);
  `);
  const insert = db.prepare('INSERT INTO item (name, body) VALUES (?, randomblob(900))');
  db.transaction(() => {
    for (let i = 0; i < MEGABYTES * 1000; i++) insert.run(`name ${(i * 7919) % 1_000_003}`);
  })();
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
}

function flush(file: string): void {
  const fd = openSync(file, 'r+');
  fsyncSync(fd);
  closeSync(fd);
}

/** MB a second, of each way to get a copy that has reached the disk. */
export const backupSpeed: Scenario = {
  name: `backup of ${MEGABYTES} MB, on the disk`,
  unit: 'MB/s',
  rounds: 5,
  long: true,
  contenders: async (folder) => {
    const file = join(folder, 'app.db');
    fill(file);
    const bytes = statSync(file).size;
    const pool = createPool(file, { readers: 1 });
    await pool.ready();
    const plain = new Database(file);
    let copies = 0;
    const timed = async (work: (target: string) => unknown) => {
      const target = join(folder, `copy-${copies++}`);
      const started = performance.now();
      await work(target);
      const took = performance.now() - started;
      rmSync(target);
      return bytes / 1000 / took;
    };
    const ofPool = (name: string, options: BackupOptions) => ({
      name,
      round: () => timed((target) => pool.backup(target, options)),
    });
    return [
      {
        name: 'cp, flushed',
        round: () =>
          timed(async (target) => {
            await promisify(execFile)('cp', [file, target]);
            flush(target);
          }),
        close: async () => {
          plain.close();
          await pool.close();
        },
      },
      {
        name: 'better-sqlite3, VACUUM INTO, flushed',
        round: () =>
          timed((target) => {
            plain.prepare('VACUUM INTO ?').run(target);
            flush(target);
          }),
      },
      {
        name: 'better-sqlite3, db.backup, flushed',
        round: () =>
          timed(async (target) => {
            await plain.backup(target);
            flush(target);
          }),
      },
      ofPool('pool.backup, pace Infinity, unverified', { pace: Infinity, verify: false }),
      ofPool('pool.backup, pace Infinity', { pace: Infinity }),
      ofPool('pool.backup', {}),
    ];
  },
};

/** The 99th percentile of a write, from when its caller meant to begin it, while `work` lasts. */
async function p99(write: (id: number) => unknown, work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  let going = true;
  const caller = async (id: number) => {
    while (going) {
      const due = performance.now() + THINK;
      await new Promise((resolve) => setTimeout(resolve, THINK));
      await write(id);
      times.push(performance.now() - due);
    }
  };
  const callers = Array.from({ length: CALLERS }, (_, i) => caller(i + 1));
  await work();
  going = false;
  await Promise.all(callers);
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] as number;
}

const calm = () => new Promise((resolve) => setTimeout(resolve, CALM));

/** Writes of eight callers, calm and during a backup. */
function backupWrites(synchronous: 'normal' | 'full'): Scenario {
  return {
    name: `p99 of a write during a backup, synchronous ${synchronous}`,
    unit: 'ms',
    rounds: 7,
    long: true,
    contenders: async (folder) => {
      const file = join(folder, 'app.db');
      fill(file);
      const pool = createPool(file, { readers: 1, synchronous });
      await pool.ready();
      const plain = new Database(file);
      plain.pragma(`synchronous = ${synchronous}`);
      const sql = 'UPDATE hit SET n = n + 1 WHERE id = ?';
      const update = plain.prepare(sql);
      const byPool = (id: number) => pool.run(sql, [id]);
      const byPlain = (id: number) => update.run(id);
      let copies = 0;
      const copied = (make: (target: string) => Promise<unknown>) => async () => {
        const target = join(folder, `copy-${copies++}`);
        await make(target);
        // What is freed keeps the disk busy, which is not the copy's doing.
        setTimeout(() => rmSync(target), 0);
      };
      return [
        {
          name: 'pool, calm',
          round: () => p99(byPool, calm),
          close: async () => {
            plain.close();
            await pool.close();
          },
        },
        {
          name: 'pool, during pool.backup',
          round: () =>
            p99(
              byPool,
              copied((target) => pool.backup(target)),
            ),
        },
        {
          name: 'pool, the same, pace Infinity',
          round: () =>
            p99(
              byPool,
              copied((target) => pool.backup(target, { pace: Infinity })),
            ),
        },
        { name: 'better-sqlite3, calm', round: () => p99(byPlain, calm) },
        {
          name: 'better-sqlite3, during db.backup',
          round: () =>
            p99(
              byPlain,
              copied((target) => plain.backup(target)),
            ),
        },
      ];
    },
    wanted: { 'pool, during pool.backup': { atMostRatio: 2 } },
  };
}

/** Backups: how fast they are, and what writers feel of them. */
export const backups: readonly Scenario[] = [
  backupSpeed,
  backupWrites('normal'),
  backupWrites('full'),
];
