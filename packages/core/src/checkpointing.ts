import type { Database } from './database.js';
import { PoolError } from './errors.js';
import type { Holders } from './holders.js';
import { channels } from './observing/channels.js';
import type { Pin } from './observing/events.js';
import type { OneShot } from './one-shot.js';
import type { CheckpointMode, CheckpointResult } from './surface.js';
import { Checkpoints } from './upkeep/checkpoints/checkpoints.js';

const MODES: readonly string[] = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'];
/** Who has had the writer for so long, in ms, is in the way of a checkpoint that needs it. */
const LONG_TURN = 1000;

/** Whether the file has a WAL that this pool writes. */
function hasWal(database: Database): boolean {
  return !database.isMemory && !database.options.connection.readonly;
}

/** What keeps a database's WAL small; undefined where it has none, or others look after it. */
export function newCheckpoints(database: Database, holders: Holders): Checkpoints | undefined {
  const { options } = database;
  const { checkpoint: settings, connection, file } = options;
  const { readers, writer, events } = database;
  if (!hasWal(database) || settings === 'hands-off' || readers === undefined) return undefined;
  return new Checkpoints(settings, connection, {
    walBytes: () => database.wal.largest(),
    pins: () => pins(database, holders),
    hold: (level) => {
      if (database.inline !== undefined) database.inline.held = level === 'all';
      readers.holdReads(level);
    },
    release: () => {
      if (database.inline !== undefined) database.inline.held = false;
      readers.releaseReads();
    },
    onWriter: (...args) => holders.checkpoint(...args),
    brake: (ms) => {
      writer.brake.ms = ms;
    },
    lost: (cause) => database.tellLost('upkeep', cause),
    checkpointed: (checkpoint) => {
      const message = { file, ...checkpoint };
      events.emit('checkpoint', () => [message]);
      if (channels.checkpoint.hasSubscribers) channels.checkpoint.publish(message);
    },
    pinned: (pinned) => {
      const message = { file, ...pinned };
      events.emit('walPinned', () => [message]);
      if (channels.walPinned.hasSubscribers) channels.walPinned.publish(message);
    },
    failed: (error) => {
      const message = { task: 'checkpoint', error } as const;
      events.emit('upkeepError', () => [message]);
      if (channels.upkeepError.hasSubscribers) channels.upkeepError.publish({ file, ...message });
    },
  });
}

/** Who of this pool keeps the WAL from being emptied. */
function pins({ readers, writer, backups }: Database, holders: Holders): Pin[] {
  const now = performance.now();
  const all = [...holders.sessions.pins(), ...(backups?.pins() ?? [])];
  for (const { sql, since } of readers?.slowRuns() ?? []) {
    all.push({ kind: 'read', ageMs: now - since, openedAt: '', sql });
  }
  const { holder } = writer;
  if (holder !== undefined && now - holder.since > LONG_TURN) {
    const openedAt = holder.request.opener?.().stack ?? '';
    all.push({ kind: 'writer', ageMs: now - holder.since, openedAt });
  }
  return all;
}

/** A checkpoint by hand. */
export async function checkpointByHand(
  database: Database,
  holders: Holders,
  oneShot: OneShot,
  mode: CheckpointMode,
): Promise<CheckpointResult> {
  if (!MODES.includes(mode)) {
    throw new PoolError(
      'POOL_MISUSE',
      `checkpoint mode must be one of ${MODES.join(', ')}, not ${String(mode)}`,
    );
  }
  const sql = `PRAGMA wal_checkpoint(${mode})`;
  const { checkpoints } = database;
  // One that nobody waits for may run beside a transaction; the others wait for the writer.
  if (checkpoints === undefined || mode !== 'PASSIVE') oneShot.refuseSelfWait(sql);
  database.checkpointsAsked++;
  try {
    await oneShot.writesBefore();
    if (database.state === 'opening') await database.ready;
    if (database.refusal !== undefined) throw database.refusal;
    refuseWithoutWal(database);
    const { busyTimeout } = database.options.connection;
    const { busy, log, checkpointed } =
      checkpoints === undefined
        ? await holders.checkpoint(mode, 0)
        : await checkpoints.byHand(mode, busyTimeout);
    return { busy, log, checkpointed };
  } finally {
    database.checkpointsAsked--;
    database.ended();
  }
}

function refuseWithoutWal({ options }: Database): void {
  const { connection, checkpoint } = options;
  const why = connection.readonly
    ? 'the pool is readonly, so it cannot checkpoint: who writes the file does'
    : checkpoint === 'hands-off'
      ? "the option checkpoint is 'hands-off', so another tool checkpoints, and this would be behind its back"
      : undefined;
  if (why !== undefined) throw new PoolError('POOL_MISUSE', why);
}
