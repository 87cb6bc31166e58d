import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { onTestFinished } from 'vitest';

/** A folder of the running test's own, removed when the test is over. */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'poolite-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Makes a database file with a table, an index and some rows in it, in WAL mode. */
export function makeDatabase(file: string, rows = 1000): string {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec(
    'CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL); CREATE INDEX by_name ON t (name)',
  );
  const insert = db.prepare('INSERT INTO t (name) VALUES (?)');
  db.transaction(() => {
    for (let i = 0; i < rows; i++) insert.run(`name ${i} ${'x'.repeat(100)}`);
  })();
  db.close();
  return file;
}

/** The same with its index at odds with its table: a page of it is overwritten. */
export function makeDamaged(file: string): string {
  makeDatabase(file);
  const db = new Database(file, { readonly: true });
  const [page] = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'by_name'").all() as [
    { rootpage: number },
  ];
  db.close();
  const handle = openSync(file, 'r+');
  writeSync(handle, Buffer.alloc(2048, 0xa5), 0, 2048, (page.rootpage - 1) * 4096 + 1024);
  closeSync(handle);
  rmSync(`${file}-wal`, { force: true });
  rmSync(`${file}-shm`, { force: true });
  return file;
}

/** One with rows whose foreign keys lead nowhere. */
export function makeOrphans(file: string, count: number): string {
  const db = new Database(file);
  db.pragma('foreign_keys = OFF');
  db.exec('CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INTEGER REFERENCES p)');
  const insert = db.prepare('INSERT INTO c VALUES (?)');
  for (let i = 0; i < count; i++) insert.run(i + 1);
  db.close();
  return file;
}
