import {
  BUSY_TIMEOUT,
  type Contender,
  type OpenDatabase,
  SQL,
  transferBy,
} from '../contenders/contender.ts';

interface Statement {
  run(...values: unknown[]): Promise<unknown>;
  get(...values: unknown[]): Promise<object | undefined>;
  all(...values: unknown[]): Promise<object[]>;
}

interface Transaction {
  run(sql: string, ...values: unknown[]): Promise<unknown>;
  get(sql: string, ...values: unknown[]): Promise<object | undefined>;
  prepare(sql: string): Promise<Statement>;
}

interface Connection {
  exec(script: string): Promise<void>;
  prepare(sql: string): Promise<Statement>;
  all(sql: string): Promise<object[]>;
  transactionAsync<Values extends unknown[]>(
    work: (tx: Transaction, ...values: Values) => Promise<unknown>,
  ): { immediate(...values: Values): Promise<unknown> };
  close(): Promise<void>;
}

type Library = { connect(file: string, options?: { timeout?: number }): Promise<Connection> };

async function opened(file: string, durability: string): Promise<OpenDatabase> {
  const name: string = '@tursodatabase/database';
  const { connect } = (await import(name)) as Library;
  const db = await connect(file, { timeout: BUSY_TIMEOUT });
  await db.exec('PRAGMA journal_mode = WAL');
  await db.exec(`PRAGMA synchronous = ${durability}`);
  const idle = new Map<string, Statement[]>();
  /** One for each call under way: 0.7 binds before it waits its turn, so that calls that share one take one another's parameters. */
  const using = async <T>(sql: string, call: (statement: Statement) => Promise<T>): Promise<T> => {
    const those = idle.get(sql) ?? [];
    idle.set(sql, those);
    const statement = those.pop() ?? (await db.prepare(sql));
    try {
      return await call(statement);
    } finally {
      those.push(statement);
    }
  };
  return {
    exec: (script) => db.exec(script),
    rows: (sql) => db.all(sql),
    get: (id) => using(SQL.get, (each) => each.get(id)),
    range: (from) => using(SQL.range, (each) => each.all(from)),
    all: () => using(SQL.all, (each) => each.all()),
    insert: ({ name: of, price, note }) => using(SQL.insert, (each) => each.run(of, price, note)),
    update: (id, price) => using(SQL.update, (each) => each.run(price, id)),
    bulk: (items) =>
      db
        .transactionAsync(async (tx: Transaction) => {
          const insert = await tx.prepare(SQL.insert);
          for (const item of items) await insert.run(item.name, item.price, item.note);
        })
        .immediate(),
    transfer: (transfer) =>
      db
        .transactionAsync((tx: Transaction) =>
          transferBy(
            {
              balance: async (id) =>
                ((await tx.get(SQL.balance, id)) as { balance: number }).balance,
              setBalance: (id, balance) => tx.run(SQL.setBalance, balance, id),
              ledger: (source, target) => tx.run(SQL.ledger, source, target),
            },
            transfer,
          ),
        )
        .immediate(),
    close: () => db.close(),
  };
}

export const contenders: readonly Contender[] = [
  { name: '@tursodatabase/database', open: (file, { synchronous }) => opened(file, synchronous) },
];
