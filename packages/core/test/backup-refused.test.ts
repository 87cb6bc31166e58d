import { linkSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PoolError } from '@poolite/core';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { smallBank } from './support/backups.ts';
import { failure, freshFolder, openPool, outcome } from './support/folder.ts';
import { refuseUnhandled } from './support/observer.ts';
import { sharedPool } from './support/shared-pool.ts';

refuseUnhandled();

const freshPool = sharedPool({ readers: 1 }, 'app.db');

async function withFolder() {
  const pool = await freshPool('CREATE TABLE t (id); INSERT INTO t VALUES (1)');
  return { pool, folder: dirname(pool.file) };
}

/** A path in the folder that all share: what is there is removed after the test. */
function passing(folder: string, name: string): string {
  const path = join(folder, name);
  onTestFinished(() => rmSync(path, { force: true }));
  return path;
}

const wrongTargets: Record<
  string,
  [target: (folder: string) => string, code: string, says: RegExp]
> = {
  'the database itself': [
    (folder) => join(folder, 'app.db'),
    'POOL_MISUSE',
    /is the database itself/,
  ],
  'its WAL': [(folder) => join(folder, 'app.db-wal'), 'POOL_MISUSE', /is the database itself/],
  'a link to it': [
    (folder) => {
      const link = passing(folder, 'link');
      symlinkSync(join(folder, 'app.db'), link);
      return link;
    },
    'POOL_MISUSE',
    /is the database itself/,
  ],
  'its second name': [
    (folder) => {
      const name = passing(folder, 'name');
      linkSync(join(folder, 'app.db'), name);
      return name;
    },
    'POOL_MISUSE',
    /is the database itself/,
  ],
  'a folder': [(folder) => folder, 'POOL_MISUSE', /is a folder: name a file in it/],
  'a missing folder': [
    (folder) => join(folder, 'no', 'b'),
    'POOL_BACKUP',
    /does not exist: create it/,
  ],
  'a file for a folder': [
    (folder) => join(folder, 'app.db', 'b'),
    'POOL_BACKUP',
    /app\.db is not a folder/,
  ],
  'a device': [() => '/dev/null', 'POOL_MISUSE', /is not a regular file/],
  'a link to nowhere': [
    (folder) => {
      const link = passing(folder, 'link');
      symlinkSync(join(folder, 'nowhere'), link);
      return link;
    },
    'POOL_MISUSE',
    /leads nowhere/,
  ],
  'another database in use': [
    (folder) => {
      const other = passing(folder, 'other.db');
      const db = new Database(other);
      db.pragma('journal_mode = WAL');
      db.exec('CREATE TABLE t (id)');
      onTestFinished(() => {
        db.close();
      });
      return other;
    },
    'POOL_MISUSE',
    /use restoreBackup/,
  ],
  'no name': [() => '', 'POOL_OPTIONS', /must be the path of a file/],
};

test.each(Object.entries(wrongTargets))(
  'to %s: refused, nothing left',
  async (_, [make, code, says]) => {
    const { pool, folder } = await withFolder();
    const target = make(folder);
    const before = readdirSync(folder).sort();
    const error = await failure(pool.backup(target));
    expect(PoolError.is(error)).toBe(true);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(says);
    expect(error.stack).toContain('backup-refused.test.ts');
    expect(readdirSync(folder).sort()).toEqual(before);
    expect(await pool.get('PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' });
  },
);

test.each([
  [{ pase: 1 }, "unknown option 'pase' of backup"],
  [{ pace: 0 }, "option 'pace' must be a number of MB/s above 0, not 0"],
  [{ verify: 'fast' }, "option 'verify' must be 'quick' or 'full', not \"fast\""],
  [{ compress: 'zip' }, "option 'compress' must be 'gzip' or 'zstd'"],
  [{ onProgress: 1 }, "option 'onProgress' must be a function"],
  [{ signal: {} }, "option 'signal' must be an AbortSignal"],
])('the options %j are refused', async (options, says) => {
  const { pool, folder } = await withFolder();
  const error = await failure(pool.backup(join(folder, 'b'), options as never));
  expect(error.code).toBe('POOL_OPTIONS');
  expect(error.message).toContain(says);
});

test('after close there are no backups', async () => {
  const { pool, folder } = await smallBank();
  await pool.close();
  expect(await outcome(pool.backup(join(folder, 'b')))).toBe('POOL_CLOSED');
  expect(() => pool.backups).toThrow(/closed/);
});

test('a file that cannot be opened has no backup, and the reason is its own', async () => {
  const pool = openPool('/nowhere/app.db');
  expect(await outcome(pool.backup(join(freshFolder(), 'b')))).toBe('SQLITE_CANTOPEN');
});
