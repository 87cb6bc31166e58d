import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { entryPoint, extensionFile } from '@poolite/hooks';
import Database from 'better-sqlite3';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { fileName, PLATFORMS, platformHere } from '../src/platform.ts';

let file = '';
let reason = '';
try {
  file = extensionFile();
} catch (error) {
  reason = String(error);
  console.log(`The extension is not tried: ${reason}`);
}
const built = file === '' ? describe.skip : describe;

const folder = mkdtempSync(join(tmpdir(), 'poolite-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function open(name = ':memory:') {
  const db = new Database(name);
  onTestFinished(() => {
    db.close();
  });
  db.loadExtension(file);
  const value = (sql: string, ...params: unknown[]) =>
    db
      .prepare(sql)
      .pluck()
      .get(...params);
  const json = (sql: string, ...params: unknown[]) => JSON.parse(String(value(sql, ...params)));
  return { db, value, json };
}

test('is for this platform, or says that there is none', () => {
  if (file !== '') expect(file).toContain(fileName(platformHere()));
  else expect(reason).toContain('no extension for this machine');
  expect(PLATFORMS).toHaveLength(8);
});

built('the extension', () => {
  test('numbers connections, none like another', () => {
    const numbers = [open(), open(), open()].map(({ value }) =>
      value('SELECT poolite_connection()'),
    );
    expect(new Set(numbers).size).toBe(3);
  });

  test('may be loaded twice', () => {
    const { db, value } = open();
    const number = value('SELECT poolite_connection()');
    db.loadExtension(file);
    expect(value('SELECT poolite_connection()')).toBe(number);
  });

  test('interrupts what another thread runs, and its connection goes on', async () => {
    const { value } = open();
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      const db = new (require(workerData.library))(':memory:');
      db.loadExtension(workerData.file, workerData.entryPoint);
      parentPort.postMessage(db.prepare('SELECT poolite_connection()').pluck().get());
      let code = 'done';
      try {
        db.prepare('WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000000) SELECT count(*) FROM c').get();
      } catch (error) {
        code = error.code;
      }
      parentPort.postMessage(code);
      // Once nobody interrupts any more.
      parentPort.once('message', () => {
        parentPort.postMessage(db.prepare('SELECT 1').pluck().get());
        db.close();
      });`;
    const library = createRequire(import.meta.url).resolve('better-sqlite3');
    const worker = new Worker(source, { eval: true, workerData: { library, file, entryPoint } });
    const next = () =>
      new Promise<unknown>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    const number = await next();
    let code: unknown;
    const answered = next().then((message) => {
      code = message;
    });
    while (code === undefined) {
      value('SELECT poolite_interrupt(?)', number);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await answered;
    expect(code).toBe('SQLITE_INTERRUPT');
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    const again = next();
    worker.postMessage('go on');
    expect(await again).toBe(1);
    await exited;
    expect(value('SELECT poolite_interrupt(?)', number)).toBe(0);
  });

  test.each([
    ['SELECT poolite_interrupt(0)', 0],
    ['SELECT poolite_interrupt(NULL)', 0],
    ["SELECT poolite_interrupt('x')", 0],
    ['SELECT poolite_interrupt(9223372036854775807)', 0],
    ['SELECT poolite_changes()', null],
    ['SELECT poolite_tables(NULL)', null],
  ])('%s is %s', (sql, expected) => {
    expect(open().value(sql)).toBe(expected);
  });

  test.each(['poolite_connection()', 'poolite_interrupt(1)', 'poolite_changes()'])(
    'no view can call %s',
    (call) => {
      const { db, value } = open();
      db.exec(`CREATE VIEW v AS SELECT ${call}`);
      expect(() => value('SELECT * FROM v')).toThrow(/unsafe use/);
    },
  );
});

const schema = `
  CREATE TABLE p (id INTEGER PRIMARY KEY, x);
  CREATE TABLE c (id PRIMARY KEY, p REFERENCES p ON DELETE CASCADE) WITHOUT ROWID;
  CREATE TABLE log (x);
  CREATE TABLE u (x UNIQUE);
  CREATE TABLE strict (x UNIQUE ON CONFLICT REPLACE);
  CREATE TRIGGER t AFTER INSERT ON p BEGIN INSERT INTO log VALUES (new.x); END;
  CREATE VIEW v AS SELECT p.x FROM p JOIN c ON c.p = p.id;`;

built('poolite_tables', () => {
  const R = 1;
  const W = 2;
  test.each<[string, number, [string, number][]]>([
    ['SELECT 1', 0, []],
    ['SELECT * FROM p', 0, [['p', R]]],
    ['SELECT count(*) FROM c', 0, [['c', R]]],
    [
      'SELECT * FROM v',
      0,
      [
        ['c', R],
        ['p', R],
        ['v', R],
      ],
    ],
    ['INSERT INTO log VALUES (1)', 0, [['log', W]]],
    [
      'INSERT INTO p VALUES (1, 2)',
      0,
      [
        ['c', R],
        ['log', W],
        ['p', R | W],
      ],
    ],
    ['DELETE FROM log', 1, [['log', 6]]],
    ['INSERT OR REPLACE INTO u VALUES (1)', 2, [['u', W]]],
    ['UPDATE u SET x = 1', 0, [['u', W]]],
    ['UPDATE OR REPLACE u SET x = 1', 2, [['u', W]]],
    ['INSERT INTO strict VALUES (1)', 2, [['strict', W]]],
    ['REPLACE INTO log VALUES (1)', 0, [['log', W]]],
    ['DELETE FROM log WHERE x = ?', 0, [['log', 7]]],
    [
      'DELETE FROM p',
      0,
      [
        ['c', 7],
        ['p', 7],
      ],
    ],
    [
      'UPDATE log SET x = (SELECT max(x) FROM p)',
      0,
      [
        ['log', W],
        ['p', R],
      ],
    ],
  ])('of %s', (sql, empties, tables) => {
    const { db, json } = open();
    db.exec(schema);
    const [found, all] = json('SELECT poolite_tables(?)', sql);
    expect(found).toBe(empties);
    const named = (all as [string, string, number][]).map(([, name, flags]) => [name, flags]);
    expect(named.sort()).toEqual(tables);
  });

  test('throws what SQLite says of the statement', () => {
    expect(() => open().value('SELECT poolite_tables(?)', 'SELECT * FROM nowhere')).toThrow(
      'no such table: nowhere',
    );
  });
});

built('poolite_changes', () => {
  function feeding() {
    const opened = open(join(folder, `${Math.random()}.db`));
    opened.db.exec(schema);
    opened.value('SELECT poolite_feed(1, 3)');
    const committed = () => {
      const changes = opened.value('SELECT poolite_changes()');
      return changes === null ? null : JSON.parse(String(changes))[2];
    };
    return { ...opened, committed };
  }

  test('tells the tables and the rowids of each commit', () => {
    const { db, committed } = feeding();
    db.exec('INSERT INTO log VALUES (1), (2)');
    expect(committed()).toEqual([['main', 'log', 2, '1', '2']]);
    expect(committed()).toBe(null);
    db.exec('UPDATE log SET x = 3 WHERE rowid = 2; DELETE FROM log WHERE rowid = 1');
    expect(committed()).toEqual([['main', 'log', 2, '2', '1']]);
  });

  test('says so where a commit is like the one before', () => {
    const { value, db } = feeding();
    value('SELECT poolite_feed(1, 0)');
    const insert = db.prepare('INSERT INTO log VALUES (1)');
    const told = () => {
      insert.run();
      return value('SELECT poolite_changes()');
    };
    // The first is told with what was compiled.
    told();
    expect(told()).toBe('[2,0,[["main","log",2]],[]]');
    expect([told(), told()]).toEqual([1, 1]);
    db.exec('INSERT INTO u VALUES (1)');
    value('SELECT poolite_changes()');
    expect(told()).toBe('[2,0,[["main","log",2]],[]]');
    expect(told()).toBe(1);
  });

  test('tells no rowids where there are more than asked for', () => {
    const { db, committed } = feeding();
    db.exec('INSERT INTO log VALUES (1), (2), (3), (4)');
    expect(committed()).toEqual([['main', 'log', 10]]);
  });

  test('tells nothing of what is open or was rolled back', () => {
    const { db, committed } = feeding();
    db.exec('BEGIN; INSERT INTO log VALUES (1)');
    expect(committed() ?? []).toEqual([]);
    db.exec('ROLLBACK');
    expect(committed() ?? []).toEqual([]);
  });

  test('tells of a commit whose tables the hook is silent about', () => {
    const { db, value, committed } = feeding();
    db.exec("INSERT INTO c VALUES ('c', NULL)");
    committed();
    db.exec('BEGIN IMMEDIATE');
    expect(value('SELECT poolite_changes()')).toBe(null);
    db.exec('COMMIT');
    expect(committed()).toEqual([]);
    expect(value('SELECT poolite_changes()')).toBe(null);
  });

  test('tells what triggers and foreign keys did', () => {
    const { db, committed } = feeding();
    db.exec('INSERT INTO p VALUES (1, 1)');
    const names = committed().map(([, name]: [string, string]) => name);
    expect(names.sort()).toEqual(['log', 'p']);
  });
});
