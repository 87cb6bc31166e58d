import { drizzle } from '@poolite/drizzle';
import { migrate } from '@poolite/drizzle/migrator';
import { asc, eq, relations, sql } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { describe, expect, test } from 'vitest';
import { FAMILY, migrationsFolder, REBUILD } from '../../../drizzle/test/support/migrations.ts';
import { hold, type Machine, twoMachines } from '../support/two-machines.ts';
import { ACCOUNTS, CONFLICT, names, overtake, tables, twoBanks } from './bank.ts';

describe('Drizzle', () => {
  const account = sqliteTable('account', {
    id: integer().primaryKey(),
    name: text().notNull(),
    cents: integer().notNull().default(0),
  });
  const payment = sqliteTable('payment', {
    id: integer().primaryKey({ autoIncrement: true }),
    of: integer().notNull(),
    cents: integer().notNull(),
  });
  const accountRelations = relations(account, ({ many }) => ({ payments: many(payment) }));
  const paymentRelations = relations(payment, ({ one }) => ({
    account: one(account, { fields: [payment.of], references: [account.id] }),
  }));
  const schema = { account, payment, accountRelations, paymentRelations };
  const on = ({ pool }: Machine) => drizzle(pool, { schema });

  const PAYMENTS =
    'CREATE TABLE payment (id integer PRIMARY KEY AUTOINCREMENT NOT NULL, `of` integer NOT NULL REFERENCES ' +
    'account(id) ON DELETE CASCADE, cents integer NOT NULL)';

  test('migrates on one machine, and both read and write what the migrations made', async () => {
    const [a, b] = twoMachines();
    const folder = migrationsFolder([[ACCOUNTS, PAYMENTS]]);
    await migrate(on(a), { migrationsFolder: folder });
    await b.pool.refresh();
    await migrate(on(b), { migrationsFolder: folder });
    expect(b.pool.stats().replica).toMatchObject({ position: 1, committed: 0 });

    const db = on(b);
    await db.insert(account).values([{ name: 'Ada' }, { name: 'Bob', cents: 5 }]);
    await db.transaction(async (tx) => {
      await tx.insert(payment).values([
        { of: 1, cents: 3 },
        { of: 2, cents: 4 },
      ]);
      const undone = tx.transaction(async (inner) => {
        await inner.delete(account);
        throw new Error('undone');
      });
      await expect(undone).rejects.toThrow('undone');
    });
    await a.pool.refresh();
    expect(
      await on(a).query.account.findMany({
        orderBy: asc(account.id),
        with: { payments: { columns: { cents: true } } },
      }),
    ).toEqual([
      { id: 1, name: 'Ada', cents: 0, payments: [{ cents: 3 }] },
      { id: 2, name: 'Bob', cents: 5, payments: [{ cents: 4 }] },
    ]);
    const [gone] = await on(a).delete(account).where(eq(account.id, 1)).returning();
    expect(gone).toEqual({ id: 1, name: 'Ada', cents: 0 });
    await b.pool.refresh();
    expect(await db.select().from(payment)).toEqual([{ id: 2, of: 2, cents: 4 }]);
  });

  test('rebuilds a table on both, and the rows that refer to it stay', async () => {
    const [a, b] = twoMachines();
    const folder = migrationsFolder([FAMILY]);
    await migrate(drizzle(a.pool), { migrationsFolder: folder });
    await a.pool.exec("INSERT INTO parent VALUES (1, 'Ada'); INSERT INTO child VALUES (7, 1)");
    await b.pool.refresh();
    await migrate(drizzle(b.pool), {
      migrationsFolder: migrationsFolder([FAMILY, REBUILD], folder),
    });
    await a.pool.refresh();
    expect(await tables(a)).toEqual({ __drizzle_migrations: 2, child: 1, parent: 1 });
    expect(await tables(b)).toEqual(await tables(a));
  });

  test('migrates once where two machines begin at the same time, and neither hears of it', async () => {
    const [a, b] = twoMachines();
    const migrationsFolderOf = migrationsFolder([FAMILY, ["INSERT INTO parent VALUES (1, 'Ada')"]]);
    const held = hold(b);
    const second = migrate(drizzle(b.pool), { migrationsFolder: migrationsFolderOf });
    await held.reached;
    await migrate(drizzle(a.pool), { migrationsFolder: migrationsFolderOf });
    held.go();
    await second;
    expect(await tables(b)).toEqual({ __drizzle_migrations: 2, child: 0, parent: 1 });
    expect(b.pool.stats().replica).toMatchObject({ position: 1, committed: 0, conflicts: 1 });
  });

  test.for([
    { retries: undefined, runs: 2, ends: ['Ada! 1'] },
    { retries: 0, runs: 1, ends: ['Ada! 0'] },
  ])('runs a transaction again as `retries` ($retries) says', async ({ retries, runs, ends }) => {
    const [a, b] = await twoBanks();
    let ran = 0;
    const options = retries === undefined ? {} : { retries };
    const transaction = on(a).transaction(async (tx) => {
      await tx.update(account).set({ cents: sql`${account.cents} + 1` });
      if (++ran === 1) await overtake(b);
    }, options);
    if (retries === 0) await expect(transaction).rejects.toEqual(CONFLICT);
    else await transaction;
    expect(ran).toBe(runs);
    expect(await names(a)).toEqual(ends);
  });
});
