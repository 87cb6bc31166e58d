import { expect } from 'vitest';
import { type Machine, twoMachines } from '../support/two-machines.ts';

/** What a caller hears of whoever was faster; TypeORM and Kysely put it into an error of their own, or hand it on. */
export const CONFLICT = expect.objectContaining({ code: 'POOL_CONFLICT' });

/** The tables that an application sees of a database, and how many rows each of them has. */
export async function tables({ pool }: Machine): Promise<Record<string, number>> {
  const names = await pool.all<{ name: string }>(
    `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'poolite%'
     ORDER BY name`,
  );
  const counted = names.map(async ({ name }) => {
    const row = await pool.get<{ n: number }>(`SELECT count(*) AS n FROM "${name}"`);
    return [name, row?.n ?? 0] as const;
  });
  return Object.fromEntries(await Promise.all(counted));
}

/** Another machine's write, which whoever began before has not seen. */
export const overtake = ({ pool }: Machine) => pool.run("UPDATE account SET name = name || '!'");

export const ACCOUNTS =
  'CREATE TABLE account (id integer PRIMARY KEY NOT NULL, name text NOT NULL, cents integer NOT NULL DEFAULT 0)';

/** Two machines with one account. */
export async function twoBanks(): Promise<[Machine, Machine]> {
  const [a, b] = twoMachines();
  await a.pool.exec(`${ACCOUNTS}; INSERT INTO account (name) VALUES ('Ada')`);
  await b.pool.refresh();
  return [a, b];
}

export const names = async ({ pool }: Machine) =>
  (await pool.values('SELECT name, cents FROM account ORDER BY id')).map((row) => row.join(' '));
