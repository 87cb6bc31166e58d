import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Bucket } from '../../packages/store/src/bucket.ts';
import { FolderBucket } from '../../packages/store/src/folder-bucket.ts';
import { Log } from '../../packages/store/src/log.ts';
import type { Logged } from './replay.ts';

/** The bucket itself, behind whatever the members have before it. */
export function bucketIn(folder: string): FolderBucket {
  return new FolderBucket(join(folder, 'bucket'), { sync: false });
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
