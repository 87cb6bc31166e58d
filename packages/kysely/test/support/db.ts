import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool, type Pool, type PoolOptions } from '@poolite/core';
import { PooliteDialect } from '@poolite/kysely';
import Database from 'better-sqlite3';
import { type Generated, Kysely, type KyselyConfig, SqliteDialect, sql } from 'kysely';
import { onTestFinished } from 'vitest';

export interface Account {
  id: Generated<number>;
  name: string;
  cents: number;
}

export interface Tables {
  account: Account;
}

/** The path of a database in a folder of the running test's own: there is no such file yet. */
export function freshFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-kysely-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'test.db');
}

/** A machine that is busy with other things may stand still for longer than the defaults allow. */
const PATIENT: PoolOptions = { acquireTimeout: 120_000, transactionTimeout: 120_000 };

export function openPool(file: string, options?: PoolOptions): Pool {
  const pool = createPool(file, { ...PATIENT, ...options });
  onTestFinished(() => pool.close({ force: true }));
  return pool;
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

/** A pool on a fresh file, with its table and so many accounts of no money. */
export async function openAccounts(
  accounts: number,
  options?: PoolOptions,
): Promise<{ pool: Pool; db: Kysely<Tables>; file: string }> {
  const file = freshFile();
  const pool = openPool(file, options);
  const db = kyselyOn(pool);
  await createTables(db);
  for (let i = 1; i <= accounts; i++) {
    await db
      .insertInto('account')
      .values(account(`name ${i}`))
      .execute();
  }
  return { pool, db, file };
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

/** How a promise ends: its error's code, or 'resolved'. */
export async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    const { code } = error as { code?: unknown };
    return typeof code === 'string' ? code : String(error);
  }
}
