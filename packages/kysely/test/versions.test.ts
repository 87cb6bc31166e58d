import { PooliteDialect } from '@poolite/kysely';
import * as kysely29 from 'kysely';
import { type Migration, Migrator as Migrator29 } from 'kysely/migration';
import * as kysely28 from 'kysely-0.28';
import * as kysely30 from 'kysely-0.30';
import { Migrator as Migrator30 } from 'kysely-0.30/migration';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freshFile, outcome } from './support/db.ts';

interface Tables {
  t: { id: kysely29.Generated<number>; a: number };
}

// Three versions of one library have types that are not each other's: the tests see them as one.
type Kysely = typeof kysely29.Kysely<Tables>;
type Version = { Kysely: Kysely; sql: typeof kysely29.sql; Migrator: typeof Migrator29 };
const versions: [string, Version][] = [
  ['0.28', kysely28 as unknown as Version],
  ['0.29', { ...kysely29, Migrator: Migrator29 }],
  ['0.30', { ...kysely30, Migrator: Migrator30 } as unknown as Version],
];

describe.each(versions)('with Kysely %s', (_, { Kysely, sql, Migrator }) => {
  function open() {
    const dialect = new PooliteDialect({ database: freshFile() });
    const db = new Kysely({ dialect });
    onTestFinished(() => db.destroy());
    return db;
  }

  async function filled() {
    const db = open();
    await sql`CREATE TABLE t (id INTEGER PRIMARY KEY, a)`.execute(db);
    for (const a of [1, 2, 3]) await db.insertInto('t').values({ a }).execute();
    return db;
  }

  test('queries, counts and streams', async () => {
    const db = await filled();
    const { insertId } = await db.insertInto('t').values({ a: 4 }).executeTakeFirstOrThrow();
    expect(insertId).toBe(4n);
    const seen: number[] = [];
    for await (const { a } of db.selectFrom('t').select('a').orderBy('a').stream(2)) seen.push(a);
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  test('transactions, savepoints and outer writes', async () => {
    const db = await filled();
    await db.transaction().execute(async (trx) => {
      await trx.deleteFrom('t').where('a', '=', 1).execute();
      expect(await outcome(db.deleteFrom('t').execute())).toBe('POOL_DEADLOCK');
    });
    const trx = await db.startTransaction().execute();
    const inner = await trx.savepoint('s').execute();
    await inner.deleteFrom('t').execute();
    await (await inner.rollbackToSavepoint('s').execute()).commit().execute();
    expect(await db.selectFrom('t').select('a').execute()).toEqual([{ a: 2 }, { a: 3 }]);
  });

  test('sessions', async () => {
    const db = await filled();
    await db.connection().execute(async (own) => {
      await own.insertInto('t').values({ a: 4 }).execute();
      await db.insertInto('t').values({ a: 5 }).execute();
      const { rows } = await sql`SELECT last_insert_rowid() AS id`.execute(own);
      expect(rows).toEqual([{ id: 4 }]);
    });
  });

  test('migrations that exclude each other, and are undone where they fail', async () => {
    const db = await filled();
    const ran: string[] = [];
    const migrations: Record<string, Migration> = {
      a: {
        async up(own) {
          await sql`CREATE TABLE a (id)`.execute(own);
          ran.push('a');
        },
      },
      b: {
        async up(own) {
          await sql`CREATE TABLE b (id)`.execute(own);
          throw new Error('no');
        },
      },
    };
    const migrate = () =>
      new Migrator({ db, provider: { getMigrations: async () => migrations } }).migrateToLatest();
    await Promise.all([migrate(), migrate()]);
    expect(ran).toEqual(['a']);
    const names = (await db.introspection.getTables()).map(({ name }) => name);
    expect(names).toEqual(['a', 't']);
  });
});
