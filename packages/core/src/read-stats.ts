import type { Database } from './database.js';
import { noCheckpoints, type PoolStats, type WriterStats } from './observing/stats.js';
import type { OneShot } from './one-shot.js';
import type { Backups } from './upkeep/backups/backups.js';

export function readStats(database: Database, oneShot: OneShot): PoolStats {
  const { writer, readers, inline, counts, latency, isMemory } = database;
  const { sharedCommits, transactions } = writer.counts;
  const { groups, writes, largest } = writer.groups.counts;
  const { holder } = writer;
  return {
    state: database.state,
    readers: readers?.threads.length ?? 0,
    statements: database.catalogue.size,
    reads: {
      inline: inline?.runs ?? 0,
      threaded: readers?.counts.threaded ?? 0,
      stolen: readers?.counts.stolen ?? 0,
      rerouted: counts.rerouted,
      queued: readers?.queued ?? 0,
      running: readers?.running ?? 0,
      held: oneShot.held,
    },
    writes: {
      count: counts.writes,
      groups,
      largestGroup: largest,
      meanGroup: groups === 0 ? 0 : writes / groups,
      queued: writer.groups.queued,
    },
    transactions: {
      count: transactions,
      sharedCommits,
      waiting: writer.waiting,
      heldMs: holder === undefined ? 0 : performance.now() - holder.since,
    },
    latency: {
      inline: latency.inline.read(),
      read: latency.read.read(),
      write: latency.write.read(),
    },
    busyRetries: counts.busyRetries,
    threadsLost: counts.threadsLost,
    threadsRetired: counts.threadsRetired,
    hooks: { loaded: writer.thread.stops.canInterrupt, reason: writer.thread.stops.reason },
    walBytes: isMemory ? 0 : database.wal.bytes(),
    replication: database.replication?.stats(),
    replica: database.replica?.stats(),
    writer: writerStats(database),
    checkpoints: database.checkpoints?.stats() ?? noCheckpoints(),
    backups: (database.backups as Backups).read(),
  };
}

function writerStats({ membership }: Database): WriterStats {
  if (membership === undefined) {
    return { role: 'own', pid: process.pid, clients: 0, takeovers: 0 };
  }
  const { role, pid, guests, takeovers } = membership;
  return { role, pid, clients: guests, takeovers };
}
