import { join } from 'node:path';
import { createPool, type Pool } from '@poolite/core';
import Database from 'better-sqlite3';
import { perSecond, perSecondSync, stall, type Work } from './measure.js';

const TABLE = 'CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, score REAL)';
const INSERT = 'INSERT INTO t (name, score) VALUES (?, ?)';
const GET = 'SELECT * FROM t WHERE id = ?';
const ROWS = 10_000;
/** Takes some tens of ms, and reads nothing. */
const SLOW =
  'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 1000000) SELECT sum(n) FROM c';

/** Both sides, each with a file of its own, so that neither waits for the other's locks. */
export interface Sides {
  works: Work[];
  close(): Promise<void>;
}

/** Makes the two files in a folder, and the works to compare them by. */
export async function makeSides(folder: string): Promise<Sides> {
  const plain = new Database(join(folder, 'better-sqlite3.db'));
  const pool = createPool(join(folder, 'pool.db'), { synchronous: 'full' });
  plain.pragma('journal_mode = WAL');
  plain.pragma('synchronous = FULL');
  plain.exec(TABLE);
  await pool.exec(TABLE);
  const sets = Array.from({ length: ROWS }, (_, i): [string, number] => [`name ${i}`, i / 7]);
  const fill = plain.prepare(INSERT);
  plain.transaction(() => {
    for (const set of sets) fill.run(...set);
  })();
  await pool.runMany(INSERT, sets);
  return {
    works: works(plain, pool),
    close: async () => {
      plain.close();
      await pool.close();
    },
  };
}

function works(plain: Database.Database, pool: Pool): Work[] {
  const insert = plain.prepare(INSERT);
  const get = plain.prepare(GET);
  const slow = plain.prepare(SLOW);
  let id = 0;
  const next = () => {
    id = (id * 48_271 + 11) % ROWS;
    return id + 1;
  };
  const inserting = (callers: number): Work => ({
    name: `durable inserts, ${callers === 1 ? 'one caller' : `${callers} callers`}`,
    unit: '1/s',
    moreIsBetter: true,
    contenders: [
      { name: 'better-sqlite3', round: (ms) => perSecondSync(ms, () => insert.run('a', 1)) },
      { name: 'pool', round: (ms) => perSecond(callers, ms, () => pool.run(INSERT, ['a', 1])) },
    ],
  });
  return [
    inserting(1),
    inserting(64),
    {
      name: 'reads by key, 64 callers',
      unit: '1/s',
      moreIsBetter: true,
      contenders: [
        { name: 'better-sqlite3', round: (ms) => perSecondSync(ms, () => get.get(next())) },
        { name: 'pool', round: (ms) => perSecond(64, ms, () => pool.get(GET, [next()])) },
      ],
    },
    {
      name: 'the event loop stands still during a slow query',
      unit: 'ms',
      moreIsBetter: false,
      contenders: [
        { name: 'better-sqlite3', round: () => stall(async () => slow.get()) },
        { name: 'pool', round: () => stall(() => pool.get(SLOW)) },
      ],
    },
  ];
}
