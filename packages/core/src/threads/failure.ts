import { PoolError, type PoolErrorCode } from '../errors.js';
import { sqliteLibrary } from './engine.js';
import type { Failure } from './protocol.js';

/** An error that a thread raised, as the class it was there. Made where it is thrown: see
 * `thrownLater`. */
export function errorOf(failure: Failure, driver: string): Error {
  const { code, message, index } = failure;
  const error = bare(failure, driver, message, code);
  if (index !== undefined) Object.assign(error, { index });
  return error;
}

function bare(failure: Failure, driver: string, message: string, code: string | undefined): Error {
  if (code?.startsWith('SQLITE_') === true) {
    const { SqliteError } = sqliteLibrary(driver);
    return new SqliteError(message, code);
  }
  if (code?.startsWith('POOL_') === true) return new PoolError(code as PoolErrorCode, message);
  const Class = { TypeError, RangeError }[failure.name] ?? Error;
  const error = new Class(message);
  return code === undefined ? error : Object.assign(error, { code });
}

/**
 * A promise that rejects with the error that `make` makes, made so late that the caller awaits
 * already: V8 then writes the caller's own lines into the stack (`at async …`), without a stack
 * having been taken for each statement that goes well. Two turns of the microtask queue are what
 * the chain of promises needs to be complete.
 */
export async function thrownLater(make: () => unknown): Promise<never> {
  await null;
  await null;
  throw make();
}

/** An error of the pool's own, with the stack of whoever awaits it: it was made for several. */
export function anew(error: Error): Error {
  if (!(error instanceof PoolError)) return error;
  const { code, message, retryable } = error;
  return new PoolError(
    code,
    message,
    'cause' in error ? { retryable, cause: error.cause } : { retryable },
  );
}

/** What the callers hear whose statements a thread took along when it died. */
export function lostError(cause: unknown, committing: boolean): PoolError {
  if (PoolError.is(cause)) {
    if (!committing) return anew(cause) as PoolError;
    const message = `${cause.message}, while the write was under way: it may or may not be stored`;
    return new PoolError('POOL_OUTCOME_UNKNOWN', message, { cause });
  }
  if (committing) {
    return new PoolError(
      'POOL_OUTCOME_UNKNOWN',
      'the writer thread died while it committed: the write may or may not be stored',
      { cause },
    );
  }
  return new PoolError(
    'POOL_THREAD_LOST',
    'the thread died before the statement was committed: nothing of it is stored',
    { cause },
  );
}
