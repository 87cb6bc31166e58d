import { join } from 'node:path';
import { createPool } from '@poolite/core';
import Database from 'better-sqlite3';
import { type Contender, perSecond, perSecondSync, type Scenario } from '../harness.ts';

const ROWS = 10_000;
const ROUND = 700;
const GET = 'SELECT id, name, price, note FROM item WHERE id = ?';
const ALL = 'SELECT id, name, price, note FROM item';

function fill(file: string): void {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL, note TEXT)');
  const insert = db.prepare('INSERT INTO item (name, price, note) VALUES (?, ?, ?)');
  db.transaction(() => {
    for (let i = 1; i <= ROWS; i++) {
      insert.run(`name number ${i}`, i * 1.25, `a note of some length about ${i}`);
    }
  })();
  db.close();
}

/** Point reads by primary key. */
export const pointReads: Scenario = {
  name: 'point reads by primary key',
  unit: 'reads/s',
  rounds: 7,
  contenders: async (folder) => {
    const file = join(folder, 'reads.db');
    fill(file);
    const db = new Database(file, { readonly: true });
    const get = db.prepare(GET);
    let n = 0;
    const pool = createPool(file);
    await pool.ready();
    const pooled = (callers: number): Contender => ({
      name: `pool, ${callers} caller${callers === 1 ? '' : 's'}`,
      round: () => perSecond(callers, ROUND, () => pool.get(GET, [(n++ % ROWS) + 1])),
    });
    return [
      {
        name: 'better-sqlite3, the call in a loop',
        round: async () => perSecondSync(ROUND, () => get.get((n++ % ROWS) + 1)),
        close: async () => {
          db.close();
          await pool.close();
        },
      },
      pooled(1),
      pooled(64),
    ];
  },
  wanted: { 'pool, 1 caller': { ratio: 0.8 }, 'pool, 64 callers': { ratio: 0.8 } },
};

/** How long a read of 10,000 rows keeps the calling thread. */
export const largeReads: Scenario = {
  name: `calling thread's busy time for a read of ${ROWS} rows`,
  unit: 'ms',
  rounds: 7,
  contenders: async (folder) => {
    const file = join(folder, 'large.db');
    fill(file);
    const db = new Database(file, { readonly: true });
    const all = db.prepare(ALL);
    const pool = createPool(file);
    await pool.ready();
    /** Busy time of one in ten runs one after the other, as the event loop itself counts it. */
    const busy = async (work: () => unknown): Promise<number> => {
      const before = performance.eventLoopUtilization();
      for (let i = 0; i < 10; i++) {
        await work();
        await new Promise((resolve) => setImmediate(resolve));
      }
      return performance.eventLoopUtilization(before).active / 10;
    };
    return [
      {
        name: 'better-sqlite3, all()',
        round: () => busy(() => all.all()),
        close: async () => {
          db.close();
          await pool.close();
        },
      },
      { name: 'pool, await all()', round: () => busy(() => pool.all(ALL)) },
    ];
  },
  wanted: { 'pool, await all()': { atMostRatio: 0.35 } },
};
