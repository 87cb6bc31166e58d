import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createPool } from '@poolite/core';
import Database from 'better-sqlite3';
import type { Scenario } from '../harness.ts';

/** A query that takes about a second: the bound is found on this machine, in this run. */
function slowQuery(): string {
  const db = new Database(':memory:');
  const sql = (n: number) =>
    `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${n}) SELECT sum(i % 7) AS s FROM c`;
  const started = performance.now();
  db.prepare(sql(200_000)).get();
  const took = performance.now() - started;
  db.close();
  return sql(Math.round((200_000 * 1000) / took));
}

function fill(file: string): void {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)');
  db.exec(
    `INSERT INTO item (name) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5000) SELECT 'name ' || i FROM c`,
  );
  db.close();
}

/** The longest that the event loop stands still while slow queries, reads and writes run. */
export const stall: Scenario = {
  name: 'longest event-loop stall under three 1 s queries, reads and writes',
  unit: 'ms',
  rounds: 3,
  long: true,
  contenders: async (folder) => {
    const file = join(folder, 'stall.db');
    fill(file);
    const slow = slowQuery();
    const db = new Database(file);
    const pool = createPool(file, { readers: 2 });
    await pool.ready();
    const measured = async (work: () => Promise<unknown>): Promise<number> => {
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      await work();
      // The delay of the last turn is counted when its timer comes.
      await new Promise((resolve) => setTimeout(resolve, 20));
      delay.disable();
      return delay.max / 1e6;
    };
    return [
      {
        name: 'better-sqlite3',
        round: () =>
          measured(async () => {
            for (let i = 0; i < 3; i++) {
              await new Promise((resolve) => setImmediate(resolve));
              db.prepare(slow).get();
            }
          }),
        close: async () => {
          db.close();
          await pool.close();
        },
      },
      {
        name: 'pool',
        round: () =>
          measured(async () => {
            let going = true;
            const load = async (work: (i: number) => Promise<unknown>) => {
              for (let i = 1; going; i++) await work(i);
            };
            const others = [
              load((i) => pool.get('SELECT name FROM item WHERE id = ?', [i % 5000])),
              load((i) => pool.all('SELECT * FROM item WHERE id > ? LIMIT 1000', [i % 4000])),
              load((i) => pool.run('INSERT INTO item (name) VALUES (?)', [`n ${i}`])),
              load((i) =>
                pool.transaction((tx) => tx.run('UPDATE item SET name = ? WHERE id = 1', [`${i}`])),
              ),
            ];
            await Promise.all([1, 2, 3].map(() => pool.get(slow)));
            going = false;
            await Promise.all(others);
          }),
      },
    ];
  },
  wanted: { pool: { atMost: 60 } },
};

/** Quick reads while one reader is stuck in a slow query: the other takes its work. */
export const stuckReader: Scenario = {
  name: 'p99 of quick reads behind a stuck reader',
  long: true,
  unit: 'ms',
  rounds: 3,
  contenders: async (folder) => {
    const file = join(folder, 'stuck.db');
    fill(file);
    const slow = slowQuery();
    const pools = [1, 2].map((readers) => createPool(file, { readers, inlineReads: 'off' }));
    return pools.map((pool, i) => ({
      name: i === 0 ? 'pool, 1 reader (nobody to steal)' : 'pool, 2 readers',
      round: async () => {
        await pool.ready();
        const times: number[] = [];
        const quick = async (id: number) => {
          const started = performance.now();
          await pool.get('SELECT name FROM item WHERE id = ?', [id]);
          times.push(performance.now() - started);
        };
        const stuck = pool.get(slow);
        const ended = stuck.then(() => true);
        // In the same tick, so that some of them are sent to the reader that gets stuck.
        await Promise.all(Array.from({ length: 200 }, (_, id) => quick(id + 1)));
        for (;;) {
          const over = await Promise.race([ended, quick(1).then(() => false)]);
          if (over) break;
        }
        await stuck;
        times.sort((a, b) => a - b);
        return times[Math.floor(times.length * 0.99)] as number;
      },
      close: () => pool.close(),
    }));
  },
  wanted: { 'pool, 2 readers': { atMost: 20 } },
};

/** From `createPool` to the first answer. */
export const startUp: Scenario = {
  name: 'createPool to the first answer',
  unit: 'ms',
  rounds: 9,
  contenders: async (folder) => {
    const file = join(folder, 'start.db');
    fill(file);
    const first = async (work: (pool: ReturnType<typeof createPool>) => Promise<unknown>) => {
      const started = performance.now();
      const pool = createPool(file);
      await work(pool);
      const took = performance.now() - started;
      await pool.close();
      return took;
    };
    return [
      {
        name: 'better-sqlite3',
        round: async () => {
          const started = performance.now();
          const db = new Database(file);
          db.prepare('SELECT name FROM item WHERE id = 1').get();
          const took = performance.now() - started;
          db.close();
          return took;
        },
      },
      {
        name: 'pool, a read',
        round: () => first((pool) => pool.get('SELECT name FROM item WHERE id = 1')),
      },
      {
        name: 'pool, a write',
        round: () => first((pool) => pool.run('UPDATE item SET name = name WHERE id = 1')),
      },
    ];
  },
  wanted: { 'pool, a read': { atMost: 80 }, 'pool, a write': { atMost: 80 } },
};
