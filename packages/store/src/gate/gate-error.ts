/** What the gate throws: the core makes a PoolError of it on the calling thread. */
export interface StoreError extends Error {
  code: string;
  /** Whether the same statements may run again at once, on the state of now. */
  again?: boolean;
}

/** An error of the pool's own kind. */
export function storeError(code: string, message: string, cause?: unknown): StoreError {
  const options = cause === undefined ? undefined : { cause };
  return Object.assign(new Error(message, options), { name: 'PoolError', code });
}

/** A statement that others could not follow; the message ends with what to do instead. */
export function misuse(message: string): StoreError {
  return storeError('POOL_MISUSE', message);
}
