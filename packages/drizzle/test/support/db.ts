import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool, type PoolOptions } from '@poolite/core';
import { drizzle } from '@poolite/drizzle';
import { type DrizzleConfig, DrizzleQueryError, relations } from 'drizzle-orm';
import { type AnySQLiteColumn, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { freshFile, openPool } from '../../../core/test/support/folder.ts';
import { sharedPool } from '../../../core/test/support/shared-pool.ts';

export { freshFile, freshFolder, openPool } from '../../../core/test/support/folder.ts';

export const owner = sqliteTable('owner', {
  id: integer().primaryKey(),
  name: text().notNull(),
  invitedBy: integer('invited_by').references((): AnySQLiteColumn => owner.id),
});

export const account = sqliteTable('account', {
  id: integer().primaryKey(),
  ownerId: integer('owner_id').references(() => owner.id),
  cents: integer().notNull().default(0),
});

export const ownerRelations = relations(owner, ({ one, many }) => ({
  inviter: one(owner, { fields: [owner.invitedBy], references: [owner.id] }),
  accounts: many(account),
}));

export const accountRelations = relations(account, ({ one }) => ({
  owner: one(owner, { fields: [account.ownerId], references: [owner.id] }),
}));

export const schema = { owner, account, ownerRelations, accountRelations };
export type Schema = typeof schema;

export const TABLES = [
  'CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT NOT NULL, invited_by INTEGER REFERENCES owner)',
  'CREATE TABLE account (id INTEGER PRIMARY KEY, owner_id INTEGER REFERENCES owner, cents INTEGER NOT NULL DEFAULT 0)',
];

const ROWS = `DELETE FROM account; DELETE FROM owner;
  INSERT INTO owner VALUES (1, 'Ada', NULL), (2, 'Grace', 1);
  INSERT INTO account VALUES (1, 1, 0), (2, 2, 500);`;

/** A database on a fresh file, with its tables and two owners, each with an account. */
export async function openBank(
  config: Omit<DrizzleConfig<Schema>, 'schema'> = {},
  options?: PoolOptions,
) {
  const file = freshFile();
  const pool = openPool(file, options);
  const db = drizzle(pool, { ...config, schema });
  for (const table of TABLES) await pool.exec(table);
  await pool.exec(ROWS);
  return { db, pool, file };
}

/** The same in one pool for the tests of a file that leave it idle: to open one takes longer than they do. */
export function freshBanks() {
  const freshPool = sharedPool();
  return async (config: Omit<DrizzleConfig<Schema>, 'schema'> = {}) => {
    const pool = await freshPool(`${TABLES.join(';')};${ROWS}`);
    return { db: drizzle(pool, { ...config, schema }), pool, file: pool.file };
  };
}

/** The same for all tests of a `describe`, who find its rows as they were: call it there. */
export function sharedBank(): () => Awaited<ReturnType<typeof openBank>>['db'] {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-drizzle-'));
  const pool = createPool(join(folder, 'test.db'));
  const db = drizzle(pool, { schema });
  beforeAll(async () => {
    for (const table of TABLES) await pool.exec(table);
  });
  beforeEach(() => pool.exec(ROWS));
  afterAll(async () => {
    await pool.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return () => db;
}

/** What a call of Drizzle's failed with: `code` of the cause that DrizzleQueryError wraps. */
export async function outcome(call: PromiseLike<unknown>): Promise<string> {
  try {
    await call;
    return 'resolved';
  } catch (error) {
    const cause = error instanceof DrizzleQueryError ? error.cause : error;
    const { code } = cause as { code?: unknown };
    return typeof code === 'string' ? code : String(cause);
  }
}
