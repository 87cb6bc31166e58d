import { join } from 'node:path';
import { PooliteDialect } from '@poolite/kysely';
import Database from 'better-sqlite3';
import { type Generated, Kysely, SqliteDialect, sql, type Transaction } from 'kysely';
import { type Contender, perSecond, type Scenario } from './harness.ts';

interface Tables {
  item: { id: Generated<number>; name: string; count: number };
}

type Work = (db: Kysely<Tables>, n: number) => Promise<unknown>;

const ROUND = 700;
const ROWS = 1000;
const CALLERS = [1, 64] as const;

const named = (n: number) => ({ name: `name ${n}`, count: n });

const selectById: Work = (db, n) =>
  db
    .selectFrom('item')
    .selectAll()
    .where('id', '=', (n % ROWS) + 1)
    .executeTakeFirstOrThrow();

const insert: Work = (db, n) => db.insertInto('item').values(named(n)).executeTakeFirstOrThrow();

const inTransaction =
  (work: (trx: Transaction<Tables>, n: number) => Promise<unknown>): Work =>
  (db, n) =>
    db.transaction().execute((trx) => work(trx, n));

const fiveStatements = inTransaction(async (trx, n) => {
  const { count } = (await selectById(trx, n)) as { count: number };
  const change = { count: count + 1 };
  const id = (n % ROWS) + 1;
  await trx.updateTable('item').set(change).where('id', '=', id).execute();
  await insert(trx, n);
  await insert(trx, n + 1);
  await selectById(trx, n + 1);
});

async function contender(name: string, db: Kysely<Tables>, callers: number, work: Work) {
  await sql`CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, count INTEGER)`.execute(db);
  const rows = Array.from({ length: ROWS }, (_, n) => named(n));
  await db.insertInto('item').values(rows).execute();
  let n = 0;
  return {
    name,
    round: () => perSecond(callers, ROUND, () => work(db, n++)),
    close: () => db.destroy(),
  } satisfies Contender;
}

function scenario(what: string, work: Work, callers: number, ratio?: number): Scenario {
  const who = callers === 1 ? '1 caller' : `${callers} callers`;
  return {
    name: `kysely: ${what}, ${who}, synchronous full`,
    unit: 'calls/s',
    rounds: 5,
    contenders: async (folder) => {
      const database = new Database(join(folder, 'stock.db'));
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
      const stock = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) });
      const path = join(folder, 'pool.db');
      const dialect = new PooliteDialect({ database: path, synchronous: 'full' });
      return [
        await contender('SqliteDialect', stock, callers, work),
        await contender('PooliteDialect', new Kysely<Tables>({ dialect }), callers, work),
      ];
    },
    ...(ratio === undefined ? {} : { wanted: { PooliteDialect: { ratio } } }),
  };
}

const inserted = inTransaction(insert);

/** What Kysely costs, and gains, on a pool. */
export const kysely: readonly Scenario[] = CALLERS.flatMap((callers) => [
  scenario('select by id', selectById, callers, callers === 1 ? 0.9 : undefined),
  scenario('insert', insert, callers, callers === 1 ? 0.75 : 8),
  scenario('transaction of one insert', inserted, callers, callers === 1 ? undefined : 2),
  scenario('transaction of 5 statements', fiveStatements, callers),
]);
