import { join } from 'node:path';
import { createPool, type Pool } from '@poolite/core';
import { type Contender, perSecond, type Scenario } from '../harness.ts';

const ROWS = 10_000;
const ROUND = 700;
const DRIVERS = ['better-sqlite3', 'node:sqlite'] as const;
const SCHEMA = 'CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL, note TEXT)';
const INSERT = 'INSERT INTO item (name, price, note) VALUES (?, ?, ?)';
const GET = 'SELECT id, name, price, note FROM item WHERE id = ?';
const ALL = 'SELECT id, name, price, note FROM item';

const row = (i: number) => [`name number ${i}`, i * 1.25, `a note of some length about ${i}`];

/** The same pool on each engine, each with a file of its own. */
function onBoth(
  work: string,
  callers: number,
  call: (pool: Pool, n: number) => Promise<unknown>,
): Scenario {
  return {
    name: `driver node:sqlite against better-sqlite3: ${work}`,
    unit: 'calls/s',
    rounds: 7,
    contenders: (folder) =>
      Promise.all(
        DRIVERS.map(async (driver): Promise<Contender> => {
          const file = join(folder, `${driver.replace(':', '-')}.db`);
          const pool = createPool(file, { driver, synchronous: 'full' });
          await pool.exec(SCHEMA);
          await pool.runMany(
            INSERT,
            Array.from({ length: ROWS }, (_, i) => row(i + 1)),
          );
          let n = 0;
          return {
            name: driver,
            round: () => perSecond(callers, ROUND, () => call(pool, n++)),
            close: () => pool.close(),
          };
        }),
      ),
    wanted: { 'node:sqlite': { ratio: 0.5 } },
  };
}

/** The pool's second engine beside its first: what a change of the driver costs, or brings. */
export const engines: readonly Scenario[] = [
  onBoth('point reads', 1, (pool, n) => pool.get(GET, [(n % ROWS) + 1])),
  onBoth('point reads of 64 callers', 64, (pool, n) => pool.get(GET, [(n % ROWS) + 1])),
  onBoth('inserts of 64 callers, synchronous full', 64, (pool, n) => pool.run(INSERT, row(n))),
  onBoth('10,000 rows', 1, (pool) => pool.all(ALL)),
];
