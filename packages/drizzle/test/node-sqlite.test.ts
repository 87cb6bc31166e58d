import { SqliteError } from '@poolite/core';
import { DrizzleQueryError, eq } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { account, openBank, owner } from './support/db.ts';

test("runs on Node's own SQLite: queries, relations, transactions, batches, errors", async (context) => {
  context.skip(Number.parseInt(process.versions.node, 10) < 24, 'it needs Node.js 24');
  const { db } = await openBank({}, { driver: 'node:sqlite' });
  expect(await db.insert(owner).values({ name: 'Alan' }).returning()).toEqual([
    { id: 3, name: 'Alan', invitedBy: null },
  ]);
  await db.transaction(async (tx) => {
    const { changes } = await tx.update(account).set({ cents: 9 }).where(eq(account.id, 1));
    expect(changes).toBe(1);
  });
  expect(await db.query.owner.findFirst({ with: { accounts: true } })).toEqual({
    ...{ id: 1, name: 'Ada', invitedBy: null },
    accounts: [{ id: 1, ownerId: 1, cents: 9 }],
  });
  const [, rows] = await db.batch([db.delete(account), db.select().from(account)]);
  expect(rows).toEqual([]);
  const error = await db
    .insert(owner)
    .values({ id: 1, name: 'twice' })
    .catch((error) => error);
  expect(error).toBeInstanceOf(DrizzleQueryError);
  expect(error.cause).toBeInstanceOf(SqliteError);
  expect(error.cause.code).toBe('SQLITE_CONSTRAINT_PRIMARYKEY');
});
