/** What every contender stores, in a table of the same text for all of them. */
export interface Item {
  id: number;
  name: string;
  price: number;
  note: string;
}

export type NewItem = Omit<Item, 'id'>;

/** A sum of 1 from one account to another. `undo`: thrown away at its end, as a user changes their mind. */
export interface Transfer {
  source: number;
  target: number;
  undo: boolean;
}

/** What ends a transfer that is to be undone: the contender rolls back and lets it through. */
export class Undone extends Error {
  override name = 'Undone';
}

export interface OpenOptions {
  synchronous: 'normal' | 'full';
  /** Several processes have the file open and write. */
  shared: boolean;
}

type Answer<T> = T | Promise<T>;

/** An open database: each method as a competent user of the library would write it. */
export interface OpenDatabase {
  /** Statements without parameters. */
  exec(script: string): Answer<unknown>;
  /** A query without parameters. */
  rows(sql: string): Answer<readonly object[]>;
  get(id: number): Answer<unknown>;
  /** 100 items from this one on. */
  range(from: number): Answer<readonly unknown[]>;
  all(): Answer<readonly unknown[]>;
  insert(item: NewItem): Answer<unknown>;
  update(id: number, price: number): Answer<unknown>;
  /** All of them in one transaction. */
  bulk(items: readonly NewItem[]): Answer<unknown>;
  /** Five statements in one transaction: two reads, two updates from what was read, an insert. */
  transfer(transfer: Transfer): Answer<unknown>;
  /** Without it: VACUUM INTO. */
  backup?(target: string): Answer<unknown>;
  close(): Answer<unknown>;
}

export interface Contender {
  name: string;
  open(file: string, options: OpenOptions): Answer<OpenDatabase>;
}

/** How long SQLite waits for another process's lock, in ms: the same for all of them. */
export const BUSY_TIMEOUT = 5000;

/** The pool's reader threads. By default it would have one here, which a slow query keeps to itself. */
export const READERS = 2;

export const SQL = {
  get: 'SELECT id, name, price, note FROM item WHERE id = ?',
  range: 'SELECT id, name, price, note FROM item WHERE id >= ? ORDER BY id LIMIT 100',
  all: 'SELECT id, name, price, note FROM item',
  insert: 'INSERT INTO item (name, price, note) VALUES (?, ?, ?)',
  update: 'UPDATE item SET price = ? WHERE id = ?',
  balance: 'SELECT balance FROM account WHERE id = ?',
  setBalance: 'UPDATE account SET balance = ? WHERE id = ?',
  ledger: 'INSERT INTO ledger (source, target) VALUES (?, ?)',
} as const;

export const ACCOUNTS = 100;
export const BALANCE = 1_000_000;

export const TABLES = `
  CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL, note TEXT NOT NULL);
  CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
  CREATE TABLE ledger (id INTEGER PRIMARY KEY, source INTEGER NOT NULL, target INTEGER NOT NULL);
  INSERT INTO account (id, balance) VALUES ${Array.from({ length: ACCOUNTS }, (_, i) => `(${i + 1}, ${BALANCE})`).join(', ')};
`;

export const itemOf = (n: number, note = `a note of some length about ${n}`): NewItem => ({
  name: `name number ${n}`,
  price: n * 0.5,
  note,
});

/** The three statements that a transfer is made of, inside a transaction. */
export interface Steps {
  balance(id: number): Promise<number>;
  setBalance(id: number, balance: number): Promise<unknown>;
  ledger(source: number, target: number): Promise<unknown>;
}

export async function transferBy(steps: Steps, { source, target, undo }: Transfer): Promise<void> {
  const before = await steps.balance(source);
  const other = await steps.balance(target);
  await steps.setBalance(source, before - 1);
  await steps.setBalance(target, other + 1);
  await steps.ledger(source, target);
  if (undo) throw new Undone();
}

export const quoted = (file: string) => `'${file.replaceAll("'", "''")}'`;
