import { rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { createPool, type Pool } from '@poolite/core';
import Database from 'better-sqlite3';
import type { Scenario } from '../harness.ts';

/** How long the load lasts, in ms; what goes before warms up. */
const LOAD = 25_000;
const WARM_UP = 2000;
const WRITERS = 16;
const MB = 1e6;
/** How many megabytes a second both contenders try to write: 350 in all. */
const PACE = 14;
const BLOB = Buffer.alloc(3000, 1);
const SCHEMA = 'CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)';
const INSERT = 'INSERT INTO t (b) VALUES (?)';
/** What a slow reader does for about a second: a state of the database that it keeps meanwhile. */
const SLOW = 1000;
const LOOK = 'SELECT max(id) FROM t';

interface Run {
  /** The largest size of the WAL file, in MB. */
  peak: number;
  written: number;
  /** How often the readers were through. */
  reads: number;
  holds: Record<'slow reads' | 'all reads' | 'writes', number>;
  checkpoints: number;
}

function walBytes(file: string): number {
  return statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

/** Rows that may have been written so many ms after the start. */
function allowed(ms: number): number {
  return (ms / 1000) * ((PACE * MB) / 4120);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A reader of plain better-sqlite3 needs a thread of its own. */
const READER = `
  const { workerData, parentPort } = require('node:worker_threads');
  const { library, file, look, slow, delay } = workerData;
  const db = new (require(library))(file, { readonly: true });
  const word = new Int32Array(new SharedArrayBuffer(4));
  let going = true;
  let reads = 0;
  parentPort.on('message', () => { going = false; });
  const read = () => {
    if (!going) {
      db.close();
      parentPort.postMessage(reads);
      parentPort.close();
      return;
    }
    db.exec('BEGIN');
    db.prepare(look).get();
    Atomics.wait(word, 0, 0, slow);
    db.prepare(look).get();
    db.exec('COMMIT');
    reads++;
    setImmediate(read);
  };
  setTimeout(read, delay);
`;

async function plain(file: string, ms: number): Promise<Run> {
  const db = new Database(file);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; ${SCHEMA}`);
  const insert = db.prepare(INSERT);
  const library = createRequire(import.meta.url).resolve('better-sqlite3');
  const readers = [0, 1, 2].map((i) => {
    const workerData = { library, file, look: LOOK, slow: SLOW, delay: (i * SLOW) / 3 };
    return new Worker(READER, { eval: true, workerData });
  });
  const started = performance.now();
  let peak = 0;
  let rows = 0;
  for (let now = 0; now < ms; now = performance.now() - started) {
    for (let i = 0; i < WRITERS && rows < allowed(now); i++, rows++) insert.run(BLOB);
    peak = Math.max(peak, walBytes(file));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const reads = await Promise.all(
    readers.map(
      (worker) =>
        new Promise<number>((resolve, reject) => {
          worker.once('message', resolve).once('error', reject);
          worker.postMessage('end');
        }),
    ),
  );
  db.close();
  return {
    peak: peak / MB,
    written: (rows * 4120) / MB,
    reads: reads.reduce((sum, each) => sum + each, 0),
    holds: { 'slow reads': 0, 'all reads': 0, writes: 0 },
    checkpoints: 0,
  };
}

/** The three slow readers: a snapshot, a stream that is read slowly, and a lease. */
function readerOf(pool: Pool, i: number): () => Promise<unknown> {
  if (i === 0) {
    return () =>
      pool.snapshot(async (tx) => {
        await tx.get(LOOK);
        await pause(SLOW);
        await tx.get(LOOK);
      });
  }
  if (i === 1) {
    return async () => {
      let rows = 0;
      for await (const _row of pool.iterate('SELECT id FROM t LIMIT 1000', [], {
        chunkSize: 100,
      })) {
        if (++rows % 100 === 0) await pause(SLOW / 10);
      }
    };
  }
  return async () => {
    await using lease = await pool.lease('read');
    await lease.run('BEGIN');
    await lease.get(LOOK);
    await pause(SLOW);
    await lease.get(LOOK);
    await lease.run('COMMIT');
  };
}

async function pooled(file: string, ms: number): Promise<Run> {
  const pool = createPool(file, { readers: 3 });
  await pool.exec(SCHEMA);
  await pool.ready();
  const started = performance.now();
  let peak = 0;
  let rows = 0;
  let reads = 0;
  const going = () => performance.now() - started < ms;
  const looks = setInterval(() => {
    peak = Math.max(peak, walBytes(file));
  }, 2);
  const readers = [0, 1, 2].map(async (i) => {
    const read = readerOf(pool, i);
    await pause((i * SLOW) / 3);
    for (; going(); reads++) await read();
  });
  const writers = Array.from({ length: WRITERS }, async () => {
    while (going()) {
      if (rows >= allowed(performance.now() - started)) {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      rows++;
      await pool.run(INSERT, [BLOB]);
    }
  });
  await Promise.all([...writers, ...readers]);
  clearInterval(looks);
  const { holds, count } = pool.stats().checkpoints;
  await pool.close();
  if (walBytes(file) > 0) throw new Error('the WAL is not empty after close()');
  return {
    peak: peak / MB,
    written: (rows * 4120) / MB,
    reads,
    holds: {
      'slow reads': holds.slowReads.max,
      'all reads': holds.reads.max,
      writes: holds.writes.max,
    },
    checkpoints: count,
  };
}

type Load = (file: string, ms: number) => Promise<Run>;

/** The last run of each contender: one run gives several figures. */
const last = new Map<Load, Run>();

async function run(load: Load, folder: string): Promise<Run> {
  const file = join(folder, 'wal.db');
  const result = await load(file, last.has(load) ? LOAD : WARM_UP);
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
  last.set(load, result);
  return result;
}

async function known(load: Load, folder: string): Promise<Run> {
  if (!last.has(load)) await run(load, folder);
  const result = last.get(load) as Run;
  return result.written > PACE * 5 ? result : run(load, folder);
}

const WHAT = 'WAL under three overlapping slow readers and 16 writers, 25 s';

const peak: Scenario = {
  name: `${WHAT}: its peak`,
  unit: 'MB',
  rounds: 1,
  long: true,
  contenders: async (folder) => [
    {
      name: 'better-sqlite3, readers in threads',
      round: async () => (await run(plain, folder)).peak,
    },
    { name: 'pool', round: async () => (await run(pooled, folder)).peak },
  ],
  wanted: { pool: { atMost: 96 } },
};

const figures: readonly [string, string, (run: Run) => number][] = [
  ['written', 'MB', ({ written }) => written],
  ['slow reads', 'reads', ({ reads }) => reads],
];

export const wal: readonly Scenario[] = [
  peak,
  ...figures.map(
    ([name, unit, figure]): Scenario => ({
      name: `${WHAT}: ${name}`,
      unit,
      rounds: 1,
      long: true,
      contenders: async (folder) => [
        {
          name: 'better-sqlite3, readers in threads',
          round: async () => figure(await known(plain, folder)),
        },
        { name: 'pool', round: async () => figure(await known(pooled, folder)) },
      ],
    }),
  ),
  {
    name: `${WHAT}: longest hold by the pool`,
    unit: 'ms',
    rounds: 1,
    long: true,
    contenders: async (folder) =>
      (['slow reads', 'all reads', 'writes'] as const).map((what) => ({
        name: what,
        round: async () => (await known(pooled, folder)).holds[what],
      })),
  },
];
