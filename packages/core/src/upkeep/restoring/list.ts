import { resolve } from 'node:path';
import { type ListBackupsOptions, type ListedBackup, listed } from '../backups/backups.js';
import { checkCall, checkPath } from '../backups/options.js';
import { isRemote, newDestination } from '../destinations/option.js';
import type { S3ClientOptions } from '../destinations/s3-sdk.js';
import { connectionOf } from '../jobs/connection.js';
import { refuseAborted, withCaller } from '../jobs/error.js';
import { Job } from '../jobs/job.js';
import type { ListedFile, ListJob } from '../jobs/messages.js';
import { verifyOne } from './restore.js';

/** Options of `listBackups`. */
export interface ListStoredBackupsOptions extends ListBackupsOptions {
  /** As the pool option: a process uses one library for a file. Default: `'better-sqlite3'`. */
  driver?: string | undefined;
  /** What `new S3Client(…)` takes, for a bucket. Default: what the environment says. */
  client?: S3ClientOptions | undefined;
}

/**
 * The backups by schedule in a folder, the newest first: what `pool.backups.list` tells of its
 * folder, without a pool. None where the folder does not exist. Or those of a bucket, at
 * `s3://bucket/prefix`: to be verified, each is fetched.
 *
 * @throws PoolError POOL_BACKUP where the folder or bucket cannot be read; POOL_OPTIONS; POOL_ABORTED.
 *
 * @example
 * ```ts
 * import { createPool, listBackups } from '@poolite/core';
 *
 * const pool = createPool('app.db', { backups: { directory: 'backups' } });
 * await (await pool.backups.requestBackup()).done;
 * await pool.close();
 * const [newest] = await listBackups('backups', { verify: 'full' });
 * console.log(newest?.verdict); // ok
 * ```
 */
export async function listBackups(
  directory: string,
  options: ListStoredBackupsOptions = {},
): Promise<ListedBackup[]> {
  checkCall('listBackups', options);
  const { verify = false, signal, driver } = options;
  checkPath('the folder of backups', directory);
  refuseAborted(signal);
  return withCaller(listBackups, async () => {
    if (isRemote(directory)) return listBucket(directory, options);
    const folder = resolve(directory);
    const job: ListJob = { kind: 'list', directory: folder, verify };
    const connection = connectionOf(folder, undefined, driver);
    const files = await new Job<ListedFile[]>(job, connection, { signal }).result;
    return listed(files, [], Date.now());
  });
}

async function listBucket(
  url: string,
  { verify = false, signal, driver, client }: ListStoredBackupsOptions,
): Promise<ListedBackup[]> {
  const there = await newDestination({ url, ...(client && { client }) }).list();
  const all = listed([], there, Date.now());
  if (verify === false) return all;
  const checked: ListedBackup[] = [];
  for (const one of all) {
    checked.push({ ...one, ...(await verifyOne(one.path, verify, { signal, driver, client })) });
  }
  return checked;
}
