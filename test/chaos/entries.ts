import type { Pool } from '@poolite/core';

/** A machine that is busy with other things may stand still for longer than the defaults allow. */
export const PATIENT = {
  acquireTimeout: 300_000,
  transactionTimeout: 300_000,
  busyTimeout: 60_000,
};

/** What the programs write that come to harm: numbered entries of callers, each of so many parts. */
export const MAKE_ENTRIES =
  'CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, caller TEXT, number INTEGER, part INTEGER)';

const INSERT = 'INSERT INTO entry (caller, number, part) VALUES (?, ?, ?)';

/** How many writes the caller `many` has under way at once. */
export const MANY = 30;

/** The parts of one entry by the kind of its caller, whose name begins with it. */
export const PARTS: Readonly<Record<string, number>> = {
  ...{ single: 1, many: 1, batch: 3, transaction: 3, lease: 2, script: 2, bulk: 100 },
};

export type Write = (caller: string, number: number) => Promise<unknown>;

/** Every way to write an entry. */
export function writes(pool: Pool): Readonly<Record<string, Write>> {
  const single: Write = (caller, number) => pool.run(INSERT, [caller, number, 1]);
  return {
    single,
    many: single,
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
    lease: async (caller, number) => {
      const lease = await pool.lease('write');
      try {
        await lease.run('BEGIN IMMEDIATE');
        await lease.run(INSERT, [caller, number, 1]);
        await lease.run(INSERT, [caller, number, 2]);
        await lease.run('COMMIT');
      } finally {
        await lease.release();
      }
    },
    script: (caller, number) => {
      const insert = (part: number) =>
        `INSERT INTO entry (caller, number, part) VALUES ('${caller}', ${number}, ${part});`;
      return pool.exec(`BEGIN IMMEDIATE; ${insert(1)} ${insert(2)} COMMIT;`);
    },
    bulk: (caller, number) =>
      pool.runMany(
        INSERT,
        Array.from({ length: PARTS.bulk as number }, (_, i) => [caller, number, i + 1]),
      ),
  };
}

/** The callers, by name: of each kind but these there are several. */
export function callers(kinds: Readonly<Record<string, Write>>): [name: string, write: Write][] {
  return Object.entries(kinds).flatMap(([kind, write]) => {
    const count = ['many', 'bulk', 'lease', 'script'].includes(kind) ? 1 : 4;
    return Array.from({ length: count }, (_, i) => [`${kind}-${i + 1}`, write] as [string, Write]);
  });
}
