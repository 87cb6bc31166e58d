import type { Connection } from './connection.js';
import type { CheckpointOutcome } from './protocol.js';

interface Request {
  mode: string;
  least: number;
  patience: number;
}

/** What the WAL adds to each page. https://sqlite.org/walformat.html#wal_file_format */
const FRAME_HEADER = 24;

function pragma(
  connection: Connection,
  schema: string,
  mode: string,
): Record<'busy' | 'log' | 'checkpointed', number> {
  const sql = `${schema}.wal_checkpoint(${mode})`;
  const [row] = connection.pragma(sql) as [Record<string, unknown>];
  const [busy, log, checkpointed] = [row.busy, row.log, row.checkpointed].map(Number);
  return { busy, log, checkpointed } as { busy: number; log: number; checkpointed: number };
}

function checkpointOne(connection: Connection, schema: string, { mode, least }: Request) {
  const [size] = connection.pragma(`${schema}.page_size`) as [{ page_size: number | bigint }];
  const pageSize = Number(size.page_size);
  // It looks and does nothing. https://sqlite.org/c3ref/c_checkpoint_full.html
  const before = pragma(connection, schema, 'NOOP');
  if (before.log - before.checkpointed < least) return { ...before, pageSize, moved: 0, busy: 0 };
  const after = pragma(connection, schema, mode);
  const left = after.busy === 0 && mode === 'TRUNCATE' ? 0 : before.log - after.checkpointed;
  const moved = Math.max(0, before.log - before.checkpointed - left);
  return { ...after, pageSize, moved };
}

/**
 * Checkpoints the database, and those that are attached to it, each where at least so many pages
 * are in its WAL alone. A lock of another checkpoint is no error: `busy` tells of it.
 */
export function runCheckpoint(connection: Connection, request: Request): CheckpointOutcome {
  const { mode, patience } = request;
  const started = performance.now();
  // FULL, RESTART and TRUNCATE wait for readers through SQLite's own busy handler only.
  if (patience > 0) connection.pragma(`busy_timeout = ${patience}`);
  try {
    let [busy, moved, besideBytes, besideLeft] = [0, 0, 0, 0];
    for (const { schema } of connection.attached()) {
      // RESTART leaves a WAL that looks full until the next write: fine where one is kept in mind.
      const beside = { ...request, mode: mode === 'RESTART' ? 'TRUNCATE' : mode };
      const found = checkpointOne(connection, schema, beside);
      busy = Math.max(busy, found.busy);
      moved += found.moved;
      besideLeft += Math.max(0, found.log - found.checkpointed);
      besideBytes = Math.max(besideBytes, found.log * (found.pageSize + FRAME_HEADER));
    }
    const main = checkpointOne(connection, 'main', request);
    return {
      ...main,
      busy: Math.max(busy, main.busy),
      moved: moved + main.moved,
      besideBytes,
      besideLeft,
      ms: performance.now() - started,
    };
  } finally {
    if (patience > 0) connection.pragma('busy_timeout = 0');
  }
}
