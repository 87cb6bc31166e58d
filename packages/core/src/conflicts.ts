import { PoolError } from './errors.js';

/**
 * Runs `work` again where another machine committed first, so many times at most. There is no wait here: the store has
 * waited, and has brought the file up to date, when it says that there was a conflict.
 */
export async function againOnConflict<T>(retries: number, work: () => Promise<T>): Promise<T> {
  for (let left = retries; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (left <= 0 || !PoolError.is(error) || error.code !== 'POOL_CONFLICT') throw error;
    }
  }
}
