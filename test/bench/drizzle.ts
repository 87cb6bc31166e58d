import { join } from 'node:path';
import { createClient } from '@libsql/client';
import { createPool } from '@poolite/core';
import { drizzle as onPool } from '@poolite/drizzle';
import Database from 'better-sqlite3';
import { eq, relations, sql } from 'drizzle-orm';
import { drizzle as onBetterSqlite3 } from 'drizzle-orm/better-sqlite3';
import { drizzle as onLibsql } from 'drizzle-orm/libsql';
import { type BaseSQLiteDatabase, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { type Contender, perSecond, type Scenario } from './harness.ts';

const ROUND = 700;
const ROWS = 1000;
const CALLERS = [1, 64] as const;

const item = sqliteTable('item', {
  id: integer().primaryKey(),
  name: text().notNull(),
  count: integer().notNull(),
});
const part = sqliteTable('part', {
  id: integer().primaryKey(),
  itemId: integer('item_id').notNull(),
  name: text().notNull(),
});
const schema = {
  item,
  part,
  itemParts: relations(item, ({ many }) => ({ parts: many(part) })),
  partItem: relations(part, ({ one }) => ({
    item: one(item, { fields: [part.itemId], references: [item.id] }),
  })),
};

type Schema = typeof schema;
type Sync = BaseSQLiteDatabase<'sync', unknown, Schema>;
type Async = BaseSQLiteDatabase<'async', unknown, Schema>;

/** The same work as each of them is written for: better-sqlite3 answers at once, the others later. */
interface Work {
  name: string;
  sync(db: Sync, n: number): unknown;
  async(db: Async, n: number): Promise<unknown>;
  /** Whether callers that overlap need one connection for themselves. */
  holds?: true;
}

const named = (n: number) => ({ name: `name ${n}`, count: n });
const idOf = (n: number) => (n % ROWS) + 1;
const select = (db: Sync | Async, n: number) =>
  (db as Async)
    .select()
    .from(item)
    .where(eq(item.id, idOf(n)))
    .get();
const find = (n: number) => ({ where: eq(item.id, idOf(n)), with: { parts: true as const } });
const insert = (db: Sync | Async, n: number) => (db as Async).insert(item).values(named(n)).run();
const count = (db: Sync | Async, n: number) =>
  (db as Async)
    .update(item)
    .set({ count: sql`${item.count} + 1` })
    .where(eq(item.id, idOf(n)))
    .run();

const works: readonly Work[] = [
  { name: 'select by id', sync: select, async: select },
  {
    name: 'relational query',
    sync: (db, n) => db.query.item.findFirst(find(n)).sync(),
    async: (db, n) => db.query.item.findFirst(find(n)),
  },
  { name: 'insert', sync: insert, async: insert },
  {
    name: 'transaction of one insert',
    holds: true,
    sync: (db, n) => db.transaction((tx) => insert(tx, n)),
    async: (db, n) => db.transaction((tx) => insert(tx, n)),
  },
  {
    name: 'transaction of 3 statements',
    holds: true,
    sync: (db, n) =>
      db.transaction((tx) => {
        select(tx, n);
        count(tx, n);
        insert(tx, n);
      }),
    async: (db, n) =>
      db.transaction(async (tx) => {
        await select(tx, n);
        await count(tx, n);
        await insert(tx, n);
      }),
  },
];

const tables = [
  'CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, count INTEGER NOT NULL)',
  'CREATE TABLE part (id INTEGER PRIMARY KEY, item_id INTEGER NOT NULL, name TEXT NOT NULL)',
  'CREATE INDEX part_item ON part (item_id)',
];

async function fill(db: Sync | Async): Promise<void> {
  for (const table of tables) await db.run(table);
  const rows = Array.from({ length: ROWS }, (_, n) => n);
  await db.insert(item).values(rows.map(named)).run();
  const parts = rows.flatMap((n) => [1, 2, 3].map((m) => ({ itemId: n + 1, name: `part ${m}` })));
  await db.insert(part).values(parts).run();
}

async function contender(
  name: string,
  callers: number,
  work: (n: number) => unknown,
  close: () => unknown,
): Promise<Contender> {
  let n = 0;
  return {
    name,
    round: () => perSecond(callers, ROUND, async () => work(n++)),
    close: async () => void (await close()),
  };
}

/** One after the other: libsql answers transactions that overlap with SQLITE_BUSY. */
function inTurn(work: (n: number) => Promise<unknown>): (n: number) => Promise<unknown> {
  let last: Promise<unknown> = Promise.resolve();
  return (n) => {
    last = last.then(() => work(n));
    return last;
  };
}

function scenario(work: Work, callers: number, wanted: Scenario['wanted']): Scenario {
  const who = callers === 1 ? '1 caller' : `${callers} callers`;
  return {
    name: `drizzle: ${work.name}, ${who}, synchronous full`,
    unit: 'calls/s',
    rounds: 5,
    contenders: async (folder) => {
      const database = new Database(join(folder, 'better-sqlite3.db'));
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
      const better = onBetterSqlite3(database, { schema });
      await fill(better);

      const client = createClient({ url: `file:${join(folder, 'libsql.db')}` });
      // FULL is its default, which each of its connections begins with.
      await client.execute('PRAGMA journal_mode = WAL');
      const libsql = onLibsql(client, { schema });
      await fill(libsql);
      const onClient = (n: number) => work.async(libsql, n);

      const pool = createPool(join(folder, 'pool.db'), { synchronous: 'full' });
      const pooled = onPool(pool, { schema });
      await fill(pooled);

      return [
        await contender(
          'drizzle-orm/better-sqlite3',
          callers,
          (n) => work.sync(better, n),
          () => database.close(),
        ),
        await contender(
          'drizzle-orm/libsql',
          callers,
          work.holds ? inTurn(onClient) : onClient,
          () => client.close(),
        ),
        await contender(
          '@poolite/drizzle',
          callers,
          (n) => work.async(pooled, n),
          () => pool.close(),
        ),
      ];
    },
    ...(wanted === undefined ? {} : { wanted }),
  };
}

/** What Drizzle costs, and gains, on a pool. */
export const drizzle: readonly Scenario[] = CALLERS.flatMap((callers) =>
  works.map((work) => {
    const floor = callers === 1 ? 0.75 : work.name === 'insert' ? 5 : undefined;
    const wanted = floor === undefined ? undefined : { '@poolite/drizzle': { ratio: floor } };
    return scenario(work, callers, wanted);
  }),
);
