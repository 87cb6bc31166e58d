import { afterAll, describe, expect, test } from 'vitest';
import { MemoryLog } from './memory-log.ts';
import { Nodes } from './node.ts';

const COLUMNS = Array.from({ length: 2000 }, (_, column) => `c${column}`);

/** What is there already. */
const SCHEMA = [
  'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
  'CREATE TABLE x (id TEXT PRIMARY KEY NOT NULL, n INTEGER)',
  'CREATE TABLE w (id INTEGER PRIMARY KEY, a) WITHOUT ROWID',
  'CREATE VIEW v AS SELECT id, a FROM t',
  'CREATE TABLE s (id INTEGER PRIMARY KEY AUTOINCREMENT)',
  `CREATE TABLE wide (id INTEGER PRIMARY KEY, ${COLUMNS.slice(0, 989).join()})`,
];

/** Statements, and what their refusal says: what is wrong, and the way out. */
const REFUSED: readonly (readonly [sql: string, says: RegExp])[] = [
  ['CREATE TABLE n (a)', /table n .* no PRIMARY KEY.*; give it one \(id INTEGER PRIMARY KEY\)/],
  ['CREATE TABLE IF NOT EXISTS "n n" (a)', /table n n .* no PRIMARY KEY/],
  ['CREATE TABLE main.n (a UNIQUE NOT NULL)', /table n .* no PRIMARY KEY/],
  [
    'CREATE TABLE n (id TEXT PRIMARY KEY)',
    /column id of its PRIMARY KEY may be NULL.*; declare it NOT NULL/,
  ],
  ['CREATE TABLE n (id INT PRIMARY KEY)', /column id of its PRIMARY KEY may be NULL/],
  ['CREATE TABLE n (id SERIAL PRIMARY KEY)', /column id of its PRIMARY KEY may be NULL/],
  ['CREATE TABLE n (id INTEGER PRIMARY KEY DESC)', /column id of its PRIMARY KEY may be NULL/],
  ['CREATE TABLE n (a NOT NULL, b, PRIMARY KEY (a, b))', /column b of its PRIMARY KEY may be NULL/],
  [
    'CREATE TABLE n AS SELECT 1 AS id',
    /AS SELECT is refused .*; create it with its columns and a PRIMARY KEY/,
  ],
  [
    'CREATE TABLE n (id INTEGER PRIMARY KEY ON CONFLICT REPLACE)',
    /ON CONFLICT clause.*; leave the clause out/,
  ],
  [
    'CREATE TABLE n (id INTEGER PRIMARY KEY, a UNIQUE ON /* */ conflict IGNORE)',
    /ON CONFLICT clause/,
  ],
  [
    'CREATE TABLE n (id INTEGER PRIMARY KEY, a NOT NULL ON CONFLICT ROLLBACK)',
    /ON CONFLICT clause/,
  ],
  [
    "ALTER TABLE t ADD COLUMN b NOT NULL ON CONFLICT IGNORE DEFAULT ''",
    /table t .* ON CONFLICT clause/,
  ],
  [
    `CREATE TABLE n (id INTEGER PRIMARY KEY, ${COLUMNS.slice(1).join()})`,
    /2000 columns, .* more than 990; put some/,
  ],
  ['ALTER TABLE wide ADD COLUMN more', /991 columns, .* more than 990/],
  [
    'CREATE VIRTUAL TABLE n USING fts4(a)',
    /only fts5, rtree and rtree_i32 .*; make it as a temporary one/,
  ],
  ['CREATE VIRTUAL TABLE n USING "fts3"(a)', /only fts5, rtree and rtree_i32/],
  ["CREATE VIRTUAL TABLE n USING fts5vocab('f', 'row')", /only fts5, rtree and rtree_i32/],
  ['CREATE VIRTUAL TABLE n USING geopoly(a)', /only fts5, rtree and rtree_i32/],
  [
    "CREATE VIRTUAL TABLE n USING fts5(n, content='x')",
    /content x by a number \(rowid\) .*; declare its key as INTEGER/,
  ],
  [
    "CREATE VIRTUAL TABLE n USING fts5(n, content = x, content_rowid = 'n')",
    /content x by a number \(n\)/,
  ],
  [
    'CREATE VIRTUAL TABLE n USING FTS5(n, CONTENT="x", content_rowid=rowid)',
    /content x by a number \(rowid\)/,
  ],
  [
    "CREATE VIRTUAL TABLE n USING fts5(n, content='later')",
    /its content later must be there first/,
  ],
  ["CREATE VIRTUAL TABLE n USING fts5(n, content='v')", /content v by a number \(rowid\)/],
  ['BEGIN', /BEGIN is refused here .*: use pool\.transaction\(\)/],
  ['; COMMIT', /COMMIT is refused here/],
  ['END TRANSACTION', /END is refused here/],
  ['/* */ ROLLBACK', /ROLLBACK is refused here/],
  ["ATTACH ':memory:' AS other", /ATTACH is refused .*; keep it in the database itself/],
  ['DETACH other', /DETACH is refused/],
  ['VACUUM', /VACUUM is refused .*; use pool\.backup\(\)/],
  ["VACUUM INTO 'copy.db'", /VACUUM is refused/],
  [
    'PRAGMA journal_mode = DELETE',
    /journal_mode = delete is refused .* readers need the WAL; leave it out/,
  ],
  ['PRAGMA page_size(8192)', /page_size = 8192 is refused .*; set it in a new file/],
  ['PRAGMA main.auto_vacuum = 1', /auto_vacuum = 1 is refused/],
  ["PRAGMA encoding = 'UTF-16'", /encoding = utf-16 is refused/],
  ['PRAGMA writable_schema = ON', /writable_schema = on is refused .*; use ALTER TABLE/],
  ['PRAGMA legacy_alter_table = 1', /legacy_alter_table = 1 is refused .*; build the table anew/],
  ['PRAGMA schema_version = 5', /schema_version = 5 is refused .*; use user_version/],
  [
    'PRAGMA locking_mode = EXCLUSIVE',
    /PRAGMA locking_mode is refused .*: leave it out, or set it by the option pragmas/,
  ],
  ['PRAGMA case_sensitive_like = ON', /PRAGMA case_sensitive_like is refused/],
  ['EXPLAIN PRAGMA "schema_version" = 5', /schema_version = 5 is refused/],
  ['EXPLAIN QUERY PLAN PRAGMA writable_schema(1)', /writable_schema = 1 is refused/],
  ['DROP TABLE poolite_replica', /table poolite_replica belongs to the store/],
  ['CREATE INDEX i ON "POOLITE_requests" (at)', /table poolite_requests belongs to the store/],
  [
    'CREATE TRIGGER tr AFTER INSERT ON poolite_requests BEGIN SELECT 1; END',
    /belongs to the store/,
  ],
  ["UPDATE sqlite_sequence SET seq = 'many'", /sqlite_sequence must hold numbers from 0 on/],
];

/** Statements that look like those, and are all right. */
const ALLOWED: readonly string[] = [
  'CREATE TABLE n (id INTEGER PRIMARY KEY, a)',
  'CREATE TABLE n (id integer NOT NULL, a, PRIMARY KEY (id))',
  'CREATE TABLE n (id BIGINT PRIMARY KEY NOT NULL)',
  'CREATE TABLE n (id TEXT PRIMARY KEY) STRICT',
  'CREATE TABLE n (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID',
  'CREATE TABLE n (id INTEGER PRIMARY KEY DESC) WITHOUT ROWID',
  'CREATE TABLE n (id INTEGER PRIMARY KEY, "on" DEFAULT \'ON CONFLICT\', conflict /* ON CONFLICT IGNORE */)',
  'CREATE TABLE IF NOT EXISTS t (a)',
  'CREATE TEMP TABLE n (a UNIQUE ON CONFLICT IGNORE)',
  'CREATE TEMP TABLE n AS SELECT 1',
  'CREATE TRIGGER n AFTER INSERT ON t BEGIN INSERT INTO x VALUES (1, 1) ON CONFLICT DO NOTHING; END',
  'ALTER TABLE t ADD COLUMN b NOT NULL DEFAULT 1',
  'ALTER TABLE wide DROP COLUMN c5',
  "CREATE VIRTUAL TABLE n USING fts5(a, content='t', content_rowid='id')",
  "CREATE VIRTUAL TABLE n USING fts5(a, content='t')",
  "CREATE VIRTUAL TABLE n USING fts5(a, content='v', content_rowid='id')",
  "CREATE VIRTUAL TABLE n USING fts5(a, content='')",
  'CREATE VIRTUAL TABLE n USING rtree(id, a, b)',
  'INSERT INTO t VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET a = 1',
  'INSERT OR REPLACE INTO t VALUES (1, 1)',
  'WITH n AS (SELECT 1) INSERT INTO t SELECT 1, 1 FROM n',
  'WITH n AS (SELECT 1) SELECT * FROM n',
  'SAVEPOINT n',
  'VALUES (1)',
  'EXPLAIN DELETE FROM t',
  'PRAGMA journal_mode',
  'PRAGMA journal_mode = WAL',
  'PRAGMA foreign_keys = ON',
  'PRAGMA writable_schema = OFF',
  'PRAGMA table_info(t)',
  'PRAGMA main.user_version = 3',
  'PRAGMA cache_size = -2000',
  'PRAGMA integrity_check',
  'ANALYZE',
  'REINDEX t',
];

const titled = <Case extends readonly [sql: string, ...unknown[]]>(cases: readonly Case[]) =>
  cases.map((one) => [one[0].slice(0, 90), one] as const);

describe('refused', () => {
  const nodes = new Nodes();
  const log = new MemoryLog();
  const [a, b] = [nodes.open(log, 'a.db'), nodes.open(log, 'b.db')];
  for (const statement of SCHEMA) a.run(statement);
  a.run('INSERT INTO s VALUES (1)');
  afterAll(() => {
    b.pull();
    expect(b.content()).toEqual(a.content());
    nodes[Symbol.dispose]();
  });

  test.each(titled(REFUSED))('%s', (_, [sql, says]) => {
    const refusal = expect.objectContaining({
      name: 'PoolError',
      code: 'POOL_MISUSE',
      message: expect.stringMatching(says),
    });
    const before = a.content();
    expect(() => a.run(sql)).toThrow(refusal);
    expect(a.content()).toEqual(before);
    // What a transaction leaves when it ends is refused with all of it.
    if (sql.startsWith('UPDATE')) return;
    const entries = log.entries.length;
    a.transaction(() => {
      a.statement('INSERT INTO t (a) VALUES (1)');
      expect(() => a.statement(sql)).toThrow(refusal);
      a.statement('INSERT INTO t (a) VALUES (2)');
    });
    expect(log.entries).toHaveLength(entries + 1);
    expect(log.entries.at(-1)?.parts.map(({ type }) => type)).toEqual(['changes']);
  });
});

test.each(ALLOWED)('not refused: %s', (sql) => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const [a, b] = [nodes.open(log, 'a.db'), nodes.open(log, 'b.db')];
  for (const statement of SCHEMA) a.run(statement);
  a.transaction(() => a.statement(sql));
  b.pull();
  expect(b.content()).toEqual(a.content());
});

test.each(['', ' -- nothing', ';', '/* ;'])("not refused, and nobody else's: '%s'", (sql) => {
  using nodes = new Nodes();
  expect(nodes.open(new MemoryLog(), 'a.db').gate.before(sql)).toBe('local');
});

test('an index is not kept beside a table whose rows have no number of their own, made later', () => {
  using nodes = new Nodes();
  const a = nodes.open(new MemoryLog(), 'a.db');
  a.run('CREATE TABLE docs (id INTEGER PRIMARY KEY, a)');
  a.run("CREATE VIRTUAL TABLE f USING fts5(a, content='docs')");
  a.run('DROP TABLE docs');
  expect(() => a.run('CREATE TABLE docs (id TEXT PRIMARY KEY NOT NULL, a)')).toThrow(
    /virtual table f is refused/,
  );
  a.run('CREATE TABLE docs (id INTEGER PRIMARY KEY, a)');
});

test('a transaction over the limit of size is refused, and leaves nothing', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const a = nodes.open(log, 'a.db', { maxEntryBytes: 100_000 });
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  const says =
    /makes an entry of 2\d{5} bytes, and 100000 are allowed: write it in several transactions/;
  expect(() => a.run('INSERT INTO t (a) VALUES (zeroblob(200000))')).toThrow(says);
  // What was undone does not count: this is what the core does with one of several that share a commit.
  a.transaction(() => {
    a.statement('INSERT INTO t (a) VALUES (1)');
    a.savepoint(() => {
      a.statement('INSERT INTO t (a) VALUES (zeroblob(200000))');
      a.gate.propose();
    });
    a.statement('INSERT INTO t (a) VALUES (2)');
  });
  expect(a.run('SELECT a FROM t')).toEqual([{ a: 1 }, { a: 2 }]);
  const b = nodes.open(log, 'b.db');
  b.pull();
  expect(b.content()).toEqual(a.content());
});

const KEYS: Record<string, readonly string[]> = {
  'of a table that defers its keys': ['INSERT INTO c VALUES (1, 5)'],
  'whose parent goes': [
    'INSERT INTO p VALUES (7)',
    'INSERT INTO c VALUES (1, 7)',
    'DELETE FROM p WHERE id = 7',
  ],
  'that the transaction defers': ['PRAGMA defer_foreign_keys = ON', 'INSERT INTO n VALUES (1, 5)'],
  'of a table that is new': [
    'CREATE TABLE m (id INTEGER PRIMARY KEY, p REFERENCES p DEFERRABLE INITIALLY DEFERRED)',
    'INSERT INTO m VALUES (1, 5)',
  ],
};

test.each(Object.entries(KEYS))(
  'a foreign key %s fails before anybody is asked',
  (_, statements) => {
    using nodes = new Nodes();
    const log = new MemoryLog();
    const a = nodes.open(log, 'a.db');
    a.run('CREATE TABLE p (id INTEGER PRIMARY KEY)');
    a.run('CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p DEFERRABLE INITIALLY DEFERRED)');
    a.run('CREATE TABLE n (id INTEGER PRIMARY KEY, p REFERENCES p)');
    a.run('PRAGMA foreign_keys = OFF');
    a.run('INSERT INTO c VALUES (90, 900)');
    a.run('INSERT INTO n VALUES (90, 900)');
    a.run('PRAGMA foreign_keys = ON');
    const entries = log.entries.length;
    const run = () => {
      for (const sql of statements) a.statement(sql);
    };
    expect(() => a.transaction(run)).toThrow(
      expect.objectContaining({ name: 'SqliteError', code: 'SQLITE_CONSTRAINT_FOREIGNKEY' }),
    );
    expect(log.entries).toHaveLength(entries);
    // What is put right before the end is all right, and what was wrong before does no harm.
    a.transaction(() => {
      run();
      a.statement('INSERT INTO p VALUES (5), (7)');
    });
    a.run('INSERT INTO c VALUES (2, 5)');
    expect(log.entries).toHaveLength(entries + 2);
  },
);
