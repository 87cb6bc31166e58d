import { SqliteError } from '@poolite/core';
import { expect, test } from 'vitest';
import { account, openAccounts } from './support/db.ts';

test("runs on Node's own SQLite: queries, streams, transactions, errors", async (context) => {
  context.skip(Number.parseInt(process.versions.node, 10) < 24, 'it needs Node.js 24');
  const { db } = await openAccounts(1, { driver: 'node:sqlite' });
  const inserted = await db.insertInto('account').values(account('new', 5)).executeTakeFirst();
  expect(inserted.insertId).toBe(2n);
  await db.transaction().execute(async (trx) => {
    const changed = await trx.updateTable('account').set({ cents: 7 }).executeTakeFirst();
    expect(changed.numUpdatedRows).toBe(2n);
  });
  const names: string[] = [];
  for await (const { name } of db.selectFrom('account').select('name').stream()) names.push(name);
  expect(names).toEqual(['name 1', 'new']);
  const twice = db
    .insertInto('account')
    .values({ id: 1, ...account('twice') })
    .execute();
  const error = await twice.catch((error: unknown) => error);
  expect(error).toBeInstanceOf(SqliteError);
  expect(error).toHaveProperty('code', 'SQLITE_CONSTRAINT_PRIMARYKEY');
  expect(error).toHaveProperty('stack', expect.stringContaining('node-sqlite.test.ts'));
});
