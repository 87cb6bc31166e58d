import { randomUUID } from 'node:crypto';
import { PoolError } from '@poolite/core';
import { type Bucket, MOST_KEYS } from './bucket.js';

/** So often in a row it is no accident. */
const TRIES = 3;

/**
 * Makes sure that a bucket can keep a log: that of two conditional writes to one key the first one
 * is stored, and the second one refused. Some servers, and most of those that play S3 in tests,
 * ignore the condition: with them two machines would store the same entry, and both be told so.
 * Throws POOL_OPTIONS for such a bucket, and BucketError where it cannot be asked, or where a right
 * is missing. It leaves nothing in the bucket, unless a request fails.
 */
export async function probe(bucket: Bucket): Promise<void> {
  // A reply that is lost makes a client meet its own object: another key tells.
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    if (await probed(bucket, `probe/${randomUUID()}`)) return;
  }
  throw refusal(bucket, 'it says of a new key that it exists');
}

/** Whether all is well; false where the first write already met an object. */
async function probed(bucket: Bucket, key: string): Promise<boolean> {
  // Without the right to list, S3 says 403 of what is not there.
  if ((await bucket.get(key)) !== undefined) {
    throw refusal(bucket, 'it gives an object that nobody has stored');
  }
  if ((await bucket.create(key, new TextEncoder().encode('first'))) === 'exists') {
    await bucket.remove(key);
    return false;
  }
  const second = await bucket.create(key, new TextEncoder().encode('second'));
  const [body, keys] = await Promise.all([bucket.get(key), bucket.list('probe/')]);
  await bucket.remove(key);
  if (second === 'created') {
    throw refusal(
      bucket,
      "it ignores the condition of a conditional write (If-None-Match: '*'), and would lose commits; AWS S3, Cloudflare R2, MinIO and Ceph honour it",
    );
  }
  if (body === undefined || new TextDecoder().decode(body) !== 'first') {
    throw refusal(bucket, 'it does not keep what was stored first');
  }
  // Where many machines start at once, it may be on a later page.
  if (!keys.includes(key) && keys.length < MOST_KEYS) {
    throw refusal(bucket, 'its listing does not have what was just stored');
  }
  return true;
}

function refusal(bucket: Bucket, why: string): PoolError {
  return new PoolError('POOL_OPTIONS', `${bucket.where} cannot keep a log: ${why}`);
}
