import type { DatabaseSync } from 'node:sqlite';

/** Choices that a seed determines. */
export class Choice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed % 2 ** 31;
  }

  below(count: number): number {
    // https://en.wikipedia.org/wiki/Permuted_congruential_generator would be better; its upper bits do.
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((this.#state / 2 ** 31) * count);
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  some<T>(list: readonly T[]): T[] {
    const chosen = list.filter(() => this.chance(50));
    return chosen.length === 0 ? [this.of(list)] : chosen;
  }
}

interface Table {
  name: string;
  columns: string[];
}

const VALUES = [
  ...['1', '2', '3', '4', '-1', '0', '1.0', '2.0', '2.5', '-0.0', '9e999', 'NULL', 'NULL'],
  ...["'a'", "'A'", "'b'", "'b '", "''", "'1'", "x''", "x'61'", "x'00ff'", "'ü' || char(0) || 'x'"],
  ...[
    '9223372036854775807',
    '-9223372036854775808',
    "CAST(x'ff' AS TEXT)",
    'random() % 3',
    'zeroblob(70)',
  ],
];

const NAMES = ['t0', 't1', 't2', '"T 3"', '"t""4"'];
const COLUMNS = ['a', 'b', 'c', '"d d"', '"e"""'];
const TYPES = [
  '',
  'INTEGER',
  'TEXT',
  'REAL',
  'NUMERIC',
  'BLOB',
  'TEXT COLLATE NOCASE',
  'TEXT COLLATE RTRIM',
  'ANY',
];
const ACTIONS = ['CASCADE', 'SET NULL', 'SET DEFAULT', 'RESTRICT', 'NO ACTION'];

/** Statements at random for the schema that a connection sees; some of them fail, some are refused. */
export class RandomSql {
  readonly #choice: Choice;
  readonly #db: DatabaseSync;

  constructor(choice: Choice, db: DatabaseSync) {
    this.#choice = choice;
    this.#db = db;
  }

  /** What may stand in a transaction. */
  statement(): string {
    const choice = this.#choice;
    const tables = this.#tables("type IN ('table', 'virtual')");
    if (tables.length < 2 || choice.chance(18)) return this.#schema(tables);
    if (choice.chance(12)) return this.#control();
    return this.#rows(choice.of(tables));
  }

  /** What a connection may be set to between transactions. */
  setting(): string {
    const choice = this.#choice;
    const names = [
      'foreign_keys',
      'recursive_triggers',
      'ignore_check_constraints',
      'reverse_unordered_selects',
    ];
    return `PRAGMA ${choice.of(names)} = ${choice.of(['ON', 'OFF'])}`;
  }

  #control(): string {
    const choice = this.#choice;
    const name = choice.of(['s1', 's2']);
    return choice.of([
      ...[`SAVEPOINT ${name}`, `SAVEPOINT ${name}`, `ROLLBACK TO ${name}`, `RELEASE ${name}`],
      ...[`PRAGMA user_version = ${choice.below(5)}`, 'PRAGMA defer_foreign_keys = ON'],
      ...['ANALYZE', 'REINDEX', 'PRAGMA optimize'],
      ...[
        'UPDATE sqlite_sequence SET seq = seq + 2',
        `DELETE FROM sqlite_sequence WHERE random() % 2`,
      ],
    ]);
  }

  #rows({ name, columns }: Table): string {
    const choice = this.#choice;
    const value = () => choice.of(VALUES);
    const column = () => choice.of(columns);
    const or = choice.of(['', '', '', 'OR REPLACE', 'OR IGNORE', 'OR FAIL', 'OR ROLLBACK']);
    const where = () =>
      choice.of([
        `WHERE ${column()} = ${value()}`,
        `WHERE ${column()} > ${value()}`,
        `WHERE ${column()} IS NULL`,
        'WHERE random() % 2',
        '',
      ]);
    const chosen = choice.some(columns);
    const rows = Array.from(
      { length: 1 + choice.below(4) },
      () => `(${chosen.map(value).join()})`,
    ).join();
    const changed = () =>
      choice.of([
        value(),
        column(),
        `${column()} + 1`,
        `-${column()}`,
        `upper(${column()})`,
        `3 - ${column()}`,
        `(SELECT min(${column()}) FROM ${name})`,
      ]);
    const sets = () =>
      choice
        .some(columns)
        .map((set) => `${set} = ${changed()}`)
        .join();
    return choice.of([
      `INSERT ${or} INTO ${name} (${chosen.join()}) VALUES ${rows}`,
      `INSERT ${or} INTO ${name} (${chosen.join()}) VALUES ${rows}`,
      `INSERT INTO ${name} (${chosen.join()}) VALUES ${rows} ON CONFLICT DO UPDATE SET ${sets()}`,
      `INSERT INTO ${name} DEFAULT VALUES`,
      `UPDATE ${or} ${name} SET ${sets()} ${where()}`,
      `UPDATE ${or} ${name} SET ${sets()} ${where()}`,
      `UPDATE ${name} SET ${column()} = CASE ${column()} WHEN 1 THEN 2 WHEN 2 THEN 3 WHEN 3 THEN 1 ELSE 9 END`,
      `DELETE FROM ${name} ${where()}`,
      `DELETE FROM ${name} ${where()}`,
      `WITH n AS (SELECT ${value()} AS v) INSERT INTO ${name} (${column()}) SELECT v FROM n`,
    ]);
  }

  #schema(tables: readonly Table[]): string {
    const choice = this.#choice;
    const name = choice.of(NAMES);
    if (tables.length === 0) return this.#newTable(name);
    const table = choice.of(tables);
    const column = choice.of(table.columns);
    const other = choice.of(tables);
    const index = choice.of(['i1', 'i2', 'i3', 'i4']);
    const trigger = choice.of(['r1', 'r2', 'r3', 'r4']);
    const write = this.#rows(other).replace('OR ROLLBACK', 'OR IGNORE');
    const isSimple =
      /^(INSERT|UPDATE|DELETE)/.test(write) && !/DEFAULT VALUES|^INSERT .*ON CONFLICT/.test(write);
    const body = isSimple
      ? write
      : `DELETE FROM ${other.name} WHERE ${choice.of(other.columns)} = 2`;
    const event = choice.of(['INSERT', 'UPDATE', 'DELETE']);
    return choice.of([
      ...Array.from({ length: 6 }, () => this.#newTable(name)),
      `CREATE INDEX ${index} ON ${table.name} (${column}, lower(${column}) DESC)`,
      `CREATE UNIQUE INDEX ${index} ON ${table.name} (${column}, ${choice.of(table.columns)})`,
      `CREATE UNIQUE INDEX ${index} ON ${table.name} (${column}) WHERE ${choice.of(table.columns)} > 1`,
      `CREATE TRIGGER ${trigger} ${choice.of(['BEFORE', 'AFTER'])} ${event} ON ${table.name} BEGIN ${body}; END`,
      `CREATE TRIGGER ${trigger} AFTER ${event} ON ${table.name} WHEN random() % 2 BEGIN ${body}; END`,
      `CREATE VIEW v AS SELECT * FROM ${table.name}`,
      `ALTER TABLE ${table.name} RENAME TO ${name}`,
      `ALTER TABLE ${table.name} RENAME COLUMN ${column} TO ${choice.of(COLUMNS)}`,
      `ALTER TABLE ${table.name} ADD COLUMN ${choice.of(COLUMNS)} ${choice.of(TYPES)} DEFAULT ${choice.below(3)}`,
      `ALTER TABLE ${table.name} DROP COLUMN ${column}`,
      `DROP TABLE ${table.name}`,
      `DROP INDEX IF EXISTS ${index}`,
      `DROP TRIGGER IF EXISTS ${trigger}`,
      'DROP VIEW IF EXISTS v',
      `CREATE VIRTUAL TABLE f USING fts5(a, b, ${choice.of(["content = ''", "prefix = '1'", `content = ${table.name}`])})`,
      'CREATE VIRTUAL TABLE r USING rtree(a, b, c)',
      'DROP TABLE IF EXISTS f',
      'CREATE TEMP TABLE IF NOT EXISTS own (a)',
    ]);
  }

  #newTable(name: string): string {
    const choice = this.#choice;
    const parent = choice.of(NAMES);
    const reference = () =>
      `REFERENCES ${parent} ON DELETE ${choice.of(ACTIONS)} ON UPDATE ${choice.of(ACTIONS)}
        ${choice.of(['', '', 'DEFERRABLE INITIALLY DEFERRED'])}`;
    const constraint = () =>
      choice.of([
        '',
        '',
        '',
        'UNIQUE',
        'NOT NULL',
        `DEFAULT ${choice.of(VALUES.slice(0, 12))}`,
        reference(),
        'UNIQUE ON CONFLICT IGNORE',
      ]);
    const columns = COLUMNS.slice(0, 2 + choice.below(3)).map(
      (column) =>
        `${column} ${choice.of(TYPES)} ${constraint()} ${choice.chance(10) ? `CHECK (${column} <> 4)` : ''}`,
    );
    if (choice.chance(15))
      columns.push(`g AS (a || b) ${choice.of(['', 'STORED UNIQUE', 'STORED'])}`);
    const rest = choice.chance(20) ? [', UNIQUE (a, b)'] : [];
    const key = choice.of([
      ...[
        'id INTEGER PRIMARY KEY',
        'id INTEGER PRIMARY KEY AUTOINCREMENT',
        'id TEXT PRIMARY KEY NOT NULL',
      ],
      ...[
        'id PRIMARY KEY NOT NULL',
        'id NUMERIC PRIMARY KEY NOT NULL',
        'id TEXT COLLATE NOCASE PRIMARY KEY NOT NULL',
      ],
      ...['id TEXT COLLATE RTRIM NOT NULL PRIMARY KEY', 'id TEXT PRIMARY KEY', 'id'],
    ]);
    const composite = choice.chance(15);
    const first = composite ? 'id NOT NULL, k TEXT COLLATE NOCASE NOT NULL' : key;
    if (composite) rest.push(', PRIMARY KEY (k, id)');
    const options = composite || key.includes('TEXT') ? choice.of(['', 'WITHOUT ROWID']) : '';
    return `CREATE TABLE ${name} (${[first, ...columns].join()}${rest.join('')}) ${options}`;
  }

  #tables(where: string): Table[] {
    const rows = this.#db
      .prepare(`SELECT name FROM pragma_table_list WHERE schema = 'main' AND ${where}`)
      .all() as {
      name: string;
    }[];
    const names = rows.map(({ name }) => name).filter((name) => !/^(sqlite_|poolite_)/.test(name));
    const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
    return names.map((name) => {
      const columns = this.#db.prepare(`PRAGMA main.table_info(${quoted(name)})`).all() as {
        name: string;
      }[];
      return { name: quoted(name), columns: columns.map((column) => quoted(column.name)) };
    });
  }
}
