/** Programs whose types must hold, and be refused where they say so. */
export const core = `
import { createPool, PoolError, type Pool, type PoolOptions, type Transaction } from '@poolite/core';
import { extensionFile } from '@poolite/hooks';

export const options: PoolOptions = { synchronous: 'full', backups: { directory: 'backups' } };
export const pool: Pool = createPool('app.db', options);
export async function main(): Promise<number> {
  const row = await pool.get<{ n: number }>('SELECT 1 AS n', [], { signal: AbortSignal.timeout(9) });
  const two = await pool.transaction(async (tx: Transaction) => (await tx.all('SELECT 2')).length);
  // @ts-expect-error: there is no such option.
  createPool('app.db', { unknown: true });
  // @ts-expect-error: a date cannot be bound.
  await pool.run('INSERT INTO t VALUES (?)', [new Date()]);
  const code = new PoolError('POOL_MISUSE', extensionFile()).code.length;
  return (row?.n ?? 0) + two + code;
}
`;

export const adapters = `
import { drizzle } from '@poolite/drizzle';
import { migrate } from '@poolite/drizzle/migrator';
import { PooliteDialect } from '@poolite/kysely';
import { folderStore } from '@poolite/store';
import { poolite, PooliteDataSource } from '@poolite/typeorm';
import { integer, sqliteTable } from 'drizzle-orm/sqlite-core';
import { Kysely } from 'kysely';
import { DataSource } from 'typeorm';

export const t = sqliteTable('t', { a: integer().notNull() });
export async function main(): Promise<number> {
  const db = drizzle('app.db', { schema: { t } });
  await migrate(db, { migrationsFolder: 'drizzle' });
  const [row] = await db.select().from(t);
  const kysely = new Kysely<{ t: { a: number } }>({ dialect: new PooliteDialect({ database: 'a' }) });
  const other = await kysely.selectFrom('t').selectAll().executeTakeFirstOrThrow();
  const driver = poolite({ readers: 2, store: folderStore('log') });
  const source: DataSource = new DataSource({ type: 'better-sqlite3', driver, database: 'app.db' });
  const own: DataSource = new PooliteDataSource({ database: 'app.db', pool: { readers: 2 } });
  // @ts-expect-error: there is no such option.
  poolite({ unknown: true });
  return (row?.a ?? 0) + other.a + Number(source.isInitialized) + Number(own.isInitialized);
}
`;

/** The files of ORMs may have faults of their own, and types of databases that nobody installed. */
export const OTHERS = /^(?:\.\.\/)*node_modules\/(?!@poolite\/)/;
