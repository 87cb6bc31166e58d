import 'reflect-metadata';
import { poolite } from '@poolite/typeorm';
import { DataSource, EntitySchema, MoreThanOrEqual } from 'typeorm';
import {
  BUSY_TIMEOUT,
  type Contender,
  type OpenDatabase,
  READERS,
  transferBy,
} from './contender.ts';

const id = { type: 'integer', primary: true, generated: true } as const;

interface Row {
  id: number;
  name: string;
  price: number;
  note: string;
}

const ItemEntity = new EntitySchema<Row>({
  name: 'item',
  columns: { id, name: { type: 'text' }, price: { type: 'real' }, note: { type: 'text' } },
});
const Account = new EntitySchema<{ id: number; balance: number }>({
  name: 'account',
  columns: { id, balance: { type: 'integer' } },
});
const Ledger = new EntitySchema<{ id: number; source: number; target: number }>({
  name: 'ledger',
  columns: { id, source: { type: 'integer' }, target: { type: 'integer' } },
});

const type = 'better-sqlite3';
const entities = [ItemEntity, Account, Ledger];

/** SQLite takes 32,766 parameters in a statement. */
const AT_ONCE = 5000;

async function opened(source: DataSource): Promise<OpenDatabase> {
  await source.initialize();
  const items = source.getRepository(ItemEntity);
  return {
    exec: async (script) => {
      for (const statement of script.split(';')) {
        if (statement.trim() !== '') await source.query(statement);
      }
    },
    rows: (sql) => source.query(sql),
    get: (of) => items.findOneBy({ id: of }),
    range: (from) =>
      items.find({ where: { id: MoreThanOrEqual(from) }, order: { id: 'ASC' }, take: 100 }),
    all: () => items.find(),
    insert: (item) => items.insert(item),
    update: (of, price) => items.update({ id: of }, { price }),
    bulk: (rows) =>
      source.transaction(async (manager) => {
        for (let at = 0; at < rows.length; at += AT_ONCE) {
          const values = rows.slice(at, at + AT_ONCE);
          await manager
            .createQueryBuilder()
            .insert()
            .into(ItemEntity)
            .values(values)
            .updateEntity(false)
            .execute();
        }
      }),
    transfer: (transfer) =>
      source.transaction((manager) =>
        transferBy(
          {
            balance: async (of) => (await manager.findOneByOrFail(Account, { id: of })).balance,
            setBalance: (of, balance) => manager.update(Account, { id: of }, { balance }),
            ledger: (from, to) => manager.insert(Ledger, { source: from, target: to }),
          },
          transfer,
        ),
      ),
    close: () => source.destroy(),
  };
}

export const contenders: readonly Contender[] = [
  {
    name: 'typeorm, better-sqlite3',
    open: (database, { synchronous }) =>
      opened(
        new DataSource({
          type,
          entities,
          database,
          enableWAL: true,
          timeout: BUSY_TIMEOUT,
          prepareDatabase: (db) => void db.pragma(`synchronous = ${synchronous}`),
        }),
      ),
  },
  {
    name: '@poolite/typeorm',
    open: (database, { synchronous }) =>
      opened(
        new DataSource({
          ...{ type, entities, database },
          driver: poolite({ synchronous, readers: READERS }),
        }),
      ),
  },
];
