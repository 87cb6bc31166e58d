import { expect, test } from 'vitest';
import { MemoryLog } from './memory-log.ts';
import { type Node, Nodes } from './node.ts';
import { followed, type Steps } from './steps.ts';

const CASES: Record<string, Steps> = {
  'FTS5 with content of its own': [
    "CREATE VIRTUAL TABLE f USING fts5(a, b, tokenize = 'porter unicode61', prefix = '2 3')",
    "INSERT INTO f VALUES ('running dogs', 'x'), ('cats run', 'y')",
    "INSERT INTO f (rowid, a) VALUES (9223372036854775807, 'last')",
    ["INSERT INTO f VALUES ('one', 'two')", "DELETE FROM f WHERE f MATCH 'dogs'"],
    "UPDATE f SET b = 'runner' WHERE f MATCH 'run'",
    "INSERT INTO f (f, rank) VALUES ('rank', 'bm25(10.0, 5.0)')",
    "INSERT INTO f (f) VALUES ('optimize')",
    'DELETE FROM f',
    "INSERT INTO f SELECT 'word' || value, value FROM generate_series(1, 500)".replace(
      'generate_series(1, 500)',
      '(WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 500) SELECT value FROM n)',
    ),
    "INSERT INTO f (f) VALUES ('rebuild')",
    'ALTER TABLE f RENAME TO g',
    "INSERT INTO g VALUES ('renamed', 1)",
    'DROP TABLE g',
  ],
  'FTS5 without content': [
    "CREATE VIRTUAL TABLE f USING fts5(a, content = '', contentless_delete = 1)",
    "CREATE VIRTUAL TABLE g USING fts5(a, content='')",
    "INSERT INTO f (rowid, a) VALUES (1, 'one two'), (2, 'two three')",
    "INSERT INTO g (rowid, a) VALUES (1, 'one two'), (2, 'two three')",
    'DELETE FROM f WHERE rowid = 1',
    "INSERT INTO g (g, rowid, a) VALUES ('delete', 1, 'one two')",
    "INSERT INTO g (g) VALUES ('delete-all')",
  ],
  'FTS5 beside a table, kept by triggers': [
    'CREATE TABLE docs (id INTEGER PRIMARY KEY, title, body)',
    "CREATE VIRTUAL TABLE f USING fts5(title, body, content = 'docs', content_rowid = 'id')",
    `CREATE TRIGGER i AFTER INSERT ON docs BEGIN
      INSERT INTO f (rowid, title, body) VALUES (new.id, new.title, new.body); END`,
    `CREATE TRIGGER d AFTER DELETE ON docs BEGIN
      INSERT INTO f (f, rowid, title, body) VALUES ('delete', old.id, old.title, old.body); END`,
    `CREATE TRIGGER u AFTER UPDATE ON docs BEGIN
      INSERT INTO f (f, rowid, title, body) VALUES ('delete', old.id, old.title, old.body);
      INSERT INTO f (rowid, title, body) VALUES (new.id, new.title, new.body); END`,
    "INSERT INTO docs (title, body) VALUES ('first', 'words of one'), ('second', 'words of two')",
    "UPDATE docs SET body = 'other words' WHERE id = 1",
    ['DELETE FROM docs WHERE id = 2', "INSERT INTO docs (title, body) VALUES ('third', 'three')"],
    "INSERT INTO f (f) VALUES ('integrity-check')",
  ],
  rtree: [
    'CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, y0, y1, +name)',
    'CREATE VIRTUAL TABLE n USING rtree_i32(id, a, b)',
    "INSERT INTO r VALUES (1, 0, 1, 0, 1, 'one'), (2, 5, 6, 5, 6, 'two')",
    `INSERT INTO r (x0, x1, y0, y1) WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 300)
      SELECT v, v + 1, v, v + 1 FROM n`,
    [
      'UPDATE r SET x1 = 50 WHERE id = 1',
      'DELETE FROM r WHERE x0 > 250',
      'INSERT INTO n VALUES (1, 1, 2)',
    ],
    'DELETE FROM r',
  ],
  'made, filled and dropped in one transaction': [
    [
      'CREATE VIRTUAL TABLE f USING fts5(a)',
      "INSERT INTO f VALUES ('a')",
      'CREATE TABLE t (id INTEGER PRIMARY KEY)',
    ],
    [
      "INSERT INTO f VALUES ('b')",
      'CREATE VIRTUAL TABLE r USING rtree(id, a, b)',
      'INSERT INTO r VALUES (1, 1, 1)',
    ],
    [
      "INSERT INTO f VALUES ('c')",
      'DROP TABLE f',
      'CREATE VIRTUAL TABLE f USING fts5(b)',
      "INSERT INTO f VALUES ('d')",
    ],
  ],
};

test.each(Object.entries(CASES))('%s', (_, steps) => followed(steps));

test('connections that have searched before find what others wrote', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const [a, b] = [nodes.open(log, 'a.db'), nodes.open(log, 'b.db')];
  a.run('CREATE VIRTUAL TABLE f USING fts5(a)');
  a.run("INSERT INTO f VALUES ('start')");
  b.pull();
  const search = "SELECT count(*) AS n FROM f WHERE f MATCH 'word'";
  const readers = [a, b]
    .flatMap((node) => [node.reader(), node.reader()])
    .map((db) => db.prepare(search));
  const found = () => readers.map((reader) => (reader.get() as { n: number }).n);
  const writers = (): number[] => [a, b].map((node) => (node.run(search)[0] as { n: number }).n);
  expect(found()).toEqual([0, 0, 0, 0]);
  for (let round = 1; round <= 40; round++) {
    const [writes, follows]: [Node, Node] = round % 2 === 0 ? [a, b] : [b, a];
    writes.run(`INSERT INTO f VALUES ('word w${round}')`);
    if (round % 10 === 0) writes.run("INSERT INTO f (f) VALUES ('optimize')");
    follows.pull();
    expect(found()).toEqual([round, round, round, round]);
    expect(writers()).toEqual([round, round]);
  }
  for (const node of [a, b]) node.run("INSERT INTO f (f) VALUES ('integrity-check')");
});
