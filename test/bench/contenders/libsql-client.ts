import { type Client, createClient, type Transaction } from '@libsql/client';
import { BUSY_TIMEOUT, type Contender, SQL, transferBy } from './contender.ts';

export async function libsqlClient(file: string, synchronous: string): Promise<Client> {
  const client = createClient({ url: `file:${file}`, timeout: BUSY_TIMEOUT } as Parameters<
    typeof createClient
  >[0]);
  await client.execute('PRAGMA journal_mode = WAL');
  // Of this connection: after an interactive transaction the client opens another, whose default is FULL.
  await client.execute(`PRAGMA synchronous = ${synchronous}`);
  return client;
}

const stepsOf = (tx: Transaction) => ({
  balance: async (id: number) => {
    const { rows } = await tx.execute({ sql: SQL.balance, args: [id] });
    return rows[0]?.balance as number;
  },
  setBalance: (id: number, balance: number) =>
    tx.execute({ sql: SQL.setBalance, args: [balance, id] }),
  ledger: (source: number, target: number) =>
    tx.execute({ sql: SQL.ledger, args: [source, target] }),
});

export const contenders: readonly Contender[] = [
  {
    name: '@libsql/client',
    open: async (file, { synchronous }) => {
      const client = await libsqlClient(file, synchronous);
      const rows = async (sql: string, args: (string | number)[] = []) =>
        (await client.execute({ sql, args })).rows;
      return {
        exec: (script) => client.executeMultiple(script),
        rows: (sql) => rows(sql),
        get: async (id) => (await rows(SQL.get, [id]))[0],
        range: (from) => rows(SQL.range, [from]),
        all: () => rows(SQL.all),
        insert: ({ name, price, note }) =>
          client.execute({ sql: SQL.insert, args: [name, price, note] }),
        update: (id, price) => client.execute({ sql: SQL.update, args: [price, id] }),
        bulk: (items) =>
          client.batch(
            items.map(({ name, price, note }) => ({ sql: SQL.insert, args: [name, price, note] })),
            'write',
          ),
        transfer: async (transfer) => {
          const tx = await client.transaction('write');
          try {
            await transferBy(stepsOf(tx), transfer);
            await tx.commit();
          } finally {
            // Rolls back what was not committed.
            tx.close();
          }
        },
        close: () => client.close(),
      };
    },
  },
];
