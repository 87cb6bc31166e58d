import {
  BUSY_TIMEOUT,
  type Contender,
  type OpenDatabase,
  transferBy,
} from '../contenders/contender.ts';

type Query = { readonly query: unique symbol };
type Tag = (strings: TemplateStringsArray, ...values: unknown[]) => Query;

interface Transaction {
  query(query: Query): Promise<object[]>;
}

interface Pool extends Transaction {
  tx<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

interface Connection {
  query(query: Query): object[];
}

interface Library {
  sql: Tag & { __dangerous__rawValue(text: string): Query };
  createConnectionPool(
    file: string,
    options: { timeout: number },
    pool: { onActive(connection: Connection): void },
  ): Pool;
}

async function opened(file: string, durability: string): Promise<OpenDatabase> {
  const name: string = '@matteo.collina/sqlite-pool';
  const { default: library, ...named } = (await import(name)) as Library & { default?: Library };
  const { sql, createConnectionPool } = library?.sql === undefined ? named : library;
  const raw = (text: string) => sql.__dangerous__rawValue(text);
  const prepared = new WeakSet<Connection>();
  const pool = createConnectionPool(
    file,
    { timeout: BUSY_TIMEOUT },
    {
      onActive: (connection) => {
        if (prepared.has(connection)) return;
        prepared.add(connection);
        connection.query(raw('PRAGMA journal_mode = WAL'));
        connection.query(raw(`PRAGMA synchronous = ${durability}`));
      },
    },
  );
  const columns = sql`id, name, price, note`;
  return {
    exec: async (script) => {
      for (const statement of script.split(';')) {
        if (statement.trim() !== '') await pool.query(raw(statement));
      }
    },
    rows: (text) => pool.query(raw(text)),
    get: async (id) => (await pool.query(sql`SELECT ${columns} FROM item WHERE id = ${id}`))[0],
    range: (from) =>
      pool.query(sql`SELECT ${columns} FROM item WHERE id >= ${from} ORDER BY id LIMIT 100`),
    all: () => pool.query(sql`SELECT ${columns} FROM item`),
    insert: (item) =>
      pool.query(
        sql`INSERT INTO item (name, price, note) VALUES (${item.name}, ${item.price}, ${item.note})`,
      ),
    update: (id, price) => pool.query(sql`UPDATE item SET price = ${price} WHERE id = ${id}`),
    bulk: (items) =>
      pool.tx(async (tx) => {
        for (const item of items) {
          await tx.query(
            sql`INSERT INTO item (name, price, note) VALUES (${item.name}, ${item.price}, ${item.note})`,
          );
        }
      }),
    transfer: (transfer) =>
      pool.tx((tx) =>
        transferBy(
          {
            balance: async (id) => {
              const rows = await tx.query(sql`SELECT balance FROM account WHERE id = ${id}`);
              return (rows[0] as { balance: number }).balance;
            },
            setBalance: (id, balance) =>
              tx.query(sql`UPDATE account SET balance = ${balance} WHERE id = ${id}`),
            ledger: (source, target) =>
              tx.query(sql`INSERT INTO ledger (source, target) VALUES (${source}, ${target})`),
          },
          transfer,
        ),
      ),
    close: () => pool.dispose(),
  };
}

export const contenders: readonly Contender[] = [
  {
    name: '@matteo.collina/sqlite-pool',
    open: (file, { synchronous }) => opened(file, synchronous),
  },
];
