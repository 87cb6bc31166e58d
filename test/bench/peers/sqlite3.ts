import {
  BUSY_TIMEOUT,
  type Contender,
  type OpenDatabase,
  SQL,
  transferBy,
} from '../contenders/contender.ts';

type Done<T> = (error: Error | null, value: T) => void;

interface Statement {
  run(values: readonly unknown[], done: Done<undefined>): void;
  get(values: readonly unknown[], done: Done<object | undefined>): void;
  all(values: readonly unknown[], done: Done<object[]>): void;
  finalize(): void;
}

interface Connection {
  configure(option: 'busyTimeout', ms: number): void;
  prepare(sql: string): Statement;
  exec(script: string, done: (error: Error | null) => void): void;
  all(sql: string, done: Done<object[]>): void;
  backup(target: string, done: (error: Error | null) => void): BackUp;
  close(done: (error: Error | null) => void): void;
}

interface BackUp {
  retryErrors: number[];
  step(pages: number, done: (error: Error | null) => void): void;
  finish(done: () => void): void;
}

type Library = {
  Database: new (file: string, done: (error: Error | null) => void) => Connection;
};

function promised<T>(call: (done: (error: Error | null, value?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) =>
    call((error, value) => (error === null ? resolve(value as T) : reject(error))),
  );
}

async function opened(file: string, durability: string): Promise<OpenDatabase> {
  const name: string = 'sqlite3';
  const { Database } = ((await import(name)) as { default: Library }).default;
  const db = await promised<Connection>((done) => {
    const connection = new Database(file, (error) => done(error, connection));
  });
  db.configure('busyTimeout', BUSY_TIMEOUT);
  const exec = (script: string) => promised<void>((done) => db.exec(script, (e) => done(e)));
  await exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability}`);
  const statements = new Map<string, Statement>();
  const prepared = (sql: string): Statement => {
    const statement = statements.get(sql) ?? db.prepare(sql);
    statements.set(sql, statement);
    return statement;
  };
  const run = (sql: string, ...values: unknown[]) =>
    promised<undefined>((done) => prepared(sql).run(values, done));
  const get = (sql: string, id: number) =>
    promised<object | undefined>((done) => prepared(sql).get([id], done));
  const all = (sql: string, ...values: unknown[]) =>
    promised<object[]>((done) => prepared(sql).all(values, done));

  /** The library has no transactions of its own: this is what its users write. */
  const inTransaction = async (work: () => Promise<unknown>): Promise<void> => {
    await exec('BEGIN IMMEDIATE');
    try {
      await work();
      await exec('COMMIT');
    } catch (error) {
      await exec('ROLLBACK');
      throw error;
    }
  };
  return {
    exec,
    rows: (sql) => promised((done) => db.all(sql, done)),
    get: (id) => get(SQL.get, id),
    range: (from) => all(SQL.range, from),
    all: () => all(SQL.all),
    insert: ({ name: of, price, note }) => run(SQL.insert, of, price, note),
    update: (id, price) => run(SQL.update, price, id),
    bulk: (items) =>
      inTransaction(() =>
        Promise.all(items.map((item) => run(SQL.insert, item.name, item.price, item.note))),
      ),
    transfer: (transfer) =>
      inTransaction(() =>
        transferBy(
          {
            balance: async (id) => ((await get(SQL.balance, id)) as { balance: number }).balance,
            setBalance: (id, balance) => run(SQL.setBalance, balance, id),
            ledger: (source, target) => run(SQL.ledger, source, target),
          },
          transfer,
        ),
      ),
    backup: async (target) => {
      const backup = await promised<BackUp>((done) => {
        const of = db.backup(target, (error) => done(error, of));
      });
      await promised<void>((done) => backup.step(-1, (error) => done(error)));
      await promised<void>((done) => backup.finish(() => done(null)));
    },
    close: async () => {
      for (const statement of statements.values()) statement.finalize();
      await promised<void>((done) => db.close((error) => done(error)));
    },
  };
}

export const contenders: readonly Contender[] = [
  { name: 'sqlite3', open: (file, { synchronous }) => opened(file, synchronous) },
];
