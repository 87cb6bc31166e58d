import { resolve } from 'node:path';
import {
  type BackupFile,
  type BackupVerify,
  checkCall,
  checkPath,
  type RestoreOptions,
  type RestoreResult,
  type VerifyBackupOptions,
} from '../backups/options.js';
import { isRemote } from '../destinations/option.js';
import { connectionOf } from '../jobs/connection.js';
import { refuseAborted, withCaller } from '../jobs/error.js';
import { Job } from '../jobs/job.js';
import { withFetched } from './fetch.js';

/**
 * Puts a backup in the place of a database file: verified first, then all at once. The backup may
 * be compressed, and may be in a bucket (`s3://bucket/key`); it stays where it is. The old file is kept until the new one is in place; its
 * -wal and -shm go with it. Where anything fails, the old database is as it was.
 *
 * @throws PoolError POOL_IN_USE while any process has the file open; POOL_BACKUP where the backup is
 * damaged or the file cannot be replaced; POOL_MISUSE where both are the same file; POOL_OPTIONS;
 * POOL_ABORTED.
 *
 * @example
 * ```ts
 * import { createPool, restoreBackup } from '@poolite/core';
 *
 * const pool = createPool('app.db');
 * await pool.exec('CREATE TABLE note (text TEXT)');
 * await pool.backup('app-backup.sqlite');
 * await pool.close();
 * const { verdict, replaced } = await restoreBackup('app-backup.sqlite', 'app.db');
 * console.log(verdict, replaced); // ok true
 * ```
 */
export async function restoreBackup(
  backup: string,
  file: string,
  options: RestoreOptions = {},
): Promise<RestoreResult> {
  checkCall('restoreBackup', options);
  const { verify = 'full', signal, setup, driver, client } = options;
  checkPath('the backup', backup);
  const to = resolve(checkPath('the database', file));
  refuseAborted(signal);
  return withCaller(restoreBackup, () => {
    const connection = connectionOf(to, setup, driver);
    const restore = (from: string) => {
      const job = { kind: 'restore', backup: from, file: to, verify } as const;
      return new Job<RestoreResult>(job, connection, { signal }).result;
    };
    if (isRemote(backup)) return withFetched(backup, client, to, connection, signal, restore);
    return restore(resolve(backup));
  });
}

/**
 * Checks a backup, compressed or not, and tells what it found: the verdict is `'damaged'` where it
 * is not sound.
 *
 * @throws PoolError POOL_BACKUP where there is no such file, or it cannot be read; POOL_OPTIONS;
 * POOL_ABORTED.
 */
export async function verifyBackup(
  backup: string,
  options: VerifyBackupOptions = {},
): Promise<BackupFile> {
  checkCall('verifyBackup', options);
  const { verify = 'full', signal } = options;
  checkPath('the backup', backup);
  refuseAborted(signal);
  return withCaller(verifyBackup, () => verifyOne(backup, verify, options));
}

/** Checks a backup that is here, or in a bucket. */
export async function verifyOne(
  backup: string,
  verify: BackupVerify,
  { signal, setup, driver, client }: VerifyBackupOptions,
): Promise<BackupFile> {
  const check = (path: string) => {
    const job = { kind: 'verify', path, verify } as const;
    return new Job<BackupFile>(job, connectionOf(path, setup, driver), { signal }).result;
  };
  if (!isRemote(backup)) return check(resolve(backup));
  const connection = connectionOf(backup, setup, driver);
  const found = await withFetched(backup, client, undefined, connection, signal, check);
  return { ...found, path: backup };
}
