/**
 * Where the log is kept: objects by key, of which each can be created once. A bucket of S3 is one,
 * a folder too. Keys are of letters, digits, `.`, `_` and `-`, with `/` between their parts.
 * Whatever cannot be done throws a {@link BucketError}; of any other error it is not known whether the request had an
 * effect.
 */
export interface Bucket {
  /** What messages call it: `s3://bucket/prefix/`, or the path of a folder. */
  readonly where: string;
  /** The bytes of an object; undefined where there is none. */
  get(key: string): Promise<Uint8Array | undefined>;
  /**
   * Stores an object where there is none yet, whole or not at all. Of all that try at once, one is
   * told `'created'`; `'exists'` says that somebody has stored one, who may be this very caller: a
   * request that was repeated on its way meets its own object.
   */
  create(key: string, body: Uint8Array): Promise<'created' | 'exists'>;
  /** Stores an object, also in the place of another; readers see the one or the other. */
  put(key: string, body: Uint8Array): Promise<void>;
  /** The keys that begin with `prefix` and come after `after`, in order, at most 1000. */
  list(prefix: string, after?: string): Promise<string[]>;
  /** Removes an object; no error where there is none. */
  remove(key: string): Promise<void>;
}

/** Keys that `list` gives at most. */
export const MOST_KEYS = 1000;
/** Nothing that the log is made of is larger: an object that is was stored by somebody else. */
export const MOST_BYTES = 64 * 1024 * 1024;

const KEY = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/** Refuses a key that could mean anything else than one object, such as a path with `..` in it. */
export function checkKey(where: string, key: string): void {
  if (KEY.test(key) && key.length <= 200) return;
  throw new BucketError(`${JSON.stringify(key)} is no key of ${where}`, { definite: true });
}

/** Marks a BucketError of any copy of this package: an application may have it as ESM and as CommonJS. */
const BRAND = Symbol.for('poolite.BucketError');

/** A bucket did not do what it was asked; `cause` is what the server, or the file system, said. */
export class BucketError extends Error {
  /**
   * Whether the request certainly had no effect: it was refused. Otherwise nobody knows: a request
   * that timed out may take effect even later.
   */
  readonly definite: boolean;

  constructor(message: string, options: { definite: boolean; cause?: unknown }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.definite = options.definite;
  }

  /** Whether `value` is a BucketError, also one made by another copy of this package. */
  static is(value: unknown): value is BucketError {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}

Object.defineProperty(BucketError.prototype, 'name', { value: 'BucketError', configurable: true });
Object.defineProperty(BucketError.prototype, BRAND, { value: true });
