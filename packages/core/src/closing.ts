import type { Database } from './database.js';
import { PoolError } from './errors.js';
import type { Holders } from './holders.js';
import type { OneShot } from './one-shot.js';
import type { CloseOptions } from './surface.js';
import { errorOf } from './threads/failure.js';
import type { Reply } from './threads/line.js';

const DEFAULT_TIMEOUT = 10_000;

function closedError(): PoolError {
  return new PoolError('POOL_CLOSED', 'the pool is closed');
}

/** Whether nothing is under way any more. */
function isDrained(database: Database, holders: Holders, oneShot: OneShot): boolean {
  const { writer, readers } = database;
  if (writer.groups.pending > 0 || writer.waiting > 0 || writer.holder !== undefined) return false;
  if (database.backups?.asked !== 0) return false;
  if (database.checkpointsAsked > 0 || writer.thread.calls > 0) return false;
  if (holders.sessions.size > 0 || oneShot.held > 0) return false;
  return readers === undefined || readers.queued + readers.running === 0;
}

/**
 * Closes a database: what was asked for before is done, or, when that takes too long, rolled back;
 * then the readers close, and last the writer, which leaves an empty WAL behind.
 */
export async function closeDatabase(
  database: Database,
  holders: Holders,
  oneShot: OneShot,
  { timeout = DEFAULT_TIMEOUT, force = false }: CloseOptions,
): Promise<void> {
  if (database.state === 'failed' || database.state === 'closed') return database.released;
  if (force) database.replication?.dontPrepare();
  // A file that cannot be opened has nothing to close.
  const failed = await database.ready.then(
    () => false,
    () => true,
  );
  if (failed) return database.released;
  const { checkpoints, backups } = database;
  database.state = 'closing';
  checkpoints?.stop();
  database.replica?.stop(force);
  backups?.stop(closedError());
  // What other processes have under way here ends first: they are told to begin nothing new.
  const { membership } = database;
  const guests = membership?.guests ?? 0;
  const until = performance.now() + timeout;
  await membership?.handOver(force ? 0 : timeout);
  if (!force) await drained(database, holders, oneShot, Math.max(0, until - performance.now()));
  const error = closedError();
  database.refusal = error;
  await backups?.abandon(error);
  const { writer, readers } = database;
  const inTime = isDrained(database, holders, oneShot);
  if (!inTime) {
    database.replica?.stop(true);
    writer.thread.hurry();
    writer.thread.stops.interruptAll();
    readers?.stopAll();
    writer.thread.abandon(error);
    writer.rejectQueued(error);
    holders.revokeAll(error);
    database.onWritesSettled?.();
    writer.groups.rejectSent(
      new PoolError('POOL_OUTCOME_UNKNOWN', 'the pool was closed while the write was under way'),
    );
    readers?.rejectAll(error);
  }
  database.changes.close();
  writer.close();
  database.inline?.close();
  database.inline = undefined;
  if (inTime) {
    await Promise.all([readers?.close(), checkpoints?.close()]);
  } else {
    void readers?.terminate(error);
    void checkpoints?.terminate(error);
  }
  const last = await new Promise<Reply | undefined>((resolve) => {
    const task = writer.thread.expect({ reply: resolve, lost: () => resolve(undefined) });
    writer.thread.post([
      { type: 'close', task, checkpoint: checkpoints !== undefined && guests === 0 },
    ]);
  });
  writer.thread.stops.close();
  membership?.close();
  // Its last sync is of everything that was written; then the WAL stays as Litestream knows it.
  const unsent = await database.replication?.close().catch((error: Error) => error);
  database.anchor?.close();
  const failure = last?.type === 'done' ? last.failure : undefined;
  checkpoints?.closed(
    last?.type === 'checkpoint' ? last : undefined,
    failure && errorOf(failure, database.options.connection.driver),
  );
  await database.replica?.close();
  database.deadlines.close();
  database.state = 'closed';
  database.onClosed?.();
  if (unsent !== undefined) throw unsent;
}

function drained(
  database: Database,
  holders: Holders,
  oneShot: OneShot,
  timeout: number,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish(), timeout);
    const finish = () => {
      clearTimeout(timer);
      database.onEnded = undefined;
      resolve();
    };
    const look = () => {
      if (isDrained(database, holders, oneShot)) finish();
    };
    database.onEnded = look;
    look();
  });
}
