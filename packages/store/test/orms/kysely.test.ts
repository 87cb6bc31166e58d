import { PooliteDialect } from '@poolite/kysely';
import { type Generated, Kysely, sql } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { describe, expect, test } from 'vitest';
import { hold, type Machine, twoMachines } from '../support/two-machines.ts';
import { ACCOUNTS, CONFLICT, names, overtake, tables, twoBanks } from './bank.ts';

describe('Kysely', () => {
  interface Tables {
    account: { id: Generated<number>; name: string; cents: Generated<number> };
    payment: { id: Generated<number>; of: number; cents: number };
  }

  const on = ({ pool }: Machine) => new Kysely<Tables>({ dialect: new PooliteDialect({ pool }) });

  const migrations: Record<string, Migration> = {
    '1_accounts': { up: async (db) => void (await sql.raw(ACCOUNTS).execute(db)) },
    '2_payments': {
      async up(db) {
        await db.schema
          .createTable('payment')
          .addColumn('id', 'integer', (column) => column.primaryKey().autoIncrement())
          .addColumn('of', 'integer', (column) =>
            column.notNull().references('account.id').onDelete('cascade'),
          )
          .addColumn('cents', 'integer', (column) => column.notNull())
          .execute();
        await sql`INSERT INTO account (name) VALUES ('Ada')`.execute(db);
      },
    },
  };
  const migratorOf = (machine: Machine) =>
    new Migrator({ db: on(machine), provider: { getMigrations: async () => migrations } });
  const MIGRATED = { account: 1, kysely_migration: 2, kysely_migration_lock: 1, payment: 0 };

  test('migrates on one machine, and both read and write what the migrations made', async () => {
    const [a, b] = twoMachines();
    expect(await migratorOf(a).migrateToLatest()).not.toHaveProperty('error');
    await b.pool.refresh();
    expect(await migratorOf(b).migrateToLatest()).toEqual({ results: [] });
    expect(await tables(b)).toEqual(MIGRATED);

    const db = on(b);
    const trx = await db.startTransaction().execute();
    await trx.insertInto('payment').values({ of: 1, cents: 3 }).execute();
    const inner = await trx.savepoint('inner').execute();
    await inner.deleteFrom('account').execute();
    await inner.rollbackToSavepoint('inner').execute();
    const paid = await trx
      .updateTable('account')
      .set((eb) => ({ cents: eb('cents', '+', 3) }))
      .returningAll()
      .executeTakeFirstOrThrow();
    await trx.commit().execute();
    expect(paid).toEqual({ id: 1, name: 'Ada', cents: 3 });
    await a.pool.refresh();
    const rows = await on(a)
      .selectFrom('account')
      .innerJoin('payment', 'payment.of', 'account.id')
      .select(['name', 'account.cents as has', 'payment.cents as paid'])
      .execute();
    expect(rows).toEqual([{ name: 'Ada', has: 3, paid: 3 }]);
    await on(a).deleteFrom('account').execute();
    await b.pool.refresh();
    expect(await tables(b)).toEqual({ ...MIGRATED, account: 0 });
  });

  // The first three entries are the migrator's own tables, and its row in one of them.
  test.for([1, 2, 3])('goes on where another machine was first with entry %i', async (entry) => {
    const [a, b] = twoMachines();
    const held = hold(b, entry);
    const second = migratorOf(b).migrateToLatest();
    await held.reached;
    await migratorOf(a).migrateToLatest();
    held.go();
    expect(await second).toEqual({ results: [] });
    expect(await tables(b)).toEqual(MIGRATED);
  });

  test('tells of POOL_CONFLICT where another machine was first to migrate, and has nothing to do then', async () => {
    const [a, b] = twoMachines();
    const held = hold(b, 4);
    const second = migratorOf(b).migrateToLatest();
    await held.reached;
    await migratorOf(a).migrateToLatest();
    held.go();
    expect(await second).toMatchObject({
      error: { code: 'POOL_CONFLICT', retryable: true },
      results: [{ status: 'Error' }, { status: 'NotExecuted' }],
    });
    expect(await migratorOf(b).migrateToLatest()).toEqual({ results: [] });
    expect(await tables(b)).toEqual(MIGRATED);
  });

  test('tells of POOL_CONFLICT at the end of a transaction, and nothing of it is stored', async () => {
    const [a, b] = await twoBanks();
    const pay = (first: boolean) =>
      on(a)
        .transaction()
        .execute(async (trx) => {
          await trx
            .updateTable('account')
            .set((eb) => ({ cents: eb('cents', '+', 1) }))
            .execute();
          if (first) await overtake(b);
        });
    await expect(pay(true)).rejects.toEqual(CONFLICT);
    expect(await names(a)).toEqual(['Ada! 0']);
    await pay(false);
    await b.pool.refresh();
    expect(await names(b)).toEqual(['Ada! 1']);
  });

  test('a statement alone runs again by itself', async () => {
    const [a, b] = await twoBanks();
    await overtake(b);
    const { numUpdatedRows } = await on(a)
      .updateTable('account')
      .set({ cents: 1 })
      .where('name', 'like', 'Ada%')
      .executeTakeFirst();
    expect(numUpdatedRows).toBe(1n);
    expect(a.pool.stats().replica).toMatchObject({ conflicts: 1, committed: 2 });
    expect(await names(a)).toEqual(['Ada! 1']);
  });
});
