import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import type { CheckpointReport } from '../src/commands/checkpoint.ts';
import { json, poolite } from './support/cli.ts';
import { freshFolder, makeDatabase } from './support/files.ts';
import { PoolChild } from './support/pool-child.ts';

/** A database that this process has open, with some pages in its WAL. */
function withWal(): { file: string; db: Database.Database } {
  const file = makeDatabase(join(freshFolder(), 'app.db'));
  const db = new Database(file);
  onTestFinished(() => {
    db.close();
  });
  db.pragma('wal_autocheckpoint = 0');
  db.exec("UPDATE t SET name = name || 'y'");
  return { file, db };
}

test.each(['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'])('%s moves all that it can', async (mode) => {
  const { file, db } = withWal();
  const before = statSync(`${file}-wal`).size;
  const ended = await poolite(['checkpoint', file, '--mode', mode.toLowerCase(), '--json']);
  const report = json<CheckpointReport>(ended);
  expect([ended.code, report.mode, report.busy]).toEqual([0, mode, 0]);
  expect(report.walBefore).toBe(before);
  if (mode === 'TRUNCATE') {
    expect([report.log, report.checkpointed, report.walAfter]).toEqual([0, 0, 0]);
    expect(statSync(`${file}-wal`).size).toBe(0);
  } else {
    expect(report.log).toBeGreaterThan(10);
    expect(report.checkpointed).toBe(report.log);
    expect(report.walAfter).toBe(before);
  }
  // Nothing was left to move.
  expect(db.pragma('wal_checkpoint(PASSIVE)')).toEqual([
    { busy: 0, log: report.log, checkpointed: report.checkpointed },
  ]);
});

test('what a killed process left in the WAL is moved, and the WAL removed', async () => {
  const file = join(freshFolder(), 'app.db');
  const child = await PoolChild.start(file);
  await child.kill();
  expect(existsSync(`${file}-wal`)).toBe(true);
  const ended = await poolite(['checkpoint', file, '--json']);
  const report = json<CheckpointReport>(ended);
  expect([ended.code, report.checkpointed, report.walAfter]).toEqual([0, report.log, 0]);
  expect(report.walBefore).toBeGreaterThan(0);
  expect(existsSync(`${file}-wal`)).toBe(false);
});

test('a reader that is in the way makes it unfinished: exit code 4', async () => {
  const { file, db } = withWal();
  const reader = new Database(file);
  onTestFinished(() => {
    reader.close();
  });
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM t').get();
  db.exec("UPDATE t SET name = name || 'z'");
  const ended = await poolite(['checkpoint', file, '--json']);
  const report = json<CheckpointReport>(ended);
  expect(ended.code).toBe(4);
  expect(report.checkpointed).toBeLessThan(report.log);
  const text = await poolite(['checkpoint', file]);
  expect(text.code).toBe(4);
  expect(text.stdout).toMatch(/^not finished {2}[\s\S]*a reader or a writer was in the way/);
});

test('a database that is not in WAL mode has nothing to checkpoint, and is not changed', async () => {
  const file = join(freshFolder(), 'app.db');
  const db = new Database(file);
  db.exec('CREATE TABLE t (id)');
  db.close();
  const { code, stderr } = await poolite(['checkpoint', file]);
  expect(code).toBe(1);
  expect(stderr).toContain('is not in WAL mode, so there is nothing to checkpoint');
  const again = new Database(file, { readonly: true });
  expect(again.pragma('journal_mode', { simple: true })).toBe('delete');
  again.close();
});
