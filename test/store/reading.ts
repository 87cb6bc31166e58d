import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Bucket } from '../../packages/store/src/bucket.ts';
import { FolderBucket } from '../../packages/store/src/folder-bucket.ts';
import { Log } from '../../packages/store/src/log.ts';
import { S3Bucket, type S3BucketOptions } from '../../packages/store/src/s3-bucket.ts';
import type { Logged } from './replay.ts';

/** What an S3Bucket is made of, as JSON: `pnpm test:s3` sets it, for this process and its members. */
export const ON_S3 = 'STORE_ON_S3';

/** The bucket itself, behind whatever the members have before it: a folder, or a prefix of the folder's name. */
export function bucketIn(folder: string): Bucket {
  const s3 = process.env[ON_S3];
  if (s3 === undefined) return new FolderBucket(join(folder, 'bucket'), { sync: false });
  return new S3Bucket({ ...(JSON.parse(s3) as S3BucketOptions), prefix: basename(folder) });
}

/** Every entry that was ever in the log, also those that were collected. */
export async function readLog(folder: string): Promise<Logged[]> {
  const bucket = bucketIn(folder);
  const archive = new FolderBucket(join(folder, 'archive'), { sync: false });
  const both: Bucket = {
    where: bucket.where,
    get: async (key) => (await archive.get(key)) ?? bucket.get(key),
    create: (key) => Promise.reject(new Error(`nobody creates ${key}`)),
    put: (key) => Promise.reject(new Error(`nobody puts ${key}`)),
    list: (prefix, after) => bucket.list(prefix, after),
    remove: (key) => Promise.reject(new Error(`nobody removes ${key}`)),
  };
  const log = new Log(both);
  const entries: Logged[] = [];
  for (;;) {
    const read = await log.readMany(entries.length + 1, 1000);
    entries.push(...read.entries);
    if (read.end === 'tombstone') {
      throw new Error(`entry ${entries.length + 1} was collected, and nobody has kept it`);
    }
    if (read.end === 'gap') break;
  }
  const head = await new Log(bucket).head();
  if (head === entries.length) return entries;
  throw new Error(`the log has ${head} entries, and a gap behind ${entries.length}`);
}

/** Lets requests arrive whose senders have died; how many did. */
export async function land(folder: string): Promise<number> {
  const wire = join(folder, 'wire');
  let names: string[];
  try {
    names = readdirSync(wire);
  } catch {
    return 0; // None was ever sent so.
  }
  for (const name of names) {
    const body = readFileSync(join(wire, name));
    rmSync(join(wire, name));
    const [key = ''] = name.split('~');
    await bucketIn(folder).create(key.replaceAll('+', '/'), body);
  }
  return names.length;
}
