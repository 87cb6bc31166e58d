import { PooliteDialect } from '@poolite/kysely';
import { type Dialect, type Generated, Kysely, SqliteDialect, sql } from 'kysely';
import { connect } from './better-sqlite3.ts';
import {
  type Contender,
  type Item,
  type NewItem,
  type OpenDatabase,
  READERS,
  transferBy,
} from './contender.ts';

interface Tables {
  item: Omit<Item, 'id'> & { id: Generated<number> };
  account: { id: number; balance: number };
  ledger: { id: Generated<number>; source: number; target: number };
}

/** SQLite takes 32,766 parameters in a statement. */
const AT_ONCE = 5000;

const item = ['id', 'name', 'price', 'note'] as const;

function opened(dialect: Dialect): OpenDatabase {
  const db = new Kysely<Tables>({ dialect });
  const insert = (to: Kysely<Tables>, items: NewItem | readonly NewItem[]) =>
    to.insertInto('item').values(items).execute();
  return {
    exec: async (script) => {
      for (const statement of script.split(';')) {
        if (statement.trim() !== '') await sql.raw(statement).execute(db);
      }
    },
    rows: async (text) => (await sql.raw<object>(text).execute(db)).rows,
    get: (id) => db.selectFrom('item').select(item).where('id', '=', id).executeTakeFirst(),
    range: (from) =>
      db.selectFrom('item').select(item).where('id', '>=', from).orderBy('id').limit(100).execute(),
    all: () => db.selectFrom('item').select(item).execute(),
    insert: (values) => insert(db, values),
    update: (id, price) => db.updateTable('item').set({ price }).where('id', '=', id).execute(),
    bulk: (items) =>
      db.transaction().execute(async (tx) => {
        for (let at = 0; at < items.length; at += AT_ONCE) {
          await insert(tx, items.slice(at, at + AT_ONCE));
        }
      }),
    transfer: (transfer) =>
      db.transaction().execute((tx) =>
        transferBy(
          {
            balance: async (id) => {
              const query = tx.selectFrom('account').select('balance').where('id', '=', id);
              return (await query.executeTakeFirstOrThrow()).balance;
            },
            setBalance: (id, balance) =>
              tx.updateTable('account').set({ balance }).where('id', '=', id).execute(),
            ledger: (source, target) =>
              tx.insertInto('ledger').values({ source, target }).execute(),
          },
          transfer,
        ),
      ),
    close: () => db.destroy(),
  };
}

export const contenders: readonly Contender[] = [
  {
    name: 'kysely, SqliteDialect',
    open: (file, { synchronous }) =>
      opened(new SqliteDialect({ database: connect(file, synchronous) })),
  },
  {
    name: '@poolite/kysely',
    open: (file, { synchronous }) =>
      opened(new PooliteDialect({ database: file, synchronous, readers: READERS })),
  },
];
