import type { Connection } from './connection.js';
import type { CheckpointOutcome } from './protocol.js';

function pragma(
  connection: Connection,
  mode: string,
): Record<'busy' | 'log' | 'checkpointed', number> {
  const [row] = connection.pragma(`wal_checkpoint(${mode})`) as [Record<string, unknown>];
  const [busy, log, checkpointed] = [row.busy, row.log, row.checkpointed].map(Number);
  return { busy, log, checkpointed } as { busy: number; log: number; checkpointed: number };
}

/**
 * Checkpoints, where at least so many pages are in the WAL alone. A lock of another checkpoint is
 * no error: `busy` tells of it.
 */
export function runCheckpoint(
  connection: Connection,
  { mode, least, patience }: { mode: string; least: number; patience: number },
): CheckpointOutcome {
  const started = performance.now();
  const [size] = connection.pragma('page_size') as [{ page_size: number | bigint }];
  const pageSize = Number(size.page_size);
  // It looks and does nothing. https://sqlite.org/c3ref/c_checkpoint_full.html
  const before = pragma(connection, 'NOOP');
  const told = { pageSize, moved: 0 };
  if (before.log - before.checkpointed < least) {
    return { ...before, ...told, busy: 0, ms: performance.now() - started };
  }
  // FULL, RESTART and TRUNCATE wait for readers through SQLite's own busy handler only.
  if (patience > 0) connection.pragma(`busy_timeout = ${patience}`);
  try {
    const after = pragma(connection, mode);
    const left = after.busy === 0 && mode === 'TRUNCATE' ? 0 : before.log - after.checkpointed;
    const moved = Math.max(0, before.log - before.checkpointed - left);
    return { ...after, ...told, moved, ms: performance.now() - started };
  } finally {
    if (patience > 0) connection.pragma('busy_timeout = 0');
  }
}
