import type { Pool, RunResult } from '@poolite/core';
import {
  drizzle,
  type PooliteDatabase,
  type PooliteDrizzleConfig,
  type PooliteTransactionConfig,
} from '@poolite/drizzle';
import { migrate } from '@poolite/drizzle/migrator';
import { eq, sql } from 'drizzle-orm';
import type { BaseSQLiteDatabase } from 'drizzle-orm/sqlite-core';
import { withReplicas } from 'drizzle-orm/sqlite-core';
import { expectTypeOf, test } from 'vitest';
import { account, owner, type Schema, schema } from './support/db.ts';

/** Never run: only its types are looked at. */
const unused = (work: (db: PooliteDatabase<Schema> & { $client: Pool }) => void) => work;

test('drizzle takes what it should, and gives a database of the schema', () => {
  expectTypeOf(drizzle<Schema>).returns.toEqualTypeOf<
    PooliteDatabase<Schema> & { $client: Pool }
  >();
  expectTypeOf<PooliteDatabase>().toExtend<BaseSQLiteDatabase<'async', RunResult>>();
  expectTypeOf<{ pool: Pool; schema: Schema }>().toExtend<PooliteDrizzleConfig<Schema>>();
  expectTypeOf<{ client: Pool }>().toExtend<PooliteDrizzleConfig>();
  expectTypeOf<{ connection: 'app.db'; casing: 'snake_case' }>().toExtend<PooliteDrizzleConfig>();
  expectTypeOf<{ connection: { file: string; readers: 2 } }>().toExtend<PooliteDrizzleConfig>();
  expectTypeOf<object>().not.toExtend<PooliteDrizzleConfig>();
  expectTypeOf<{ pool: Pool; connection: string }>().not.toExtend<PooliteDrizzleConfig>();
  expectTypeOf<{ connection: { url: string } }>().not.toExtend<PooliteDrizzleConfig>();
  const open = () => [drizzle('app.db', { schema }), drizzle({ connection: 'app.db', schema })];
  expectTypeOf(open).returns.items.toEqualTypeOf<PooliteDatabase<Schema> & { $client: Pool }>();
});

test('rows have the types of their columns', () => {
  type Owner = { id: number; name: string; invitedBy: number | null };
  unused((db) => {
    expectTypeOf(db.select().from(owner).execute()).resolves.toEqualTypeOf<Owner[]>();
    expectTypeOf(db.select().from(owner).get()).resolves.toEqualTypeOf<Owner | undefined>();
    const left = db.select().from(owner).leftJoin(account, eq(account.ownerId, owner.id));
    expectTypeOf(left.get()).resolves.toEqualTypeOf<
      | { owner: Owner; account: { id: number; ownerId: number | null; cents: number } | null }
      | undefined
    >();
    expectTypeOf(db.insert(owner).values({ name: '' }).run()).resolves.toEqualTypeOf<RunResult>();
    const returning = db.update(owner).set({ name: '' }).returning({ id: owner.id });
    expectTypeOf(returning.all()).resolves.toEqualTypeOf<{ id: number }[]>();
    expectTypeOf(db.run(sql``).execute()).resolves.toEqualTypeOf<RunResult>();
    expectTypeOf(db.$count(owner)).toExtend<PromiseLike<number>>();
    const found = db.query.owner.findFirst({ with: { accounts: { columns: { cents: true } } } });
    expectTypeOf(found.execute()).resolves.toEqualTypeOf<
      | { id: number; name: string; invitedBy: number | null; accounts: { cents: number }[] }
      | undefined
    >();
  });
});

test('a transaction has the types of its database', () => {
  unused((db) => {
    const result = db.transaction(async (tx) => {
      expectTypeOf(tx.query.account.findMany().execute()).resolves.items.toHaveProperty('cents');
      return tx.transaction(async (nested) => {
        expectTypeOf(nested.rollback).returns.toBeNever();
        return nested.$count(owner);
      });
    });
    expectTypeOf(result).resolves.toEqualTypeOf<number>();
    // @ts-expect-error A callback that is not asynchronous would be over before its statements.
    void db.transaction((tx) => void tx.delete(owner).run());
  });
  expectTypeOf<{ behavior: 'deferred' }>().toExtend<PooliteTransactionConfig>();
  expectTypeOf<{ behavior: 'later' }>().not.toExtend<PooliteTransactionConfig>();
});

test('a batch has the type of each of its queries', () => {
  unused((db) => {
    const results = db.batch([
      db.insert(owner).values({ name: '' }),
      db.select({ id: owner.id }).from(owner),
      db.query.account.findFirst({ columns: { cents: true } }),
    ]);
    expectTypeOf(results).resolves.toEqualTypeOf<
      [RunResult, { id: number }[], { cents: number } | undefined]
    >();
    // @ts-expect-error A batch holds queries.
    void db.batch([1]);
  });
});

test('Drizzle itself takes such a database', () => {
  unused((db) => {
    expectTypeOf(migrate(db, { migrationsFolder: '' })).resolves.toBeVoid();
    expectTypeOf(withReplicas(db, [db]).select).toBeFunction();
  });
});
