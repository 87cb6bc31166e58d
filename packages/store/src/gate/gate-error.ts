import type { GateError } from '@poolite/core';

/** What the gate throws: the core makes a PoolError of it on the calling thread. */
export function storeError(code: string, message: string, cause?: unknown): GateError {
  const options = cause === undefined ? undefined : { cause };
  return Object.assign(new Error(message, options), { name: 'PoolError', code });
}

/** A statement that others could not follow; the message ends with what to do instead. */
export function misuse(message: string): GateError {
  return storeError('POOL_MISUSE', message);
}
