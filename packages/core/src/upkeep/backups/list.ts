import { resolve } from 'node:path';
import { connectionOf } from '../jobs/connection.js';
import { refuseAborted, withCaller } from '../jobs/error.js';
import { Job } from '../jobs/job.js';
import type { ListedFile, ListJob } from '../jobs/messages.js';
import { type ListBackupsOptions, type ListedBackup, listed } from './backups.js';
import { checkCall, checkPath } from './options.js';

/**
 * The backups by schedule in a folder, the newest first: what `pool.backups.list` tells of its
 * folder, without a pool. None where the folder does not exist.
 *
 * @throws PoolError POOL_BACKUP where the folder cannot be read; POOL_OPTIONS; POOL_ABORTED.
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
  options: ListBackupsOptions = {},
): Promise<ListedBackup[]> {
  checkCall('backups.list', options);
  const { verify = false, signal } = options;
  const folder = resolve(checkPath('the folder of backups', directory));
  refuseAborted(signal);
  return withCaller(listBackups, async () => {
    const job: ListJob = { kind: 'list', directory: folder, verify };
    const connection = connectionOf(folder, undefined, undefined);
    const files = await new Job<ListedFile[]>(job, connection, { signal }).result;
    return listed(files, [], Date.now());
  });
}
