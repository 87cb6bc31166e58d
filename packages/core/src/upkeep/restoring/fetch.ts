import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PoolError } from '../../errors.js';
import { S3Destination } from '../destinations/s3-destination.js';
import { parseS3Url, type S3ClientOptions } from '../destinations/s3-sdk.js';

/** Whether a backup is in a bucket. */
export function isRemote(backup: string): boolean {
  return backup.startsWith('s3://');
}

/**
 * Brings a backup from a bucket to a file beside the database, for as long as `use` needs it; its
 * SHA-256 is compared with that of its making.
 */
export async function withFetched<T>(
  url: string,
  client: S3ClientOptions | undefined,
  beside: string | undefined,
  signal: AbortSignal | undefined,
  use: (file: string) => Promise<T>,
): Promise<T> {
  const { bucket, key } = parseS3Url(url);
  const at = key.lastIndexOf('/') + 1;
  if (at === key.length) {
    throw new PoolError('POOL_OPTIONS', `${url} names no backup: s3://bucket/key`);
  }
  const source = new S3Destination(`s3://${bucket}/${key.slice(0, at)}`, client);
  const parent = beside === undefined ? tmpdir() : dirname(beside);
  const folder = await mkdtemp(join(parent, '.poolite-fetch-'));
  try {
    const file = join(folder, 'backup');
    await source.get(key.slice(at), file, { signal });
    return await use(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
