import { join } from 'node:path';
import { createPool } from '@poolite/core';
import Database from 'better-sqlite3';
import { type Contender, perSecond, perSecondSync, type Scenario } from '../harness.ts';

const SCHEMA = 'CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT, price REAL)';
const INSERT = 'INSERT INTO item (name, price) VALUES (?, ?)';
const ROUND = 700;

function plain(folder: string, synchronous: string): Contender {
  const db = new Database(join(folder, 'plain.db'));
  db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${synchronous}`);
  db.exec(SCHEMA);
  const insert = db.prepare(INSERT);
  let n = 0;
  return {
    name: 'better-sqlite3, autocommit',
    round: async () => perSecondSync(ROUND, () => insert.run(`name ${n++}`, n * 0.5)),
    close: () => void db.close(),
  };
}

async function pooled(
  folder: string,
  synchronous: 'normal' | 'full',
  callers: number,
): Promise<Contender> {
  const pool = createPool(join(folder, `pool-${callers}.db`), { synchronous });
  await pool.exec(SCHEMA);
  let n = 0;
  return {
    name: `pool, ${callers} callers`,
    round: () => perSecond(callers, ROUND, () => pool.run(INSERT, [`name ${n++}`, n * 0.5])),
    close: () => pool.close(),
  };
}

/** One-shot inserts, each awaited by its caller. */
export function inserts(synchronous: 'normal' | 'full'): Scenario {
  return {
    name: `one-shot inserts, synchronous ${synchronous}`,
    unit: 'inserts/s',
    rounds: 5,
    contenders: async (folder) => [
      plain(folder, synchronous),
      ...(await Promise.all([1, 8, 64, 1024].map((n) => pooled(folder, synchronous, n)))),
    ],
    wanted:
      synchronous === 'full'
        ? { 'pool, 64 callers': { ratio: 20 }, 'pool, 1024 callers': { ratio: 50 } }
        : { 'pool, 64 callers': { ratio: 3 }, 'pool, 1024 callers': { ratio: 6 } },
  };
}
