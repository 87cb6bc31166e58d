import { expect, test } from 'vitest';
import { MemoryLog } from './memory-log.ts';
import { type Node, Nodes } from './node.ts';
import { followed, type Steps } from './steps.ts';

const CASES: Record<string, Steps> = {
  'data and schema in one transaction': [
    [
      'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
      'INSERT INTO t VALUES (1, 1), (2, 2)',
      'ALTER TABLE t ADD COLUMN b DEFAULT 5',
      'UPDATE t SET b = id WHERE id = 2',
      'CREATE INDEX i ON t (b)',
      'INSERT INTO t VALUES (3, 3, 3)',
      'ALTER TABLE t DROP COLUMN a',
      'DELETE FROM t WHERE id = 1',
      'PRAGMA user_version = 7',
    ],
    [
      'INSERT INTO t VALUES (4, 4)',
      'DROP TABLE t',
      'CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL)',
      "INSERT INTO t VALUES ('4')",
    ],
  ],
  'ALTER TABLE': [
    'CREATE TABLE p (id INTEGER PRIMARY KEY, a, b)',
    'CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p (id) ON DELETE CASCADE)',
    'CREATE VIEW v AS SELECT p.a AS x FROM p JOIN c ON c.p = p.id',
    'CREATE TRIGGER tr AFTER UPDATE OF a ON p BEGIN UPDATE c SET p = new.id WHERE p = old.id; END',
    'CREATE INDEX i ON p (a, b)',
    'INSERT INTO p VALUES (1, 1, 1)',
    'INSERT INTO c VALUES (1, 1)',
    'ALTER TABLE p RENAME TO parents',
    'ALTER TABLE parents RENAME COLUMN a TO "an a"',
    "ALTER TABLE parents ADD COLUMN d TEXT NOT NULL DEFAULT 'd'",
    'ALTER TABLE parents ADD COLUMN g AS ("an a" || d)',
    ['INSERT INTO parents ("an a", b) VALUES (2, 2)', 'UPDATE parents SET "an a" = 9'],
    'DROP INDEX i',
    'ALTER TABLE parents DROP COLUMN b',
    'DROP VIEW v',
    'DROP TRIGGER tr',
  ],
  'a table made anew, as Drizzle and TypeORM do it': [
    'CREATE TABLE p (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT)',
    'CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p (id) ON DELETE CASCADE)',
    'CREATE TRIGGER tr AFTER INSERT ON p BEGIN INSERT INTO c (p) VALUES (new.id); END',
    "INSERT INTO p (a) VALUES ('x'), ('y'), ('z')",
    'DELETE FROM p WHERE id = 3',
    'PRAGMA foreign_keys = OFF',
    [
      'CREATE TABLE __new_p (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, a TEXT NOT NULL, b INT DEFAULT 1)',
      'INSERT INTO __new_p (id, a) SELECT id, a FROM p',
      'DROP TABLE p',
      'ALTER TABLE __new_p RENAME TO p',
      'CREATE INDEX i ON p (a)',
    ],
    'PRAGMA foreign_keys = ON',
    "INSERT INTO p (a) VALUES ('after')",
    'INSERT INTO c (p) VALUES (1)',
  ],
  'a parent is dropped, and SQLite changes its children': [
    'CREATE TABLE p (id INTEGER PRIMARY KEY, up REFERENCES p)',
    'CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE)',
    'CREATE TABLE "d d" (id INTEGER PRIMARY KEY, p REFERENCES P ON DELETE SET NULL, c REFERENCES c ON DELETE CASCADE)',
    'INSERT INTO p VALUES (1, NULL), (2, 1)',
    'INSERT INTO c VALUES (1, 1), (2, NULL)',
    'INSERT INTO "d d" VALUES (1, 1, 1), (2, 2, NULL), (3, NULL, 2)',
    [
      'UPDATE "d d" SET c = 1 WHERE id = 2',
      'DROP TABLE p',
      'CREATE TABLE e (id INTEGER PRIMARY KEY)',
      'INSERT INTO e VALUES (1)',
    ],
    'DROP TABLE IF EXISTS p',
  ],
  'ANALYZE, PRAGMA optimize and REINDEX': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
    'CREATE INDEX i ON t (a)',
    'INSERT INTO t (a) VALUES (1), (1), (2)',
    'ANALYZE',
    [
      'INSERT INTO t (a) VALUES (3)',
      'ANALYZE t',
      'INSERT INTO t (a) VALUES (4)',
      'REINDEX',
      'DELETE FROM t WHERE id = 1',
    ],
    'PRAGMA optimize',
    'INSERT INTO t (a) VALUES (5)',
    'ALTER TABLE t ADD COLUMN b',
    'DELETE FROM sqlite_stat1',
    'DROP TABLE sqlite_stat1',
    'INSERT INTO t (a) VALUES (6)',
  ],
  'numbers of the application': [
    'PRAGMA user_version = -5',
    [
      'PRAGMA application_id = 2147483647',
      'CREATE TABLE t (id INTEGER PRIMARY KEY)',
      'PRAGMA main.user_version(9)',
    ],
    ['PRAGMA user_version = 10', 'PRAGMA user_version = 9'],
    'PRAGMA user_version',
  ],
  'an index on many rows': [
    'CREATE TABLE t (id INTEGER PRIMARY KEY, a)',
    'INSERT INTO t (a) WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 50000) SELECT v % 1000 FROM n',
    'CREATE INDEX i ON t (a, id)',
    'UPDATE t SET a = 0 WHERE a = 1',
  ],
};

test.each(Object.entries(CASES))('%s', (name, steps) => {
  // What a connection sets holds for it alone.
  followed(steps, name.includes('made anew') ? 'one' : 'both');
});

function two(): { nodes: Nodes; log: MemoryLog; a: Node; b: Node } {
  const nodes = new Nodes();
  const log = new MemoryLog();
  return { nodes, log, a: nodes.open(log, 'a.db'), b: nodes.open(log, 'b.db') };
}

/** The kinds of the parts of the last entry. */
function lastParts(log: MemoryLog): string {
  return (
    log.entries
      .at(-1)
      ?.parts.map(({ type }) => type)
      .join(' ') ?? ''
  );
}

/** What a transaction does that fails in part: s() is a savepoint that is undone, and a list within it runs before. */
const UNDONE: Record<string, { steps: readonly (string | readonly string[])[]; parts: string }> = {
  'a statement that changes the schema fails': {
    steps: [
      'INSERT INTO t VALUES (5, 5)',
      ['CREATE TABLE t (id INTEGER PRIMARY KEY)'],
      'UPDATE t SET a = 9',
    ],
    parts: 'changes',
  },
  'rows alone are undone': {
    steps: [
      'INSERT INTO t VALUES (5, 5)',
      ['UPDATE t SET a = 7', 'DELETE FROM t WHERE id = 5'],
      'INSERT INTO t VALUES (6, 6)',
    ],
    parts: 'changes',
  },
  'the schema is undone, with nothing before it': {
    steps: [
      ['CREATE TABLE u (id INTEGER PRIMARY KEY)', 'INSERT INTO u VALUES (1)'],
      'INSERT INTO t VALUES (5, 5)',
    ],
    parts: 'changes',
  },
  'the second of two changes of the schema is undone': {
    steps: [
      'CREATE TABLE u (id INTEGER PRIMARY KEY)',
      ['ALTER TABLE u ADD COLUMN a', 'INSERT INTO u VALUES (1, 1)'],
      'INSERT INTO u VALUES (2)',
    ],
    parts: 'ddl changes',
  },
  'rows are written, and then the schema is undone': {
    steps: [
      'INSERT INTO t VALUES (5, 5)',
      ['UPDATE t SET a = 8', 'CREATE TABLE u (id INTEGER PRIMARY KEY)', 'INSERT INTO u VALUES (1)'],
      'INSERT INTO t VALUES (6, 6)',
      "INSERT INTO f VALUES ('six')",
    ],
    parts: 'snapshot',
  },
  'rows are written, an index is made anew, and both are undone': {
    steps: [
      'INSERT INTO t VALUES (5, 5)',
      ['UPDATE t SET a = 8', 'REINDEX'],
      'INSERT INTO t VALUES (6, 6)',
    ],
    parts: 'snapshot',
  },
  'a virtual table is made and undone': {
    steps: [['CREATE VIRTUAL TABLE g USING fts5(a)'], "INSERT INTO f VALUES ('y')"],
    parts: 'changes',
  },
  'the schema is changed in a savepoint that stays': {
    steps: [
      'SAVEPOINT mine',
      'ALTER TABLE t ADD COLUMN b',
      'UPDATE t SET b = 1',
      'RELEASE mine',
      ['DELETE FROM t'],
      'INSERT INTO t VALUES (5, 5, 5)',
    ],
    parts: 'ddl changes',
  },
};

test.each(Object.entries(UNDONE))('%s', (_, { steps, parts }) => {
  const { nodes, log, a, b } = two();
  using _nodes = nodes;
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  a.run('CREATE VIRTUAL TABLE f USING fts5(a)');
  a.run('INSERT INTO t VALUES (1, 1), (2, 2)');
  b.pull();
  a.transaction(() => {
    for (const step of steps) {
      if (typeof step === 'string') a.statement(step);
      else {
        a.savepoint(() => {
          for (const sql of step) a.statement(sql);
          throw new Error('undone');
        });
      }
    }
  });
  expect(lastParts(log)).toBe(parts);
  a.run("INSERT INTO f VALUES ('after')");
  b.pull();
  expect(b.content()).toEqual(a.content());
  b.run('INSERT INTO t (id, a) VALUES (100, 100)');
  a.pull();
  expect(a.content()).toEqual(b.content());
});

test("a ROLLBACK TO of the user's own is heard", () => {
  const { nodes, log, a, b } = two();
  using _nodes = nodes;
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  a.transaction(() => {
    a.statement('INSERT INTO t VALUES (1, 1)');
    a.statement('SAVEPOINT s');
    a.statement('DELETE FROM t');
    a.statement('CREATE TABLE u (id INTEGER PRIMARY KEY)');
    a.statement('ROLLBACK TRANSACTION TO SAVEPOINT s');
    a.statement('INSERT INTO t VALUES (2, 2)');
  });
  expect(lastParts(log)).toBe('snapshot');
  b.pull();
  expect(b.content()).toEqual(a.content());
});

test('a transaction that was rolled back leaves nothing behind', () => {
  const { nodes, log, a, b } = two();
  using _nodes = nodes;
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)');
  for (const sql of ['ALTER TABLE t ADD COLUMN b', 'ALTER TABLE t ADD COLUMN c']) {
    expect(() =>
      a.transaction(() => {
        a.statement('INSERT INTO t (a) VALUES (1)');
        a.statement(sql);
        a.statement('PRAGMA user_version = 3');
        throw new Error('rolled back');
      }),
    ).toThrow('rolled back');
    a.run(sql);
    a.run('INSERT INTO t (a) VALUES (1)');
  }
  expect(log.entries).toHaveLength(5);
  b.pull();
  expect(b.content()).toEqual(a.content());
});

test('what only its own connection sees is nobody else’s', () => {
  const { nodes, log, a, b } = two();
  using _nodes = nodes;
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  const entries = log.entries.length;
  a.run('CREATE TEMP TABLE x (a)');
  a.run('CREATE TABLE temp.y (a)');
  a.run('INSERT INTO x VALUES (1)');
  a.run('ALTER TABLE x ADD COLUMN b');
  a.run("CREATE VIRTUAL TABLE temp.v USING fts5vocab(main, 'f', 'row')");
  a.run('CREATE TEMP VIEW z AS SELECT * FROM t');
  a.run('DROP TABLE y');
  expect(log.entries).toHaveLength(entries);
  a.run('CREATE TEMP TRIGGER tr AFTER INSERT ON main.t BEGIN UPDATE t SET a = random(); END');
  a.run('INSERT INTO t VALUES (1, 1)');
  a.run('INSERT INTO t SELECT 2, a FROM x');
  b.pull();
  expect(b.content()).toEqual(a.content());
});

test('a file that has something in it begins the log as a whole', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const before = (db: import('node:sqlite').DatabaseSync) =>
    db.exec(
      "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO t (a) VALUES ('old'); PRAGMA user_version = 4",
    );
  const a = nodes.open(log, 'a.db', { before });
  a.run("INSERT INTO t (a) VALUES ('new')");
  a.run("INSERT INTO t (a) VALUES ('newer')");
  expect(log.entries.map(({ parts }) => parts[0]?.type)).toEqual(['snapshot', 'changes']);
  const b = nodes.open(log, 'b.db');
  b.pull();
  expect(b.content()).toEqual(a.content());
  const own = nodes.open(log, 'own.db', { before });
  expect(() => own.pull()).toThrow(/holds data of its own, and so does the log/);
  expect(() => own.run("INSERT INTO t (a) VALUES ('mine')")).toThrow(/holds data of its own/);
});
