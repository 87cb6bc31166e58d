import { join } from 'node:path';
import type { PoolStore } from '@poolite/core';
import { folderStore, s3Store } from '@poolite/store';

/** Where the truth is: in the bucket S3_BUCKET, on the server S3_ENDPOINT if not at AWS; else in a folder. */
export function openStore(folder: string, name: string): PoolStore {
  const { S3_BUCKET: bucket, S3_ENDPOINT: endpoint } = process.env;
  if (bucket === undefined) return folderStore(join(folder, 'log'));
  const server = endpoint === undefined ? {} : { endpoint, forcePathStyle: true };
  return s3Store({ bucket, prefix: name, client: { region: 'us-east-1', ...server } });
}
