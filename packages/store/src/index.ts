import type { PoolStore } from '@poolite/core';
import type { Bucket } from './bucket.js';
import { FolderBucket } from './folder-bucket.js';
import { S3Bucket, type S3BucketOptions } from './s3-bucket.js';
import { storeIn } from './store.js';
import { type StoreOptions, storeSettings } from './store-options.js';

export { type Bucket, BucketError } from './bucket.js';
export { FolderBucket, type FolderBucketOptions } from './folder-bucket.js';
export { S3Bucket, type S3BucketOptions } from './s3-bucket.js';
export type { S3ClientLike } from './s3-sdk.js';
export type { StoreOptions } from './store-options.js';

/** Options of `s3Store`. */
export interface S3StoreOptions extends S3BucketOptions, StoreOptions {}

/**
 * Keeps a database in a bucket of S3, or of a server that speaks like it: every commit is one object there, and each
 * machine has a replica of all of it. `@aws-sdk/client-s3` must be installed.
 *
 * @throws PoolError POOL_OPTIONS for an option that is unknown or wrong. What is wrong with the bucket, the pool's
 * `ready()` tells: POOL_OPTIONS where it ignores conditional writes, POOL_STORE where it cannot be used.
 */
export function s3Store(options: S3StoreOptions): PoolStore {
  const { bucket, prefix, client, timeout, ...rest } = options;
  const settings = storeSettings('s3Store', rest);
  const place: S3BucketOptions = { bucket };
  if (prefix !== undefined) place.prefix = prefix;
  if (client !== undefined) place.client = client;
  if (timeout !== undefined) place.timeout = timeout;
  return storeIn(new S3Bucket(place), settings);
}

/**
 * Keeps a database in a folder, as `s3Store` does in a bucket: for machines that share a disk, for trying, for tests.
 *
 * @throws PoolError POOL_OPTIONS
 *
 * @example
 * ```ts
 * import { createPool } from '@poolite/core';
 * import { folderStore } from '@poolite/store';
 *
 * const store = folderStore('shared-log');
 * await using one = createPool('one.db', { driver: 'node:sqlite', store });
 * await using two = createPool('two.db', { driver: 'node:sqlite', store });
 * await one.exec('CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)');
 * await two.refresh();
 * await two.run('INSERT INTO note (text) VALUES (?)', ['written by two']);
 * console.log(await one.all('SELECT text FROM note', [], { linearizable: true }));
 * ```
 */
export function folderStore(folder: string, options: StoreOptions = {}): PoolStore {
  return storeIn(new FolderBucket(folder), storeSettings('folderStore', options));
}

/**
 * Keeps a database in a bucket of one's own making.
 *
 * @throws PoolError POOL_OPTIONS
 */
export function bucketStore(bucket: Bucket, options: StoreOptions = {}): PoolStore {
  return storeIn(bucket, storeSettings('bucketStore', options));
}
