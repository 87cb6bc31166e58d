/**
 * How SQLite fails behind the last frame of a commit, which it has written to the WAL by then: when it
 * syncs the WAL, or makes room for the frames in the -shm file. No connection sees the commit, and the
 * next one is written over it. But where the -shm file is made anew before that, after a crash or by
 * whoever opens the database next, what stands in the WAL counts, and the commit with it.
 * https://sqlite.org/walformat.html#recovery
 */
const BEHIND_THE_FRAMES: ReadonlySet<unknown> = new Set([
  'SQLITE_IOERR_FSYNC',
  'SQLITE_IOERR_SHMSIZE',
  'SQLITE_IOERR_SHMMAP',
]);

/** What is to be said of a commit that failed: where it may be stored all the same, that. */
export function commitFailure(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: string };
  if (!BEHIND_THE_FRAMES.has(code)) return error;
  return Object.assign(
    new Error(
      `the disk failed when the write had been committed but for a last step: ${message} (${code}). It ` +
        'is not seen now, and is gone with the next write; after a crash before that it may be stored',
    ),
    { name: 'PoolError', code: 'POOL_OUTCOME_UNKNOWN' },
  );
}
