import { writeSync } from 'node:fs';
import { createPool, type Pool } from '@poolite/core';

/**
 * The program that is killed: callers of several kinds write numbered entries through one pool, each
 * awaiting its answer before the next, and say on stdout which of them were answered. One has many
 * writes under way at once: their order must hold all the same.
 *
 * Arguments: the file, and options of the pool as JSON.
 */
const [file = '', json = '{}'] = process.argv.slice(2);

const INSERT = 'INSERT INTO entry (caller, number, part) VALUES (?, ?, ?)';

const BULK_PARTS = 100;
const MANY = 30;

type Write = (caller: string, number: number) => Promise<unknown>;

const kinds = (pool: Pool): Record<string, Write> => ({
  single: (caller, number) => pool.run(INSERT, [caller, number, 1]),
  batch: (caller, number) =>
    pool.batch([1, 2, 3].map((part) => ({ sql: INSERT, params: [caller, number, part] }))),
  transaction: (caller, number) =>
    pool.transaction(async (tx) => {
      await tx.run(INSERT, [caller, number, 1]);
      await tx.savepoint(async (inner) => {
        await inner.run(INSERT, [caller, number, 2]);
      });
      await tx.run(INSERT, [caller, number, 3]);
    }),
  bulk: (caller, number) =>
    pool.runMany(
      INSERT,
      Array.from({ length: BULK_PARTS }, (_, i) => [caller, number, i + 1]),
    ),
});

const pool = createPool(file, { readers: 1, ...JSON.parse(json) });
await pool.exec(
  'CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, caller TEXT, number INTEGER, part INTEGER)',
);
const last = new Map(
  await pool.values<[string, number]>('SELECT caller, max(number) FROM entry GROUP BY caller'),
);

const call = async (caller: string, write: Write) => {
  for (let number = (last.get(caller) ?? 0) + 1; ; number++) {
    await write(caller, number);
    // At once, and not when the event loop turns: what was answered must have been said.
    writeSync(1, `${caller} ${number}\n`);
  }
};

const callMany = async (caller: string, write: Write) => {
  for (let number = (last.get(caller) ?? 0) + 1; ; number += MANY) {
    const all = Array.from({ length: MANY }, (_, i) => number + i);
    await Promise.all(
      all.map((each) =>
        write(caller, each).then(() => {
          writeSync(1, `${caller} ${each}\n`);
        }),
      ),
    );
  }
};

const { single, bulk, ...others } = kinds(pool);

await Promise.all([
  ...Object.entries({ single, ...others }).flatMap(([kind, write]) =>
    [1, 2, 3, 4].map((i) => call(`${kind}-${i}`, write as Write)),
  ),
  call('bulk-1', bulk as Write),
  callMany('many-1', single as Write),
]);
