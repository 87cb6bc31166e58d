import { createPool } from '@poolite/core';
import { BUSY_TIMEOUT, type Contender, READERS, SQL, transferBy } from './contender.ts';

export const contenders: readonly Contender[] = [
  {
    name: 'poolite',
    open: (file, { synchronous, shared }) => {
      const writer = shared ? 'shared' : 'own';
      const busyTimeout = BUSY_TIMEOUT;
      const pool = createPool(file, { synchronous, writer, busyTimeout, readers: READERS });
      return {
        exec: (script) => pool.exec(script),
        rows: (sql) => pool.all<object>(sql),
        get: (id) => pool.get(SQL.get, [id]),
        range: (from) => pool.all(SQL.range, [from]),
        all: () => pool.all(SQL.all),
        insert: ({ name, price, note }) => pool.run(SQL.insert, [name, price, note]),
        update: (id, price) => pool.run(SQL.update, [price, id]),
        bulk: (items) =>
          pool.runMany(
            SQL.insert,
            items.map(({ name, price, note }) => [name, price, note]),
          ),
        transfer: (transfer) =>
          pool.transaction((tx) =>
            transferBy(
              {
                balance: async (id) =>
                  ((await tx.get(SQL.balance, [id])) as { balance: number }).balance,
                setBalance: (id, balance) => tx.run(SQL.setBalance, [balance, id]),
                ledger: (source, target) => tx.run(SQL.ledger, [source, target]),
              },
              transfer,
            ),
          ),
        backup: (target) => pool.backup(target),
        close: () => pool.close(),
      };
    },
  },
];
