import { type Bucket, BucketError } from '../../packages/store/src/bucket.ts';
import { Committer } from '../../packages/store/src/committer.ts';
import type { Entry } from '../../packages/store/src/entry.ts';
import type { StoreParts } from '../../packages/store/src/store.ts';

/** The protocol with one thing done wrong. */
export const BROKEN = [
  'no token compared',
  'unknown taken for lost',
  'COMMIT before PUT',
  'position outside of the transaction',
  'unconditional PUT',
] as const;

export type Broken = (typeof BROKEN)[number];

/** Whatever is in an entry's place is another's: also its own, when its request was sent twice. */
class NoTokens extends Committer {
  protected override async isOurs(entry: Entry): Promise<boolean | undefined> {
    return (await super.isOurs(entry)) === undefined ? undefined : false;
  }
}

/** A request that was not answered has had no effect. */
class NoDoubt extends Committer {
  protected override async create(entry: Entry): Promise<'created' | 'exists'> {
    try {
      return await super.create(entry);
    } catch (error) {
      if (!(error instanceof BucketError)) throw error;
      throw new BucketError(error.message, { definite: true, cause: error });
    }
  }
}

/** What a store is made of where it is made wrong on the calling thread. */
export function brokenParts(broken: Broken | undefined): StoreParts {
  if (broken === 'no token compared') return { Committer: NoTokens };
  if (broken === 'unknown taken for lost') return { Committer: NoDoubt };
  return {};
}

/** A bucket that does not know `If-None-Match`, though it said so when it was tried. */
export function brokenBucket(broken: Broken | undefined, bucket: Bucket): Bucket {
  if (broken !== 'unconditional PUT') return bucket;
  return {
    where: bucket.where,
    get: (key) => bucket.get(key),
    put: (key, body) => bucket.put(key, body),
    list: (prefix, after) => bucket.list(prefix, after),
    remove: (key) => bucket.remove(key),
    create: async (key, body) => {
      if (!key.startsWith('log/')) return bucket.create(key, body);
      await bucket.put(key, body);
      return 'created';
    },
  };
}
