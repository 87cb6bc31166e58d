import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import type { ConnectionOptions } from '../../threads/connection.js';
import { scratchIn } from '../backups/scratch.js';
import { objectOf } from '../destinations/s3-destination.js';
import type { S3ClientOptions } from '../destinations/s3-sdk.js';
import { step } from '../jobs/error.js';

/**
 * Brings a backup from a bucket to a file beside the database, for as long as `use` needs it; its
 * SHA-256 is compared with that of its making.
 */
export async function withFetched<T>(
  url: string,
  client: S3ClientOptions | undefined,
  beside: string | undefined,
  connection: ConnectionOptions,
  signal: AbortSignal | undefined,
  use: (file: string) => Promise<T>,
): Promise<T> {
  const { destination, name } = objectOf(url, client);
  const folder = beside === undefined ? tmpdir() : dirname(beside);
  const what = `${url} cannot be fetched to ${folder}`;
  const scratch = await step(what, () => scratchIn(folder, name, connection));
  try {
    const file = scratch.file('backup');
    await destination.get(name, file, { signal });
    return await use(file);
  } finally {
    scratch.remove();
  }
}
