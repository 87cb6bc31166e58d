import { expect, test } from 'vitest';
import { MemoryLog } from './memory-log.ts';
import { Nodes } from './node.ts';
import { followed, type Steps } from './steps.ts';

const WIDE = Array.from({ length: 989 }, (_, column) => `c${column}`);

const CASES: Record<string, Steps> = {
  'a table with a rowid': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)',
    "INSERT INTO t (a, b) VALUES (1, 'x'), (2, NULL), (3, x'00ff')",
    'UPDATE t SET a = a + 1 WHERE id > 1',
    'DELETE FROM t WHERE id = 2',
    'UPDATE t SET b = b',
    'DELETE FROM t',
    'DELETE FROM t',
  ],
  'WITHOUT ROWID': [
    'CREATE TABLE t (a TEXT, b INTEGER, c, PRIMARY KEY (a, b)) WITHOUT ROWID',
    "INSERT INTO t VALUES ('x', 1, 1), ('x', 2, 2), ('y', 1, 3)",
    'UPDATE t SET c = c * 2',
    "REPLACE INTO t VALUES ('x', 1, 9)",
    "DELETE FROM t WHERE a = 'x'",
  ],
  STRICT: [
    'CREATE TABLE t (id TEXT PRIMARY KEY, n INT, r REAL, b BLOB, x ANY) STRICT',
    "INSERT INTO t VALUES ('a', 1, 1.5, x'01', '1'), ('b', NULL, 2, NULL, 1)",
    "UPDATE t SET x = 1.0 WHERE id = 'a'",
    "UPDATE t SET x = '1.0' WHERE id = 'a'",
  ],
  'generated columns, stored and virtual': [
    'CREATE TABLE t (v AS (a * 2), s AS (a || b) STORED, id INTEGER PRIMARY KEY, a, b)',
    'CREATE UNIQUE INDEX i ON t (v, s)',
    "INSERT INTO t (id, a, b) VALUES (1, 1, 'x'), (2, 2, 'y')",
    "UPDATE t SET b = 'z' WHERE id = 1",
    'UPDATE t SET a = 3 - a',
    'DELETE FROM t WHERE v = 4',
  ],
  'a generated column with UNIQUE whose values are exchanged': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a, s INTEGER AS (a * 2) STORED UNIQUE)',
    'INSERT INTO t (id, a) VALUES (1, 1), (2, 2), (3, 3)',
    ['UPDATE t SET a = -a', 'UPDATE t SET a = CASE a WHEN -1 THEN 2 WHEN -2 THEN 3 ELSE 1 END'],
  ],
  'partial indexes and indexes on expressions': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)',
    'CREATE UNIQUE INDEX p ON t (a) WHERE b = 1',
    'CREATE UNIQUE INDEX e ON t (lower(a), b)',
    "INSERT INTO t (a, b) VALUES ('A', 1), ('a', 2), ('b', 1)",
    ['UPDATE t SET b = 3 WHERE id = 1', 'UPDATE t SET b = 1 WHERE id = 2'],
  ],
  'primary keys that change': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
    'CREATE TABLE u (x TEXT NOT NULL, y INTEGER NOT NULL, z, PRIMARY KEY (x, y))',
    'INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)',
    "INSERT INTO u VALUES ('a', 1, 1), ('a', 2, 2), ('b', 1, 3)",
    'UPDATE t SET id = id + 100',
    ['UPDATE t SET id = -id', 'UPDATE t SET id = 203 + id'],
    ['UPDATE u SET y = -y', 'UPDATE u SET y = 3 + y'],
    "UPDATE u SET x = 'c' WHERE x = 'b'",
  ],
  'a primary key that changes into one that compares as the same': [
    'CREATE TABLE t (id TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, u UNIQUE)',
    "INSERT INTO t VALUES ('a', 1), ('b', 2), ('c', 3)",
    'UPDATE t SET id = upper(id)',
    ["UPDATE t SET u = -u, id = lower(id) WHERE id <> 'C'", 'UPDATE t SET u = 4 - abs(u)'],
    'CREATE TABLE n (id PRIMARY KEY NOT NULL, a)',
    'INSERT INTO n VALUES (1, 1), (2, 2)',
    'UPDATE n SET id = id + 0.0',
    'UPDATE n SET id = CAST(id AS INTEGER), a = a + 5',
    'DELETE FROM n WHERE id = 1.0',
  ],
  'REPLACE and upserts': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, b UNIQUE)',
    'INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)',
    'REPLACE INTO t VALUES (1, 2, 3)',
    'UPDATE OR REPLACE t SET a = 4 WHERE id = 1',
    'INSERT INTO t VALUES (1, 7, 7), (9, 9, 9) ON CONFLICT (id) DO UPDATE SET b = excluded.b',
    'INSERT OR IGNORE INTO t VALUES (1, 9, 9), (10, 10, 10)',
    'INSERT INTO t VALUES (10, 11, 11) ON CONFLICT DO NOTHING',
  ],
  'cascades, SET NULL, SET DEFAULT and keys to oneself': [
    'CREATE TABLE p (id INTEGER PRIMARY KEY, up REFERENCES p ON DELETE CASCADE)',
    `CREATE TABLE c (id INTEGER PRIMARY KEY, a REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE,
      b REFERENCES p ON DELETE SET NULL ON UPDATE CASCADE, d DEFAULT 1 REFERENCES p ON DELETE SET DEFAULT ON UPDATE CASCADE)`,
    'INSERT INTO p VALUES (1, NULL), (2, 1), (3, 2), (4, NULL), (5, 5)',
    'INSERT INTO c VALUES (1, 3, 4, 4), (2, 4, 3, 1), (3, 4, 4, 5)',
    'UPDATE p SET id = 40 WHERE id = 4',
    'DELETE FROM p WHERE id = 5',
    'DELETE FROM p WHERE id = 2',
    'INSERT INTO c VALUES (9, 1, 1, 1)',
    ['PRAGMA defer_foreign_keys = ON', 'DELETE FROM p WHERE id = 1', 'INSERT INTO p VALUES (1, 1)'],
  ],
  'triggers, which fire once': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
    'CREATE TABLE log (id INTEGER PRIMARY KEY, what, dice)',
    `CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log (what, dice) VALUES ('i' || new.id, random()); END`,
    `CREATE TRIGGER u BEFORE UPDATE ON t WHEN new.a > 5 BEGIN INSERT INTO log (what, dice) VALUES ('u', random()); END`,
    `CREATE TRIGGER d AFTER DELETE ON t BEGIN UPDATE log SET dice = random(); DELETE FROM t WHERE id = old.a; END`,
    'INSERT INTO t (a) VALUES (1), (3), (9)',
    'UPDATE t SET a = a + 1',
    ['INSERT INTO t (a) VALUES (7)', 'DELETE FROM t WHERE id = 2'],
    `CREATE TRIGGER first AFTER INSERT ON t BEGIN INSERT INTO log (what) VALUES (random()); END`,
    'INSERT INTO t (a) VALUES (10)',
    ['DROP TRIGGER i', 'INSERT INTO t (a) VALUES (11)', 'DROP TRIGGER first'],
    'INSERT INTO t (a) VALUES (12)',
  ],
  'triggers on views, instead of what they say': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
    'CREATE VIEW v AS SELECT id, a * 2 AS b FROM t',
    `CREATE TRIGGER i INSTEAD OF INSERT ON v BEGIN INSERT INTO t (a) VALUES (new.b / 2 + random() % 10); END`,
    `CREATE TRIGGER d INSTEAD OF DELETE ON v BEGIN DELETE FROM t WHERE id = old.id; END`,
    'INSERT INTO v (b) VALUES (2), (4), (6)',
    'DELETE FROM v WHERE id = 1',
    'DROP VIEW v',
  ],
  'a DELETE without WHERE': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
    'CREATE TABLE w (a PRIMARY KEY, b) WITHOUT ROWID',
    ['DELETE FROM t', 'DELETE FROM w'],
    ['DELETE FROM t', 'DELETE FROM w'],
    'INSERT INTO t (a) VALUES (1), (2)',
    'INSERT INTO w (a) VALUES (1), (2)',
    ['DELETE FROM t', 'DELETE FROM w'],
    ['INSERT INTO t (a) VALUES (1), (2)', 'INSERT INTO w (a) VALUES (1), (2)'],
    ['DELETE FROM t', 'DELETE FROM w'],
  ],
  AUTOINCREMENT: [
    'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)',
    'CREATE TABLE u (id INTEGER PRIMARY KEY AUTOINCREMENT, a)',
    'INSERT INTO t (a) VALUES (1), (2), (3)',
    'DELETE FROM t WHERE id > 1',
    'INSERT INTO t (a) VALUES (4)',
    ['INSERT INTO t (a) VALUES (5)', 'DELETE FROM t'],
    'INSERT INTO t (id, a) VALUES (9223372036854775806, 1)',
    'INSERT INTO t (a) VALUES (1)',
    'INSERT INTO u (a) VALUES (1)',
    "UPDATE sqlite_sequence SET seq = 50 WHERE name = 'u'",
    ['INSERT INTO u (a) VALUES (1)', "UPDATE sqlite_sequence SET seq = 50 WHERE name = 'u'"],
    "DELETE FROM sqlite_sequence WHERE name = 't'",
    ['DELETE FROM u', 'DELETE FROM sqlite_sequence', 'INSERT INTO u (a) VALUES (1)'],
    'ALTER TABLE u RENAME TO w',
    ['INSERT INTO w (a) VALUES (2)', 'DROP TABLE t'],
    'DROP TABLE w',
  ],
  'numbers at their ends': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a, r REAL)',
    'INSERT INTO t VALUES (9223372036854775807, -9223372036854775808, 9e999)',
    'INSERT INTO t VALUES (-9223372036854775808, 9223372036854775807, -9e999)',
    'INSERT INTO t VALUES (9007199254740993, -0.0, -0.0), (3, 9e999 - 9e999, 4.9e-324), (4, 1.0, 1)',
    'UPDATE t SET a = 1.7976931348623157e308 WHERE id < 0',
    'UPDATE t SET a = 1 WHERE id = 4',
    'DELETE FROM t WHERE a = -0.0',
  ],
  'texts and blobs of all kinds': [
    'CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a, b BLOB)',
    "INSERT INTO t VALUES ('', '', x''), ('a' || char(0) || 'b', char(0), x'00'), ('ü𝄞', '\ud7ff', zeroblob(0))",
    "INSERT INTO t VALUES (CAST(x'ff00fe' AS TEXT), CAST(x'c328' AS TEXT), NULL)",
    "UPDATE t SET a = x'' WHERE a = ''",
    "UPDATE t SET id = id || char(0) WHERE id LIKE 'a%'",
    'DELETE FROM t WHERE b IS NULL',
  ],
  'names with quotes and of other scripts': [
    'CREATE TABLE "a ""b"" \'c\' [d] `e`" ("i d" INTEGER PRIMARY KEY, "ü""" UNIQUE, "select", "") STRICT'
      .replaceAll('"i d" INTEGER', '"i d" INTEGER')
      .replace(' UNIQUE, "select", "") STRICT', ' UNIQUE, "select")'),
    'CREATE TABLE 表 (鍵 TEXT NOT NULL PRIMARY KEY, Ä, ä2)',
    'CREATE TRIGGER "tr ""x""" AFTER INSERT ON "a ""b"" \'c\' [d] `e`" BEGIN INSERT INTO 表 VALUES (random(), 1, 2); END',
    'INSERT INTO "a ""b"" \'c\' [d] `e`" VALUES (1, 1, 1), (2, 2, 2)',
    [
      'UPDATE "a ""b"" \'c\' [d] `e`" SET "ü""" = -"ü"""',
      'UPDATE "a ""b"" \'c\' [d] `e`" SET "ü""" = 3 + "ü"""',
    ],
    "INSERT INTO 表 VALUES ('鍵', 'ß', 'ſ')",
    'DELETE FROM 表',
  ],
  'a table of very many columns': [
    `CREATE TABLE t (id INTEGER PRIMARY KEY, ${WIDE.join()})`,
    'INSERT INTO t (id, c1, c988) VALUES (1, 2, 3)',
    'UPDATE t SET c500 = 7',
    `UPDATE t SET ${WIDE.map((column) => `${column} = 1`).join()}`,
    'DELETE FROM t',
  ],
  'statements without any effect': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
    'UPDATE t SET a = 1',
    ['INSERT INTO t VALUES (1, 1)', 'DELETE FROM t'],
    'INSERT INTO t SELECT 1, 1 WHERE 0',
    'CREATE TABLE IF NOT EXISTS t (x)',
    'DROP TABLE IF EXISTS u',
  ],
};

test.each(Object.entries(CASES))('%s', (_, steps) => followed(steps));

test('a DELETE without WHERE that was prepared before anything was recorded is recorded row by row', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const [a, b] = [nodes.open(log, 'a.db'), nodes.open(log, 'b.db')];
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  a.run('INSERT INTO t VALUES (1, 1), (2, 2)');
  const sql = 'DELETE FROM t';
  const statement = a.writer.prepare(sql);
  a.transaction(() => {
    a.gate.before(sql);
    statement.run();
    a.gate.after(sql);
  });
  b.pull();
  expect(b.content()).toEqual(a.content());
});

test('what changes nothing makes no entry', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const node = nodes.open(log, 'a.db');
  followedBy(node, 'CREATE TABLE t (id INTEGER PRIMARY KEY, a)', 1);
  followedBy(node, 'INSERT INTO t VALUES (1, 1)', 2);
  followedBy(node, 'UPDATE t SET a = 1', 2);
  followedBy(node, 'CREATE TABLE IF NOT EXISTS t (x)', 2);
  followedBy(node, 'DROP TABLE IF EXISTS u', 2);
  followedBy(node, 'SELECT * FROM t', 2);
  followedBy(node, 'PRAGMA user_version = 0', 2);
  followedBy(node, 'PRAGMA user_version = 1', 3);
  node.transaction(() => {
    node.statement('INSERT INTO t VALUES (2, 1)');
    node.statement('DELETE FROM t WHERE id = 2');
  });
  expect(log.entries).toHaveLength(3);

  function followedBy(on: typeof node, sql: string, entries: number): void {
    on.run(sql);
    expect(log.entries, sql).toHaveLength(entries);
  }
});

test('a blob of 50 MB', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const [a, b] = [nodes.open(log, 'a.db'), nodes.open(log, 'b.db')];
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  const blob = Buffer.alloc(50 * 1024 * 1024, 'poolite');
  a.run('INSERT INTO t VALUES (1, ?)', blob);
  b.pull();
  expect(b.content()).toEqual(a.content());
});

test('0.0 that becomes -0.0 is no change, and in nobody’s way', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const [a, b] = [nodes.open(log, 'a.db'), nodes.open(log, 'b.db')];
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, v UNIQUE, z)');
  a.run('INSERT INTO t VALUES (1, 1, 1, 0.0), (2, 2, 2, 0.0), (3, 3, 3, 0.0)');
  a.run('UPDATE t SET z = -z');
  a.transaction(() => {
    a.statement('UPDATE t SET u = -u, v = -v, z = 5');
    a.statement(
      `UPDATE t SET u = CASE id WHEN 1 THEN 2 WHEN 2 THEN 3 ELSE 1 END,
        v = CASE id WHEN 1 THEN 3 WHEN 2 THEN 1 ELSE 2 END`,
    );
  });
  b.pull();
  expect(b.content()).toEqual(a.content());
});

test('values that are bound', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const [a, b] = [nodes.open(log, 'a.db'), nodes.open(log, 'b.db')];
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  const values = [
    null,
    0,
    -0,
    1.5,
    Number.NaN,
    Infinity,
    -Infinity,
    2n ** 63n - 1n,
    -(2n ** 63n),
    'a\0b',
    '',
    '\u{1d11e}',
  ];
  for (const value of values) a.run('INSERT INTO t (a) VALUES (?)', value);
  a.run('INSERT INTO t (a) VALUES (?)', new Uint8Array());
  b.pull();
  expect(b.content()).toEqual(a.content());
  expect(b.run('SELECT a FROM t WHERE id = 3')).toEqual([{ a: -0 }]);
});
