import type { ConnectionOptions } from '../../threads/connection.js';

/** A connection without a pool: what its options would say. */
export function connectionOf(file: string, setup: string | undefined, driver: string | undefined) {
  return {
    file,
    readonly: false,
    driver: driver ?? 'better-sqlite3',
    integers: 'number',
    synchronous: 'full',
    busyTimeout: 0,
    retry: { attempts: 0, baseDelay: 1, maxDelay: 1, jitter: 0 },
    foreignKeys: false,
    cacheSize: undefined,
    mmapSize: 0,
    pragmas: [],
    setup,
  } satisfies ConnectionOptions;
}
