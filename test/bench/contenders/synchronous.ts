import { type Item, type OpenDatabase, SQL, type Transfer, Undone } from './contender.ts';

interface Statement {
  get(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown[];
  run(...values: unknown[]): unknown;
}

interface Connection {
  prepare(sql: string): Statement;
  exec(script: string): unknown;
  close(): unknown;
}

/** What better-sqlite3, node:sqlite and libsql have in common: prepared statements that answer at once. */
export function synchronous(connection: Connection): OpenDatabase {
  const prepared = <Name extends keyof typeof SQL>(name: Name) => {
    let statement: Statement | undefined;
    return () => {
      statement ??= connection.prepare(SQL[name]);
      return statement;
    };
  };
  const get = prepared('get');
  const range = prepared('range');
  const all = prepared('all');
  const insert = prepared('insert');
  const update = prepared('update');
  const balance = prepared('balance');
  const setBalance = prepared('setBalance');
  const ledger = prepared('ledger');
  const balanceOf = (id: number) => (balance().get(id) as { balance: number }).balance;

  const inTransaction = (work: () => void): void => {
    connection.exec('BEGIN IMMEDIATE');
    try {
      work();
      connection.exec('COMMIT');
    } catch (error) {
      connection.exec('ROLLBACK');
      throw error;
    }
  };
  return {
    exec: (script) => connection.exec(script),
    rows: (sql) => connection.prepare(sql).all() as object[],
    get: (id) => get().get(id),
    range: (from) => range().all(from),
    all: () => all().all() as Item[],
    insert: ({ name, price, note }) => insert().run(name, price, note),
    update: (id, price) => update().run(price, id),
    bulk: (items) =>
      inTransaction(() => {
        for (const { name, price, note } of items) insert().run(name, price, note);
      }),
    transfer: ({ source, target, undo }: Transfer) =>
      inTransaction(() => {
        const before = balanceOf(source);
        const other = balanceOf(target);
        setBalance().run(before - 1, source);
        setBalance().run(other + 1, target);
        ledger().run(source, target);
        if (undo) throw new Undone();
      }),
    close: () => connection.close(),
  };
}
