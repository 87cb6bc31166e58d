import { createPool } from '@poolite/core';
import { PooliteDialect } from '@poolite/kysely';
import { type Generated, Kysely } from 'kysely';

interface Shop {
  item: { name: string; left: number };
  sale: { id: Generated<number>; item: string; worker: number };
}

/** The one line that makes a cluster of it: who writes is found out by the processes themselves. */
export function open(file: string) {
  const pool = createPool(file, { writer: 'shared', readers: 1 });
  const db = new Kysely<Shop>({ dialect: new PooliteDialect({ pool }) });
  const close = async () => {
    await db.destroy();
    // Hands the writer over, if this process has it.
    await pool.close();
  };
  return { pool, db, close };
}

type Database = ReturnType<typeof open>['db'];

export async function fill(db: Database, left: number): Promise<void> {
  const { schema } = db;
  await schema
    .createTable('item')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('left', 'integer', (column) => column.notNull())
    .execute();
  await schema
    .createTable('sale')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('item', 'text', (column) => column.notNull())
    .addColumn('worker', 'integer', (column) => column.notNull())
    .execute();
  await db.insertInto('item').values({ name: 'book', left }).execute();
}

/** Sells one, unless none is left: no two processes sell the same. */
export function sell(db: Database, item: string, worker: number): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
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
    await trx.insertInto('sale').values({ item, worker }).execute();
    return true;
  });
}

export async function count(db: Database): Promise<{ sold: number; left: number }> {
  const { sold } = await db
    .selectFrom('sale')
    .select((eb) => eb.fn.countAll<number>().as('sold'))
    .executeTakeFirstOrThrow();
  const { left } = await db.selectFrom('item').select('left').executeTakeFirstOrThrow();
  return { sold, left };
}
