import type { Pool, PoolOptions } from '@poolite/core';
import { PooliteDialect } from '@poolite/kysely';
import Database from 'better-sqlite3';
import { type Generated, Kysely, type KyselyConfig, SqliteDialect, sql } from 'kysely';
import { onTestFinished } from 'vitest';
import { freshFile, openPool } from '../../../core/test/support/folder.ts';
import { sharedPool } from '../../../core/test/support/shared-pool.ts';

export { freshFile, openPool, outcome } from '../../../core/test/support/folder.ts';

export interface Account {
  id: Generated<number>;
  name: string;
  cents: number;
}

export interface Tables {
  account: Account;
}

export function kyselyOn(pool: Pool, config: Partial<KyselyConfig> = {}): Kysely<Tables> {
  return new Kysely<Tables>({ ...config, dialect: new PooliteDialect({ pool }) });
}

export function stockOn(file: string): Kysely<Tables> {
  const database = new Database(file);
  onTestFinished(() => void database.close());
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database }) });
}

export async function createTables(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .createTable('account')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('cents', 'integer', (column) => column.notNull())
    .execute();
}

export interface Accounts {
  pool: Pool;
  db: Kysely<Tables>;
  file: string;
}

/** A pool on a fresh file, with its table and so many accounts of no money. */
export function openAccounts(accounts: number, options?: PoolOptions): Promise<Accounts> {
  return withAccounts(openPool(freshFile(), options), accounts);
}

/** The same in one pool for the tests of a file that leave it idle. */
export function freshAccounts(options?: PoolOptions): (accounts: number) => Promise<Accounts> {
  const freshPool = sharedPool(options);
  return async (accounts) => withAccounts(await freshPool(), accounts);
}

async function withAccounts(pool: Pool, accounts: number): Promise<Accounts> {
  const db = kyselyOn(pool);
  await createTables(db);
  for (let i = 1; i <= accounts; i++) {
    await db
      .insertInto('account')
      .values(account(`name ${i}`))
      .execute();
  }
  return { pool, db, file: pool.file };
}

export const account = (name: string, cents = 0) => ({ name, cents });

export async function count(db: Kysely<Tables>): Promise<number> {
  const { n } = await db
    .selectFrom('account')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow();
  return n;
}

export const lastInsertRowid = sql<{ id: number }>`SELECT last_insert_rowid() AS id`;
export const changes = sql<{ n: number }>`SELECT changes() AS n`;
