import { join } from 'node:path';
import { createPool } from '@poolite/core';
import Database from 'better-sqlite3';
import { type Contender, perSecond, perSecondSync, type Scenario } from '../harness.ts';

const SCHEMA = 'CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT)';
const INSERT = 'INSERT INTO item (name) VALUES (?)';
const ROUND = 700;
const CALLERS = 64;

function plain(folder: string): Contender {
  const db = new Database(join(folder, 'plain.db'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec(SCHEMA);
  const insert = db.prepare(INSERT);
  let n = 0;
  const transaction = db.transaction(() => insert.run(`name ${n++}`));
  return {
    name: 'better-sqlite3, synchronous',
    round: async () => perSecondSync(ROUND, () => transaction.immediate()),
    close: () => void db.close(),
  };
}

async function pooled(folder: string, shareCommits: boolean): Promise<Contender> {
  const file = join(folder, `pool-${shareCommits}.db`);
  const pool = createPool(file, { synchronous: 'full', shareCommits });
  await pool.exec(SCHEMA);
  let n = 0;
  return {
    name: shareCommits ? 'pool' : 'pool, a commit each',
    round: () =>
      perSecond(CALLERS, ROUND, () =>
        pool.transaction(async (tx) => {
          await tx.run(INSERT, [`name ${n++}`]);
        }),
      ),
    close: () => pool.close(),
  };
}

/** Interactive transactions of one insert, `full`. */
export const transactions: Scenario = {
  name: `interactive transactions of one insert, ${CALLERS} callers, synchronous full`,
  unit: 'transactions/s',
  rounds: 5,
  contenders: async (folder) => [
    plain(folder),
    await pooled(folder, true),
    await pooled(folder, false),
  ],
  wanted: { pool: { ratio: 2 } },
};

/** The same, against the pool without shared commits. */
export const sharedCommits: Scenario = {
  ...transactions,
  name: `the same, shared commits against a commit each`,
  contenders: async (folder) => [await pooled(folder, false), await pooled(folder, true)],
  wanted: { pool: { ratio: 3 } },
};
