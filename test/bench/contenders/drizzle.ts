import { createPool } from '@poolite/core';
import { drizzle as onPool } from '@poolite/drizzle';
import { asc, eq, gte, sql } from 'drizzle-orm';
import { drizzle as onBetterSqlite3 } from 'drizzle-orm/better-sqlite3';
import { drizzle as onLibsql } from 'drizzle-orm/libsql';
import { type BaseSQLiteDatabase, integer, real, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { connect } from './better-sqlite3.ts';
import {
  type Contender,
  type NewItem,
  type OpenDatabase,
  READERS,
  transferBy,
  Undone,
} from './contender.ts';
import { libsqlClient } from './libsql-client.ts';

const item = sqliteTable('item', {
  id: integer().primaryKey(),
  name: text().notNull(),
  price: real().notNull(),
  note: text().notNull(),
});
const account = sqliteTable('account', {
  id: integer().primaryKey(),
  balance: integer().notNull(),
});
const ledger = sqliteTable('ledger', {
  id: integer().primaryKey(),
  source: integer().notNull(),
  target: integer().notNull(),
});

type Async = BaseSQLiteDatabase<'async', unknown>;
type Sync = BaseSQLiteDatabase<'sync', unknown>;

/** SQLite takes 32,766 parameters in a statement. */
const AT_ONCE = 5000;

const inPieces = (items: readonly NewItem[]) =>
  Array.from({ length: Math.ceil(items.length / AT_ONCE) }, (_, i) =>
    items.slice(i * AT_ONCE, (i + 1) * AT_ONCE),
  );

/** The builders are the same for both kinds: what they answer with, a value or a promise, is not. */
function opened(db: Async, rest: Pick<OpenDatabase, 'exec' | 'close'>): OpenDatabase {
  // better-sqlite3 prepares at once: only when the table is there.
  const once = <T>(make: () => T): (() => T) => {
    let made: T | undefined;
    return () => {
      made ??= make();
      return made;
    };
  };
  const get = once(() =>
    db
      .select()
      .from(item)
      .where(eq(item.id, sql.placeholder('id')))
      .prepare(),
  );
  const range = once(() =>
    db
      .select()
      .from(item)
      .where(gte(item.id, sql.placeholder('from')))
      .orderBy(asc(item.id))
      .limit(100)
      .prepare(),
  );
  const all = once(() => db.select().from(item).prepare());
  return {
    rows: (text) => db.all<object>(sql.raw(text)),
    get: (id) => get().get({ id }),
    range: (from) => range().all({ from }),
    all: () => all().all(),
    insert: (values) => db.insert(item).values(values).run(),
    update: (id, price) => db.update(item).set({ price }).where(eq(item.id, id)).run(),
    bulk: (items) =>
      db.transaction(async (tx) => {
        for (const piece of inPieces(items)) await tx.insert(item).values(piece).run();
      }),
    transfer: (transfer) =>
      db.transaction((tx) =>
        transferBy(
          {
            balance: async (id) =>
              (await tx.select().from(account).where(eq(account.id, id)).get())?.balance as number,
            setBalance: (id, balance) =>
              tx
                .update(account)
                .set({ balance })
                .where(eq(account.id, id))
                .run() as Promise<unknown>,
            ledger: (source, target) =>
              tx.insert(ledger).values({ source, target }).run() as Promise<unknown>,
          },
          transfer,
        ),
      ),
    ...rest,
  };
}

/** better-sqlite3's transactions take a function that answers at once. */
const synchronously = (db: Sync): Pick<OpenDatabase, 'bulk' | 'transfer'> => ({
  bulk: (items) =>
    db.transaction((tx) => {
      for (const piece of inPieces(items)) tx.insert(item).values(piece).run();
    }),
  transfer: ({ source, target, undo }) =>
    db.transaction(
      (tx) => {
        const balance = (id: number) =>
          tx.select().from(account).where(eq(account.id, id)).get()?.balance as number;
        const before = balance(source);
        const other = balance(target);
        const set = (id: number, to: number) =>
          tx.update(account).set({ balance: to }).where(eq(account.id, id)).run();
        set(source, before - 1);
        set(target, other + 1);
        tx.insert(ledger).values({ source, target }).run();
        if (undo) throw new Undone();
      },
      { behavior: 'immediate' },
    ),
});

export const contenders: readonly Contender[] = [
  {
    name: 'drizzle-orm/better-sqlite3',
    open: (file, { synchronous }) => {
      const connection = connect(file, synchronous);
      const db = onBetterSqlite3(connection);
      const rest = {
        exec: (script: string) => connection.exec(script),
        close: () => connection.close(),
      };
      return { ...opened(db as unknown as Async, rest), ...synchronously(db) };
    },
  },
  {
    name: 'drizzle-orm/libsql',
    open: async (file, { synchronous }) => {
      const client = await libsqlClient(file, synchronous);
      return opened(onLibsql(client), {
        exec: (script) => client.executeMultiple(script),
        close: () => client.close(),
      });
    },
  },
  {
    name: '@poolite/drizzle',
    open: (file, { synchronous }) => {
      const pool = createPool(file, { synchronous, readers: READERS });
      return opened(onPool(pool) as unknown as Async, {
        exec: (script) => pool.exec(script),
        close: () => pool.close(),
      });
    },
  },
];
