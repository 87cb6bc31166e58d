import { writeFileSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import type { Answer, Question } from '../../src/questions.ts';
import { MemoryLog, replaceInPlace } from './memory-log.ts';
import { Nodes } from './node.ts';

test('who is beaten has what others wrote before the same work runs again', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const asked: Question[] = [];
  const a = nodes.open(log, 'a.db');
  const b = nodes.open(log, 'b.db', { asked: (question) => void asked.push(question) });
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  b.pull();
  for (let value = 1; value <= 70; value++) a.run('INSERT INTO t (a) VALUES (?)', value);
  asked.length = 0;
  let runs = 0;
  b.transaction(() => {
    runs++;
    b.statement('INSERT INTO t (a) SELECT sum(a) FROM t');
  });
  expect(runs).toBe(2);
  expect(asked.map(({ type }) => type)).toEqual([
    'propose',
    'catchUp',
    'catchUp',
    'catchUp',
    'propose',
  ]);
  expect(asked.map((question) => ('attempt' in question ? question.attempt : 0))).toEqual([
    1, 1, 1, 1, 2,
  ]);
  expect(b.run('SELECT a FROM t ORDER BY id DESC LIMIT 1')).toEqual([{ a: 2485 }]);
  a.pull();
  expect(a.content()).toEqual(b.content());
});

test('attempts are counted anew for the next work', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const attempts: number[] = [];
  const a = nodes.open(log, 'a.db');
  const b = nodes.open(log, 'b.db', {
    asked: (question) => {
      if (question.type === 'propose') attempts.push(question.attempt);
      return undefined;
    },
  });
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  b.run('CREATE TABLE u (id INTEGER PRIMARY KEY, a)');
  b.run('INSERT INTO u VALUES (1, 1)');
  expect(attempts).toEqual([1, 2, 1]);
});

test('a conflict is given to the caller once its retries are used up, with all that others wrote in the file', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  log.retries = 3;
  let value = 0;
  const a = nodes.open(log, 'a.db');
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
  const b = nodes.open(log, 'b.db', {
    asked: (question) => {
      if (question.type === 'propose' && value < 99) a.run('INSERT INTO t (a) VALUES (?)', ++value);
      return undefined;
    },
  });
  b.pull();
  expect(() => b.run('INSERT INTO t (a) VALUES (-1)')).toThrow(
    expect.objectContaining({ name: 'PoolError', code: 'POOL_CONFLICT', again: false }),
  );
  expect(value).toBe(4);
  expect(b.content()).toEqual(a.content());
  value = 99;
  b.run('INSERT INTO t (a) VALUES (-1)');
  expect(log.entries).toHaveLength(6);
});

test.each(['propose', 'catchUp'] as const)(
  'what the replica cannot do (%s) is what the caller hears',
  (type) => {
    using nodes = new Nodes();
    const log = new MemoryLog();
    let fails = true;
    const a = nodes.open(log, 'a.db');
    a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
    const failed: Answer = { type: 'failed', code: 'POOL_OUTCOME_UNKNOWN', message: 'no bucket' };
    const b = nodes.open(log, 'b.db', {
      asked: (question) => (fails && question.type === type ? failed : undefined),
    });
    expect(() => b.run('CREATE TABLE u (id INTEGER PRIMARY KEY)')).toThrow(
      expect.objectContaining({
        name: 'PoolError',
        code: 'POOL_OUTCOME_UNKNOWN',
        message: 'no bucket',
      }),
    );
    expect(b.writer.isTransaction).toBe(false);
    fails = false;
    b.run('CREATE TABLE u (id INTEGER PRIMARY KEY)');
    a.pull();
    expect(b.content()).toEqual(a.content());
  },
);

test('an entry of its own that came late is applied like any other', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  let isLost = true;
  const a = nodes.open(log, 'a.db', {
    asked: (question) => {
      if (question.type !== 'propose' || !isLost) return undefined;
      isLost = false;
      const { entry, position, token } = question;
      log.entries.push({ ...entry, number: position.number + 1, token, previous: position.token });
      return { type: 'failed', code: 'POOL_OUTCOME_UNKNOWN', message: 'timeout' };
    },
  });
  expect(() => a.run('CREATE TABLE t (id INTEGER PRIMARY KEY)')).toThrow('timeout');
  expect(a.run("SELECT name FROM sqlite_schema WHERE name = 't'")).toEqual([]);
  a.run('INSERT INTO poolite_requests VALUES (?, 1, NULL)', 'key');
  expect(a.run("SELECT name FROM sqlite_schema WHERE name = 't'")).toEqual([{ name: 't' }]);
  expect(log.entries.map(({ requests }) => requests)).toEqual([[], ['key']]);
});

/** What makes the replica of b unfit for the next entry. */
const UNFIT: Record<string, { spoil: (db: DatabaseSync, log: MemoryLog) => void; reason: RegExp }> =
  {
    'a row that is not there': {
      spoil: (db) => db.exec('DELETE FROM t WHERE id = 1'),
      reason: /entry 4 does not apply: rows are not what they were/,
    },
    'a row that is another': {
      spoil: (db) => db.exec("UPDATE t SET a = 'spoiled'"),
      reason: /entry 4 does not apply: rows are not what they were/,
    },
    'another schema': {
      spoil: (db) => db.exec('CREATE INDEX spoiled ON t (a)'),
      reason: /the schema after entry 4 is not the one of who wrote it/,
    },
    'a trigger more': {
      spoil: (db) => db.exec('CREATE TRIGGER spoiled AFTER UPDATE ON t BEGIN DELETE FROM t; END'),
      reason: /the schema after entry 4 is not the one of who wrote it/,
    },
    'another token': {
      spoil: (db) => db.exec("UPDATE poolite_replica SET token = 'spoiled'"),
      reason: /entry 4 follows another entry 3 than the replica has/,
    },
    'an entry that is left out': {
      spoil: (_, log) => log.entries.splice(3, 1),
      reason: /entry 5 does not follow 3, where the replica is/,
    },
    'bytes that are no changeset': {
      spoil: (_, log) => {
        for (const part of log.entries[3]?.parts ?? [])
          if (part.type === 'changes') part.bytes = part.bytes.subarray(0, 9);
      },
      reason: /entry 4 does not apply: .+/,
    },
  };

test.each(Object.entries(UNFIT))(
  '%s: the file is replaced, while it is open',
  (_, { spoil, reason }) => {
    using nodes = new Nodes();
    const log = new MemoryLog();
    const a = nodes.open(log, 'a.db');
    const reasons: string[] = [];
    let heal = () => {};
    const b = nodes.open(log, 'b.db', {
      asked: (question) => {
        if (question.type !== 'quarantine') return undefined;
        reasons.push(question.reason);
        replaceInPlace(a.file, b.file);
        heal();
        return { type: 'restored' };
      },
    });
    a.run('CREATE TABLE t (id INTEGER PRIMARY KEY, a)');
    a.run('CREATE VIRTUAL TABLE f USING fts5(a)');
    a.run("INSERT INTO t VALUES (1, 'one')");
    b.pull();
    const kept = [...log.entries];
    const reader = b.reader().prepare('SELECT count(*) AS n, max(a) AS a FROM t');
    const search = b.reader().prepare("SELECT count(*) AS n FROM f WHERE f MATCH 'word'");
    const old = b.reader();
    old.exec('BEGIN');
    const oldRows = old.prepare('SELECT a FROM t');
    expect(oldRows.all()).toEqual([{ a: 'one' }]);
    reader.get();
    search.get();
    b.run('SELECT * FROM t');
    a.run("UPDATE t SET a = 'two'");
    kept.push(...log.entries.slice(kept.length));
    a.run("INSERT INTO f VALUES ('word')");
    kept.push(...log.entries.slice(kept.length));
    spoil(b.writer, log);
    heal = () => log.entries.splice(0, Infinity, ...kept);
    b.pull();
    expect(reasons).toEqual([expect.stringMatching(reason)]);
    expect(b.content()).toEqual(a.content());
    expect(reader.get()).toEqual({ n: 1, a: 'two' });
    expect(search.get()).toEqual({ n: 1 });
    // Who has been reading goes on with what was there.
    expect(oldRows.all()).not.toEqual([{ a: 'two' }]);
    old.exec('COMMIT');
    expect(oldRows.all()).toEqual([{ a: 'two' }]);
    b.run("INSERT INTO f VALUES ('word'), ('word')");
    b.run("UPDATE t SET a = 'three'");
    a.pull();
    expect(b.content()).toEqual(a.content());
    expect(search.get()).toEqual({ n: 3 });
  },
);

test('a log that fits no replica ends in an error, not in a circle', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const a = nodes.open(log, 'a.db');
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  let asked = 0;
  const b = nodes.open(log, 'b.db', {
    asked: (question) => {
      if (question.type !== 'quarantine') return undefined;
      asked++;
      return { type: 'restored' };
    },
  });
  for (const entry of log.entries) entry.schema = 'another';
  expect(() => b.pull()).toThrow(/replaced 3 times, and still: the schema after entry 1/);
  expect(asked).toBe(3);
});

test('entries of a newer SQLite are refused', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const [a, b] = [nodes.open(log, 'a.db'), nodes.open(log, 'b.db')];
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  for (const entry of log.entries) entry.sqlite = '3.999.0';
  expect(() => b.pull()).toThrow(/entry 1 was written by a machine with SQLite 3\.999\.0/);
  for (const entry of log.entries) entry.sqlite = '3.9.0';
  b.pull();
  expect(b.content()).toEqual(a.content());
});

test('a replica that is behind when it is opened is brought up by the answer to that', () => {
  using nodes = new Nodes();
  const log = new MemoryLog();
  const a = nodes.open(log, 'a.db');
  a.run('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  for (let id = 1; id < 50; id++) a.run('INSERT INTO t VALUES (?)', id);
  const b = nodes.open(log, 'b.db', {
    asked: (question) =>
      question.type === 'opened'
        ? { type: 'entries', entries: log.entries.slice(0, 10), more: true, again: true }
        : undefined,
  });
  expect(b.content()).toEqual(a.content());
});

test('a table that no replica could follow is refused when the file is opened', () => {
  using nodes = new Nodes();
  writeFileSync(`${nodes.folder}/a.db`, '');
  const before = (db: DatabaseSync) => db.exec('CREATE TABLE t (a)');
  expect(() => nodes.open(new MemoryLog(), 'a.db', { before })).toThrow(
    /table t is refused .* no PRIMARY KEY/,
  );
});
