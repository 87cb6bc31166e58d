import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { PoolError } from '../../errors.js';
import { isMemory } from '../../threads/connection.js';
import { objectOf } from '../destinations/s3-destination.js';
import { step } from '../jobs/error.js';
import type { BackupsOwner } from './backups.js';
import type { BackupOptions, BackupResult } from './options.js';
import { scratchIn } from './scratch.js';
import { send } from './sending.js';

/** Where the copy is made that is sent: beside the database, where that is possible. */
function folderFor(file: string): string {
  if (isMemory(file)) return tmpdir();
  const folder = dirname(file);
  try {
    accessSync(folder, constants.W_OK);
    return folder;
  } catch {
    // It is not made for writing: so the system's folder for temporary files it is.
    return tmpdir();
  }
}

/** Makes a backup in a folder of its own, and sends it to a bucket. */
export async function backupToBucket(
  url: string,
  options: BackupOptions & { signal: AbortSignal },
  owner: BackupsOwner,
  make: (file: string) => Promise<BackupResult>,
): Promise<BackupResult> {
  const { client, signal, replace = true, onSending: onProgress } = options;
  const started = performance.now();
  const { destination, name } = objectOf(url, client);
  if (!replace && (await destination.has(name, signal))) {
    throw new PoolError('POOL_BACKUP', `${url} is there already, and shall not be replaced`);
  }
  const folder = folderFor(owner.connection.file);
  const what = `the backup for ${url} cannot be made in ${folder}`;
  const scratch = await step(what, () => scratchIn(folder, name, owner.connection));
  try {
    const made = await make(scratch.file('backup'));
    const { path: file, bytes } = made;
    await send(destination, { file, name, bytes, signal, owner, onProgress });
    return { ...made, path: url, duration: performance.now() - started };
  } finally {
    scratch.remove();
  }
}
