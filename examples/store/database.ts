import { createPool, PoolError, type PoolStore } from '@poolite/core';
import { PooliteDialect } from '@poolite/kysely';
import { type Generated, Kysely } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';

interface Shop {
  item: { name: string; left: number };
  sale: { id: Generated<number>; item: string; by: string };
}

const migrations: Record<string, Migration> = {
  '1_shop': {
    async up(db) {
      await db.schema
        .createTable('item')
        // Other machines know a row by its key, so no key may be NULL.
        .addColumn('name', 'text', (column) => column.notNull().primaryKey())
        .addColumn('left', 'integer', (column) => column.notNull())
        .execute();
      await db.schema
        .createTable('sale')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('item', 'text', (column) => column.notNull().references('item.name'))
        .addColumn('by', 'text', (column) => column.notNull())
        .execute();
      await db.insertInto('item').values({ name: 'book', left: 40 }).execute();
    },
  },
};

/** The two options that make a replica of a file; the rest is Kysely as everywhere. */
export function open(file: string, store: PoolStore) {
  const pool = createPool(file, { driver: 'node:sqlite', store, readers: 1 });
  const db = new Kysely<Shop>({ dialect: new PooliteDialect({ pool }) });
  const close = async () => {
    await db.destroy();
    await pool.close();
  };
  return { pool, db, close };
}

type Database = ReturnType<typeof open>['db'];

/** Both processes begin with it, at the same time. */
export async function migrate(db: Database): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  await again(async () => {
    const { error } = await migrator.migrateToLatest();
    if (error !== undefined) throw error;
  });
}

/** Sells one, unless none is left: no two machines sell the same. */
export function sell(db: Database, item: string, by: string): Promise<boolean> {
  return again(() =>
    db.transaction().execute(async (trx) => {
      const { left } = await trx
        .selectFrom('item')
        .select('left')
        .where('name', '=', item)
        .executeTakeFirstOrThrow();
      if (left === 0) return false;
      await trx
        .updateTable('item')
        .set({ left: left - 1 })
        .where('name', '=', item)
        .execute();
      await trx.insertInto('sale').values({ item, by }).execute();
      return true;
    }),
  );
}

/** Kysely cannot run a transaction again by itself where another machine was first. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!PoolError.is(error) || error.code !== 'POOL_CONFLICT') throw error;
    }
  }
}

/** How much each has sold, and what is left. */
export async function count(db: Database): Promise<{ sold: Map<string, number>; left: number }> {
  const rows = await db
    .selectFrom('sale')
    .select(['by', (eb) => eb.fn.countAll<number>().as('n')])
    .groupBy('by')
    .orderBy('by')
    .execute();
  const { left } = await db.selectFrom('item').select('left').executeTakeFirstOrThrow();
  return { sold: new Map(rows.map(({ by, n }) => [by, n])), left };
}
