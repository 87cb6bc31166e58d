import { PoolError } from './errors.js';
import type { Holders } from './holders.js';
import type { Transaction, TransactionOptions } from './surface.js';
import { decode, Encoder } from './threads/codec.js';

const LONGEST_KEY = 200;
/** How long a request is remembered, in ms. */
const REMEMBERED = 7 * 24 * 60 * 60 * 1000;
/** Old ones are looked for with one request in so many. */
const PRUNED = 64;

const FIND = 'SELECT result FROM poolite_requests WHERE id = ?';
const ADD = 'INSERT INTO poolite_requests (id, at, result) VALUES (?, ?, ?)';
const PRUNE = 'DELETE FROM poolite_requests WHERE at < ?';

function checkKey(key: unknown): asserts key is string {
  if (typeof key === 'string' && key !== '' && key.length <= LONGEST_KEY) return;
  throw new PoolError(
    'POOL_OPTIONS',
    `option 'idempotencyKey' must be a string of 1 to ${LONGEST_KEY} characters`,
  );
}

/** Whether a value comes back as it was. */
function isStorable(value: unknown): boolean {
  if (typeof value !== 'object') return typeof value !== 'function' && typeof value !== 'symbol';
  if (value === null || value instanceof Uint8Array) return true;
  if (Array.isArray(value)) return value.every(isStorable);
  const prototype: unknown = Object.getPrototypeOf(value);
  const isPlain = prototype === null || prototype === Object.prototype;
  return isPlain && Object.values(value).every(isStorable);
}

function encoded(value: unknown): Uint8Array {
  if (!isStorable(value)) {
    throw new PoolError(
      'POOL_MISUSE',
      "with an 'idempotencyKey' a transaction may return what SQLite has (null, numbers, texts, blobs), booleans, " +
        'and arrays and plain objects of them, since it is stored',
    );
  }
  const encoder = new Encoder();
  encoder.write(value);
  return encoder.take();
}

/**
 * Runs `work` in a transaction that remembers its result under a key, or returns the result that it had. Which of the
 * two, the store decides: it commits one of two requests with the same key, and the other is run again.
 */
export function onceOnly<T>(
  holders: Holders,
  hasStore: boolean,
  options: TransactionOptions,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const { idempotencyKey: key, ...rest } = options;
  checkKey(key);
  if (!hasStore) {
    throw new PoolError('POOL_OPTIONS', "option 'idempotencyKey' is for a pool with a 'store'");
  }
  const once = async (tx: Transaction): Promise<T> => {
    const known = await tx.get<{ result: Uint8Array }>(FIND, [key]);
    if (known !== undefined) return decode(Buffer.from(known.result)) as T;
    const result = await work(tx);
    const now = Date.now();
    if (Math.random() * PRUNED < 1) await tx.run(PRUNE, [now - REMEMBERED]);
    await tx.run(ADD, [key, now, encoded(result)]);
    return result;
  };
  return holders.transaction(once, rest);
}
