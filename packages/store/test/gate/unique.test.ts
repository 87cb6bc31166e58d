import { expect, test } from 'vitest';
import { MemoryLog } from './memory-log.ts';
import { Nodes } from './node.ts';

const EIGHT = [1, 2, 3, 4, 5, 6, 7, 8];

/** Rows that give each other what is unique: the table, its rows, and what is done to them in one transaction. */
const CASES: Record<string, readonly [table: string, rows: string, ...change: string[]]> = {
  'two rows exchange a value': [
    'id INTEGER PRIMARY KEY, u UNIQUE, z',
    EIGHT.map((n) => `(${n}, ${n}, 'z')`).join(),
    'UPDATE t SET u = -u WHERE id < 3',
    'UPDATE t SET u = 3 + u WHERE id < 3',
  ],
  'a list is put in another order': [
    'id INTEGER PRIMARY KEY, u INTEGER NOT NULL UNIQUE, z',
    EIGHT.map((n) => `(${n}, ${n}, 'z')`).join(),
    'UPDATE t SET u = -u',
    'UPDATE t SET u = 9 + u',
  ],
  'a list is moved on by one, without a rowid': [
    'id TEXT PRIMARY KEY, u UNIQUE, z',
    EIGHT.map((n) => `(${n}, ${n}, 'z')`).join(),
    'UPDATE t SET u = -u',
    'UPDATE t SET u = 1 + (-u % 8), z = random()',
  ],
  'three in a circle, a new one and one that goes': [
    'id INTEGER PRIMARY KEY, u UNIQUE, z',
    EIGHT.map((n) => `(${n}, ${n}, 'z')`).join(),
    'DELETE FROM t WHERE id = 4',
    'UPDATE t SET u = -u WHERE id < 4',
    'UPDATE t SET u = CASE id WHEN 1 THEN 2 WHEN 2 THEN 4 ELSE 1 END WHERE id < 4',
    "INSERT INTO t VALUES (9, 3, 'new')",
  ],
  'circles that cross in two constraints': [
    'id INTEGER PRIMARY KEY, a UNIQUE, b UNIQUE, z',
    "(1, 1, 1, 'x'), (2, 2, 2, 'y'), (3, 3, 3, 'z'), (4, 4, 4, 'w')",
    'UPDATE t SET a = -a, b = -b WHERE id < 4',
    `UPDATE t SET a = CASE id WHEN 1 THEN 2 WHEN 2 THEN 3 ELSE 1 END,
      b = CASE id WHEN 1 THEN 3 WHEN 2 THEN 1 ELSE 2 END WHERE id < 4`,
  ],
  'circles through constraints of two columns': [
    'id INTEGER PRIMARY KEY, a, b, c, UNIQUE (a, b), UNIQUE (b, c)',
    '(1, 1, 1, 1), (2, 1, 2, 2), (3, 2, 1, 3), (4, 2, 2, 4)',
    'UPDATE t SET a = a + 10, b = b + 10, c = c + 10',
    `UPDATE t SET a = CASE id WHEN 1 THEN 2 WHEN 2 THEN 2 ELSE 1 END, b = CASE id WHEN 1 THEN 2 WHEN 3 THEN 2 ELSE 1 END,
      c = CASE id WHEN 1 THEN 2 WHEN 2 THEN 1 WHEN 3 THEN 4 ELSE 3 END`,
  ],
  'a loop through a key that changes': [
    'id TEXT PRIMARY KEY NOT NULL, u UNIQUE, z',
    "('a', 1, 1), ('b', 2, 2)",
    'UPDATE t SET u = -u',
    "UPDATE t SET id = 'c', u = 2 WHERE id = 'a'",
    "UPDATE t SET u = 1 WHERE id = 'b'",
  ],
};

test.each(Object.entries(CASES))('%s', (name, [table, rows, ...change]) => {
  const isPlain = !name.includes('without a rowid');
  using nodes = new Nodes();
  const log = new MemoryLog();
  const [a, b] = [nodes.open(log, 'a.db'), nodes.open(log, 'b.db')];
  a.run(`CREATE TABLE t (${table})${isPlain ? '' : ' WITHOUT ROWID'}`);
  a.run(`INSERT INTO t VALUES ${rows}`);
  a.transaction(() => {
    for (const sql of change) a.statement(sql);
  });
  b.pull();
  expect(b.content()).toEqual(a.content());
});

test('circles that cross, with generated columns and values of all kinds', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const [a, b] = [nodes.open(log, 'a.db'), nodes.open(log, 'b.db')];
  a.run(
    `CREATE TABLE t (a UNIQUE, g AS (a || b) STORED UNIQUE, id INTEGER PRIMARY KEY, b UNIQUE, v AS (b) VIRTUAL, x, y)`,
  );
  a.run(
    `INSERT INTO t (id, a, b, x, y) VALUES (1, 1, x'00', -0.0, 'a' || char(0) || 'b'),
      (2, 'a', 2.5, 9e999, CAST(x'ff00' AS TEXT)), (3, x'', 'ü', NULL, 9223372036854775807)`,
  );
  a.run('CREATE TEMP TABLE old (id, a, b)');
  a.run('INSERT INTO old SELECT id, a, b FROM t');
  a.transaction(() => {
    a.statement("UPDATE t SET a = 'x' || id, b = 'y' || id");
    a.statement(
      `UPDATE t SET a = (SELECT a FROM old WHERE old.id = 1 + t.id % 3),
        b = (SELECT b FROM old WHERE old.id = 1 + (1 + t.id) % 3)`,
    );
  });
  b.pull();
  expect(b.content()).toEqual(a.content());
});

/** Two nodes, of which the second is not made anew where it cannot follow, and why it could not. */
function quarantined(nodes: Nodes) {
  const log = new MemoryLog();
  const reasons: string[] = [];
  const a = nodes.open(log, 'a.db');
  const b = nodes.open(log, 'b.db', {
    asked: (question) => {
      if (question.type !== 'quarantine') return undefined;
      reasons.push(question.reason);
      return { type: 'failed', code: 'POOL_STORE', message: 'quarantined' };
    },
  });
  return { a, b, reasons };
}

test('what is not as it was where it was changed is not written over', () => {
  using nodes = new Nodes();
  const { a, b, reasons } = quarantined(nodes);
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, b UNIQUE, c)');
  a.run('INSERT INTO t VALUES (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3)');
  b.pull();
  b.writer.exec('UPDATE t SET b = 20 WHERE id = 2');
  const before = b.content();
  a.transaction(() => {
    a.statement('UPDATE t SET a = -a, b = -b');
    a.statement(
      'UPDATE t SET a = CASE id WHEN 1 THEN 2 WHEN 2 THEN 3 ELSE 1 END, b = CASE id WHEN 1 THEN 3 WHEN 2 THEN 1 ELSE 2 END',
    );
  });
  expect(() => b.pull()).toThrow('quarantined');
  expect(reasons).toEqual([
    expect.stringMatching(/entry 3 does not apply: rows are not what they were/),
  ]);
  expect(b.content()).toEqual(before);
});

test('a row that is inserted is not put in the place of one that has its key', () => {
  using nodes = new Nodes();
  const { a, b, reasons } = quarantined(nodes);
  a.run('CREATE TABLE t (id TEXT NOT NULL COLLATE NOCASE PRIMARY KEY, a)');
  b.pull();
  b.writer.exec("INSERT INTO t VALUES ('k', 'its own')");
  const before = b.content();
  a.run("INSERT INTO t VALUES ('k', 'another')");
  expect(() => b.pull()).toThrow('quarantined');
  expect(reasons).toEqual([
    expect.stringMatching(/entry 2 does not apply: rows are not what they were/),
  ]);
  expect(b.content()).toEqual(before);
});
