import { writeSync } from 'node:fs';
import { createPool, type Pool } from '@poolite/core';

/**
 * The program that is killed: callers of three kinds write numbered entries through one pool, each
 * awaiting its answer before the next, and say on stdout which of them were answered.
 *
 * Arguments: the file, and `synchronous`.
 */
const [file = '', synchronous = 'full'] = process.argv.slice(2);

const INSERT = 'INSERT INTO entry (caller, number, part) VALUES (?, ?, ?)';

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
});

const pool = createPool(file, { synchronous: synchronous as 'normal' | 'full', readers: 1 });
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

await Promise.all(
  Object.entries(kinds(pool)).flatMap(([kind, write]) =>
    [1, 2, 3, 4].map((i) => call(`${kind}-${i}`, write)),
  ),
);
