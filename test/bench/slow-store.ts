import '../support/sources.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolStore } from '@poolite/core';
import { type Bucket, bucketStore, type StoreOptions } from '@poolite/store';

/** A bucket each of whose requests takes so many ms; it arrives in the middle of that. */
export function slowed(bucket: Bucket, ms: number): Bucket {
  if (ms === 0) return bucket;
  const travel = async <Result>(request: () => Promise<Result>): Promise<Result> => {
    await sleep(ms / 2);
    const result = await request();
    await sleep(ms / 2);
    return result;
  };
  return {
    where: bucket.where,
    get: (key) => travel(() => bucket.get(key)),
    create: (key, body) => travel(() => bucket.create(key, body)),
    put: (key, body) => travel(() => bucket.put(key, body)),
    list: (prefix, after) => travel(() => bucket.list(prefix, after)),
    remove: (key) => travel(() => bucket.remove(key)),
  };
}

/** A bucket in a folder, as far away as that. */
export async function slowBucket(folder: string, ms: number): Promise<Bucket> {
  const { FolderBucket } = await import('../../packages/store/src/folder-bucket.ts');
  // What a disk takes for a sync is not what is measured here.
  return slowed(new FolderBucket(folder, { sync: false }), ms);
}

/** A store there. */
export async function slowStore(
  folder: string,
  ms: number,
  options: StoreOptions = {},
): Promise<PoolStore> {
  return bucketStore(await slowBucket(folder, ms), { snapshotEvery: 0, ...options });
}
