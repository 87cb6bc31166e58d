import { inspect } from 'node:util';
import type BetterSqlite3 from 'better-sqlite3';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { nodeLibrary, whyNotHere, whyNotNode } from '../src/threads/node-sqlite.js';
import { Reference } from './support/reference.ts';

const tooOld = whyNotHere();
if (tooOld !== undefined) console.log(`node:sqlite is not tried: ${tooOld}`);

const TABLES = `
  CREATE TABLE t (id INTEGER PRIMARY KEY, a, b TEXT);
  INSERT INTO t VALUES (1, 'x', 'y'), (2, NULL, x'00ff'), (9007199254740993, -9007199254740995, 0.1);
  CREATE TABLE strict (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n > 0), u ANY UNIQUE) STRICT;
  INSERT INTO strict VALUES (1, 1, 1);
  CREATE TABLE child (parent REFERENCES strict);
  CREATE TABLE log (what);
  CREATE VIEW v AS SELECT a FROM t;
  CREATE TRIGGER logs AFTER UPDATE ON t BEGIN INSERT INTO log VALUES (1), (2); END;
  CREATE TRIGGER writes INSTEAD OF INSERT ON v BEGIN INSERT INTO log VALUES (new.a); END;
  CREATE VIRTUAL TABLE fts USING fts5 (text);`;

type Method = 'run' | 'get' | 'all' | 'iterate' | 'raw' | 'columns' | 'reader' | 'readonly';
const METHODS: readonly Method[] = ['run', 'get', 'all', 'iterate', 'raw', 'columns'];

interface AnyStatement {
  reader: boolean;
  readonly: boolean;
  run(params: unknown): unknown;
  get(params: unknown): unknown;
  all(params: unknown): unknown;
  iterate(params: unknown): Iterable<unknown>;
  raw(): AnyStatement;
  columns(): { name: string }[];
}
interface AnyDatabase {
  prepare(sql: string): AnyStatement;
  exec(sql: string): unknown;
  inTransaction: boolean;
  defaultSafeIntegers(on?: boolean): unknown;
}

function perform(db: AnyDatabase, method: Method, sql: string, params: unknown): unknown {
  const statement = db.prepare(sql);
  switch (method) {
    case 'iterate':
      return [...statement.iterate(params)];
    case 'raw':
      return statement.raw().all(params);
    case 'columns':
      return statement.columns().map(({ name }) => name);
    case 'reader':
    case 'readonly':
      return statement[method];
    default:
      return statement[method](params);
  }
}

/** What a call gives or throws, as text: the classes of rows and blobs are in it, and -0. */
function outcome(db: AnyDatabase, ...call: [Method, string, unknown]): string {
  try {
    db.exec('SAVEPOINT before');
    return inspect(perform(db, ...call), { depth: 5, maxArrayLength: null });
  } catch (error) {
    const { name, message, code } = error as Error & { code?: string };
    return `${name} ${code}: ${message}`;
  } finally {
    if (db.inTransaction) db.exec('ROLLBACK TO before; RELEASE before');
  }
}

/** Parameters for `?`, and how many there are. */
const values: unknown[] = [
  ...[0, -0, 1.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, 1n, 2n ** 63n - 1n, -(2n ** 63n)],
  ...[2n ** 63n, -(2n ** 63n) - 1n, 'text', 'a\0b', '\ud800', '', null, undefined, true, false],
  ...[Buffer.from([1, 2]), new Uint8Array(0), new Float64Array([1]), new Date(0), Symbol('s')],
  ...[() => 1, {}, [], [[]], new Map(), Object.create({ a: 1 })],
];

const VALUE = 'SELECT ? AS value, typeof(?1) AS type';

const params: [sql: string, params: unknown][] = [
  ...values.map((value): [string, unknown] => ['SELECT ? AS value', [value]]),
  ...values.map((value): [string, unknown] => ['SELECT ? AS value', value]),
  ...values.map((value): [string, unknown] => ['SELECT :a AS value', { a: value }]),
  ...values.map((value): [string, unknown] => ['SELECT 1', value]),
  ['SELECT ?, ?', [1]],
  ['SELECT ?, ?', [1, 2, 3]],
  ['SELECT ?', [1, Symbol('s')]],
  ['SELECT ?', [1, 2, Symbol('s')]],
  ['SELECT ?, ?', []],
  ['SELECT ?, ?', undefined],
  ['SELECT :a', []],
  ['SELECT :a', {}],
  ['SELECT :a', [1]],
  ['SELECT :a, @b, $c', { a: 1, b: 2, c: 3, d: Symbol('not looked at') }],
  ['SELECT :a, @a, $a', { a: 1 }],
  ['SELECT :a, :a', { a: 1 }],
  ['SELECT :a, ?', { a: 1 }],
  ['SELECT :a', { ':a': 1 }],
  [
    'SELECT :a',
    {
      get a() {
        throw new Error('a getter');
      },
    },
  ],
  ['SELECT :a', Object.create(null, { a: { value: 1, enumerable: false } })],
  [VALUE, [1]],
  [VALUE, { 1: 1 }],
  ['SELECT ?1, ?3', { 1: 1, 3: 3 }],
  ['SELECT ?5', [1, 2, 3, 4]],
  ['SELECT ?2, ?', [1, 2]],
  ['SELECT \':no\', ":no" FROM (SELECT 1 AS ":no") -- :no ?', []],
  ['SELECT :toString', {}],
  ['SELECT :__proto__', JSON.parse('{"__proto__": 1}')],
];

const statements: string[] = [
  ...[
    '',
    ' ',
    ';',
    '-- nothing',
    '/* nothing',
    'SELECT 1;',
    'SELECT 1; -- end',
    'SELECT 1;;/* x */ ; ',
  ],
  ...[
    '; SELECT 1',
    'SELECT 1; SELECT 2',
    'SELECT 1; nonsense',
    'SELECT 1;\0SELECT 2',
    'SELECT 1 /* ; */',
  ],
  ...[
    "SELECT ';'",
    'nonsense',
    'SELECT',
    'SELECT * FROM nowhere',
    'SELECT "double"',
    'SELECT 1;\v;\f',
  ],
  ...[
    'SELECT * FROM t',
    'SELECT a FROM t WHERE id = 1',
    'SELECT 1 AS a, 2 AS a',
    'SELECT 1 AS __proto__, 2 AS b',
  ],
  ...[
    'SELECT 9007199254740993 AS n, -9223372036854775808 AS m',
    "SELECT 'a' || char(0) || 'b'",
    "SELECT x''",
  ],
  ...[
    'SELECT zeroblob(3), NULL, 1e999, -0.0',
    'VALUES (1), (2)',
    'SELECT 1 WHERE 0',
    'SELECT abs(-9223372036854775808)',
  ],
  ...[
    'WITH c AS (SELECT 1) SELECT * FROM c',
    'WITH c AS (SELECT 1) DELETE FROM t',
    ';WITH c AS (SELECT 1) SELECT 1',
  ],
  ...[
    "INSERT INTO t (a) VALUES ('new')",
    "INSERT INTO t (a) VALUES ('new') RETURNING id, a",
    'UPDATE t SET a = 1',
  ],
  ...[
    'UPDATE t SET a = 1 WHERE 0',
    'DELETE FROM t',
    'DELETE FROM t RETURNING id',
    'INSERT INTO v VALUES (5)',
  ],
  ...[
    'REPLACE INTO strict VALUES (1, 2, 3)',
    'INSERT INTO strict VALUES (1, 1, 2)',
    'INSERT INTO strict VALUES (2, 1, 1)',
  ],
  ...[
    "INSERT INTO strict VALUES (2, 'x', 3)",
    'INSERT INTO strict VALUES (2, NULL, 3)',
    'INSERT INTO strict VALUES (2, -1, 3)',
  ],
  ...[
    'INSERT INTO child VALUES (7)',
    "INSERT INTO fts VALUES ('a b')",
    "SELECT * FROM fts WHERE fts MATCH 'a'",
  ],
  ...[
    'CREATE TABLE n (a)',
    'CREATE TABLE IF NOT EXISTS t (a)',
    'CREATE TABLE n AS SELECT * FROM t',
    'DROP TABLE t',
  ],
  ...[
    'DROP TABLE IF EXISTS nowhere',
    'ALTER TABLE t ADD COLUMN c',
    'CREATE TEMP TABLE n (a)',
    'ANALYZE',
    'REINDEX',
  ],
  ...[
    'CREATE VIRTUAL TABLE n USING fts5 (a)',
    'PRAGMA user_version',
    'PRAGMA user_version = 3',
    'PRAGMA foreign_keys',
  ],
  ...[
    'PRAGMA table_info(t)',
    'PRAGMA journal_mode',
    'PRAGMA cache_size',
    'PRAGMA wal_checkpoint',
    'PRAGMA nonsense',
  ],
  ...[
    'EXPLAIN QUERY PLAN SELECT a FROM t',
    'BEGIN',
    'SAVEPOINT s',
    'VACUUM',
    "ATTACH ':memory:' AS other",
    'COMMIT',
  ],
];

describe.skipIf(tooOld !== undefined)('node:sqlite in the shape of better-sqlite3', () => {
  const Library = nodeLibrary();
  const [mine, theirs] = [new Library(':memory:', {}), new Reference(':memory:')];
  const both = [mine, theirs] as unknown as [AnyDatabase, AnyDatabase];
  for (const db of both) db.exec(TABLES);
  mine.exec('PRAGMA cache_size = -16000');
  afterAll(() => {
    mine.close();
    theirs.close();
  });

  let differences: string[] = [];
  afterEach(() => {
    const found = differences;
    differences = [];
    expect(found).toEqual([]);
  });

  function same(method: Method, sql: string, given: unknown): void {
    const [mine, theirs] = both.map((db) => outcome(db, method, sql, given));
    if (mine !== theirs)
      differences.push(
        `${method}(${inspect(sql)}, ${inspect(given)})`,
        `gave    ${mine}`,
        `and not ${theirs}`,
      );
  }

  test('binds what it binds, and refuses what it refuses with its words', () => {
    for (const [sql, given] of params) for (const method of METHODS) same(method, sql, given);
  });

  test('runs, reads and refuses what it does', () => {
    for (const sql of statements) for (const method of METHODS) same(method, sql, []);
  });

  test('gives bigints where they are asked for', () => {
    for (const db of both) db.defaultSafeIntegers(true);
    for (const sql of statements) for (const method of METHODS) same(method, sql, []);
    for (const db of both) db.defaultSafeIntegers(false);
  });

  test('says which statements return rows, and which only read', () => {
    for (const sql of statements)
      for (const what of ['reader', 'readonly'] as const) same(what, sql, []);
  });

  test('follows names that change between two runs, of few rows and of many', () => {
    const seen = both.map((db) => {
      db.exec('CREATE TABLE names (a, b); INSERT INTO names VALUES (1, 2)');
      const statement = db.prepare('SELECT * FROM names');
      const rows = [statement.all([])];
      for (const change of ['RENAME a TO c', 'ADD COLUMN d', 'RENAME c TO e', 'DROP COLUMN b']) {
        db.exec(`ALTER TABLE names ${change}`);
        rows.push(statement.get([]) as unknown[], statement.all([]), [
          ...statement.iterate([]),
        ] as unknown[]);
        db.exec('DELETE FROM names WHERE rowid > 1');
        for (let i = 0; i < 5; i++) db.exec('INSERT INTO names SELECT * FROM names');
        rows.push(statement.all([]), statement.all([]));
      }
      return inspect(rows, { depth: 5, maxArrayLength: null });
    });
    expect(seen[0]).toBe(seen[1]);
  });

  const during: Record<
    string,
    (db: BetterSqlite3.Database, busy: BetterSqlite3.Statement) => unknown
  > = {
    'the same statement again': (_, busy) => busy.all([]),
    'the same statement as a stream': (_, busy) => busy.iterate([]).return?.(),
    'its columns': (_, busy) => busy.columns().length,
    'its mode': (_, busy) => busy.raw().reader,
    'another read': (db) => db.prepare('SELECT 1').get([]),
    'another stream': (db) => [...db.prepare('SELECT 1').iterate([])],
    'a write': (db) => db.prepare('UPDATE t SET b = 1').run([]),
    'a write that returns rows': (db) =>
      db.prepare('UPDATE t SET b = 1 RETURNING id').all([]).length,
    'a transaction': (db) => db.prepare('BEGIN').run([]),
    'a script': (db) => db.exec('SELECT 1').open,
    closing: (db) => db.close().open,
  };
  const ended: Record<string, (rows: IterableIterator<unknown>) => unknown> = {
    'has begun': (rows) => rows.next(),
    'has not begun': () => {},
    'is over': (rows) => [...rows],
    'was left': (rows) => rows.return?.(),
  };
  test.each(Object.keys(ended))('allows and refuses the same beside a stream that %s', (state) => {
    const seen = [Library, Reference].map((Either) =>
      Object.entries(during).map(([name, work]) => {
        const db = new (Either as typeof Reference)(':memory:');
        db.exec(TABLES);
        const busy = db.prepare('SELECT id FROM t');
        const rows = busy.iterate([]);
        ended[state]?.(rows);
        let found: unknown;
        try {
          found = work(db, busy);
        } catch (error) {
          found = String(error);
        }
        rows.return?.();
        const after = [rows.next(), db.open, db.inTransaction];
        db.close();
        return [name, found, after];
      }),
    );
    expect(seen[0]).toEqual(seen[1]);
  });

  test('refuses a connection that is closed, and statements of one, as it does', () => {
    const seen = [Library, Reference].map((Either) => {
      const db = new (Either as typeof Reference)(':memory:');
      const statement = db.prepare('SELECT 1');
      db.close();
      db.close();
      const calls = [() => db.prepare('SELECT 1'), () => db.exec(''), () => statement.get([])];
      const errors = calls.map((call) => {
        try {
          return call();
        } catch (error) {
          return String(error);
        }
      });
      return [errors, db.open, db.inTransaction];
    });
    expect(seen[0]).toEqual(seen[1]);
  });

  test('has Node’s own connection behind it, which has sessions', () => {
    const db = new Library(':memory:', {});
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite');
    expect(db.native).toBeInstanceOf(DatabaseSync);
    db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
    const session = db.native?.createSession();
    db.prepare('INSERT INTO t VALUES (?, ?)').run([1, 'changed']);
    const changes = session?.changeset() as Uint8Array;
    session?.close();
    const other = new Library(':memory:', {});
    other.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
    expect(other.native?.applyChangeset(changes)).toBe(true);
    expect(other.prepare('SELECT * FROM t').all([])).toEqual([{ id: 1, a: 'changed' }]);
    db.close();
    other.close();
  });
});

test('a Node.js without it, or with an old SQLite, is told so with the way out', () => {
  for (const version of [undefined, '3.51.2', '3.50.9', '2.99.0']) {
    const why = whyNotNode(version, true);
    expect(why).toContain(process.version);
    expect(why).toContain(version ?? 'has no node:sqlite');
    expect(why).toContain('better-sqlite3');
  }
  for (const version of ['3.51.3', '3.52.0', '4.0.0'])
    expect(whyNotNode(version, true)).toBeUndefined();
  expect(whyNotNode('3.53.4', false)).toContain('texts at zero characters');
});
