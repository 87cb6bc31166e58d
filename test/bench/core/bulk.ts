import { join } from 'node:path';
import { createPool } from '@poolite/core';
import Database from 'better-sqlite3';
import type { Scenario } from '../harness.ts';

const SETS = 100_000;
const SCHEMA = 'CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL)';
const INSERT = 'INSERT INTO item (name, price) VALUES (?, ?)';

/** One statement over 100,000 sets of parameters, in one transaction. */
export const bulk: Scenario = {
  name: `${SETS} parameter sets in one transaction`,
  unit: 'inserts/s',
  rounds: 5,
  contenders: async (folder) => {
    const sets = Array.from({ length: SETS }, (_, i) => [`name number ${i}`, i * 1.25]);
    const db = new Database(join(folder, 'plain.db'));
    db.pragma('journal_mode = WAL');
    db.exec(SCHEMA);
    const insert = db.prepare(INSERT);
    const all = db.transaction(() => {
      for (const set of sets) insert.run(set);
    });
    const pool = createPool(join(folder, 'pool.db'));
    await pool.exec(SCHEMA);
    const timed = async (work: () => unknown) => {
      const started = performance.now();
      await work();
      return (SETS * 1000) / (performance.now() - started);
    };
    return [
      {
        name: 'better-sqlite3, its own loop',
        round: () => timed(() => all()),
        close: async () => {
          db.close();
          await pool.close();
        },
      },
      { name: 'pool.runMany', round: () => timed(() => pool.runMany(INSERT, sets)) },
    ];
  },
  wanted: { 'pool.runMany': { ratio: 0.8 } },
};
