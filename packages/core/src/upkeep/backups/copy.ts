import { chmodSync, closeSync, fdatasyncSync, openSync } from 'node:fs';
import type { Connection } from '../../threads/connection.js';
import { rest, throwIfAborted } from '../jobs/error.js';
import type { JobContext } from '../jobs/messages.js';

/** How much is copied between two looks at pace and signal, in bytes. */
const STEP = 1 << 20;
/** How often progress is told, in ms. */
const TELL = 50;

/**
 * Copies the database of a connection to a new file, by SQLite's backup API, from a read
 * transaction that is open for the whole copy: without it every write of another connection makes
 * the copy begin anew. https://sqlite.org/backup.html#file_and_database_connection_locking
 *
 * Returns how long the transaction was open, in ms.
 */
export async function copyDatabase(
  source: Connection,
  to: string,
  mode: number,
  pace: number | undefined,
  { control, note }: JobContext,
): Promise<number> {
  const started = performance.now();
  source.control('BEGIN');
  const [row] = source.pragma('page_size') as { page_size: number }[];
  // The transaction begins with the first read.
  source.db.prepare('SELECT count(*) FROM sqlite_schema').get([]);
  const bytesOfPage = row?.page_size ?? 4096;
  // A slow copy goes in steps of a quarter of a second.
  const pages = Math.max(1, Math.floor(Math.min(STEP, (pace ?? 1e6) * 250_000) / bytesOfPage));
  const fd = openSync(to, 'wx', mode);
  try {
    chmodSync(to, mode);
    let told = Number.NEGATIVE_INFINITY;
    await source.db.backup(to, {
      pages,
      progress: (progress) => {
        const now = performance.now();
        if (now - told >= TELL) {
          told = now;
          note({ type: 'progress', progress });
        }
        const copied = (progress.totalPages - progress.remainingPages) * bytesOfPage;
        restAfter(fd, now - started, copied, pace, control);
        return pages;
      },
    });
  } finally {
    closeSync(fd);
    source.control('ROLLBACK');
  }
  return performance.now() - started;
}

/**
 * What is written piles up in the system's cache, and a commit that must reach the disk waits for
 * all of it: so each step is flushed, and the disk is left alone for as long as that took.
 */
function restAfter(
  fd: number,
  elapsed: number,
  copied: number,
  pace: number | undefined,
  control: Int32Array,
): void {
  if (pace === Number.POSITIVE_INFINITY) return throwIfAborted(control);
  const before = performance.now();
  fdatasyncSync(fd);
  const took = performance.now() - before;
  rest(control, pace === undefined ? took : copied / (pace * 1000) - elapsed - took);
}
