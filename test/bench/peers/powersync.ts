import { basename, dirname } from 'node:path';
import {
  BUSY_TIMEOUT,
  type Contender,
  type OpenDatabase,
  SQL,
  transferBy,
} from '../contenders/contender.ts';

type Values = readonly unknown[];

interface Context {
  execute(sql: string, values?: Values): Promise<unknown>;
  executeBatch(sql: string, values: readonly Values[]): Promise<unknown>;
  getAll(sql: string, values?: Values): Promise<object[]>;
  get(sql: string, values?: Values): Promise<object>;
}

interface Connection extends Context {
  waitForReady(): Promise<void>;
  writeTransaction<T>(work: (tx: Context) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

interface Common {
  Schema: new (tables: object) => object;
}

interface Library {
  PowerSyncDatabase: new (options: {
    schema: object;
    database: {
      dbFilename: string;
      dbLocation: string;
      initializeConnection(connection: Context): Promise<void>;
    };
  }) => Connection;
}

async function opened(file: string, durability: string): Promise<OpenDatabase> {
  const names = ['@powersync/common', '@powersync/node'] as const;
  const { Schema } = (await import(names[0] as string)) as Common;
  const { PowerSyncDatabase } = (await import(names[1] as string)) as Library;
  const db = new PowerSyncDatabase({
    schema: new Schema({}),
    database: {
      dbFilename: basename(file),
      dbLocation: dirname(file),
      initializeConnection: async (connection) => {
        await connection.execute(`PRAGMA synchronous = ${durability}`);
        await connection.execute(`PRAGMA busy_timeout = ${BUSY_TIMEOUT}`);
      },
    },
  });
  await db.waitForReady();
  return {
    exec: async (script) => {
      for (const statement of script.split(';')) {
        if (statement.trim() !== '') await db.execute(statement);
      }
    },
    rows: (sql) => db.getAll(sql),
    get: (id) => db.get(SQL.get, [id]),
    range: (from) => db.getAll(SQL.range, [from]),
    all: () => db.getAll(SQL.all),
    insert: ({ name, price, note }) => db.execute(SQL.insert, [name, price, note]),
    update: (id, price) => db.execute(SQL.update, [price, id]),
    bulk: (items) =>
      db.writeTransaction((tx) =>
        tx.executeBatch(
          SQL.insert,
          items.map(({ name, price, note }) => [name, price, note]),
        ),
      ),
    transfer: (transfer) =>
      db.writeTransaction((tx) =>
        transferBy(
          {
            balance: async (id) =>
              ((await tx.get(SQL.balance, [id])) as { balance: number }).balance,
            setBalance: (id, balance) => tx.execute(SQL.setBalance, [balance, id]),
            ledger: (source, target) => tx.execute(SQL.ledger, [source, target]),
          },
          transfer,
        ),
      ),
    close: () => db.close(),
  };
}

export const contenders: readonly Contender[] = [
  { name: '@powersync/node', open: (file, { synchronous }) => opened(file, synchronous) },
];
