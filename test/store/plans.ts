/** One thing that a write does. */
export type Step =
  /** Stores what is there at this moment: as the row of `seen` with the place of this step. */
  | { do: 'see'; table: Table; key: number }
  | { do: 'move'; from: number; to: number; cents: number }
  | { do: 'count'; counter: number }
  /** Puts the name of the write at the end of a list. */
  | { do: 'append'; list: number };

export type Table = 'account' | 'counter' | 'list';

/** What a write does, in order; stored with it, so that whoever reads the log can do it again. */
export type Plan = readonly Step[];

export const ACCOUNTS = 10;
export const CENTS = 1000;
export const COUNTERS = 4;
export const LISTS = 6;

/** How a value of each table is read. */
export const READ: Readonly<Record<Table, string>> = {
  account: 'SELECT cents AS value FROM account WHERE id = ?',
  counter: 'SELECT n AS value FROM counter WHERE id = ?',
  list: 'SELECT items AS value FROM list WHERE key = ?',
};

export const TABLES = `
  CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL);
  CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
  CREATE TABLE list (key INTEGER PRIMARY KEY, items TEXT NOT NULL);
  CREATE TABLE request (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, plan TEXT NOT NULL, counts INTEGER
  );
  CREATE TABLE seen (
    request TEXT NOT NULL REFERENCES request (id), place INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (request, place)
  ) WITHOUT ROWID;
  CREATE TRIGGER request_counts AFTER INSERT ON request WHEN new.counts IS NOT NULL BEGIN
    INSERT INTO seen SELECT new.id, 0, n FROM counter WHERE id = new.counts;
    UPDATE counter SET n = n + 1 WHERE id = new.counts;
  END;`;

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

/** The rows that are there before anybody writes. */
export const FIRST_ROWS = [
  ...numbers(ACCOUNTS).map((id) => `INSERT INTO account VALUES (${id}, ${CENTS});`),
  ...numbers(COUNTERS).map((id) => `INSERT INTO counter VALUES (${id}, 0);`),
  ...numbers(LISTS).map((key) => `INSERT INTO list VALUES (${key}, '');`),
].join('\n');

/** What one statement reads of a state, all of it at once; `number` tells which state it is. */
export const LOOK = `
  SELECT (SELECT coalesce(max(number), 0) FROM request) AS number,
    (SELECT group_concat(cents) FROM (SELECT cents FROM account ORDER BY id)) AS accounts,
    (SELECT group_concat(n) FROM (SELECT n FROM counter ORDER BY id)) AS counters,
    (SELECT group_concat(length(items)) FROM (SELECT items FROM list ORDER BY key)) AS lists`;

export interface Look {
  number: number;
  accounts: string;
  counters: string;
  lists: string;
}

/** The tables as they must be, by what was planned. */
export class Model {
  readonly accounts = numbers(ACCOUNTS).map(() => CENTS);
  readonly counters = numbers(COUNTERS).map(() => 0);
  readonly lists = numbers(LISTS).map(() => '');

  value({ table, key }: { table: Table; key: number }): string {
    const values = { account: this.accounts, counter: this.counters, list: this.lists }[table];
    return String(values[key]);
  }

  /** Does what a write does, and says what it must have seen, by place. */
  apply(name: string, plan: Plan): Map<number, string> {
    const seen = new Map<number, string>();
    for (const [place, step] of plan.entries()) {
      if (step.do === 'see') seen.set(place, this.value(step));
      else if (step.do === 'move') {
        (this.accounts[step.from] as number) -= step.cents;
        (this.accounts[step.to] as number) += step.cents;
      } else if (step.do === 'count') (this.counters[step.counter] as number)++;
      else this.lists[step.list] += `,${name}`;
    }
    return seen;
  }

  look(number: number): Look {
    return {
      number,
      accounts: this.accounts.join(),
      counters: this.counters.join(),
      lists: this.lists.map((items) => items.length).join(),
    };
  }
}
