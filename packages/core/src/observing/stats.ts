import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

import type { ReplicationState } from './events.js';

/** How replication by Litestream is getting on. */
export interface ReplicationStats {
  /** What Litestream is doing now. */
  state: ReplicationState;
  /** Where the replica is, without names and passwords. */
  url: string;
  /** Litestream's version. */
  version: string;
  /** Its process, while it runs. */
  pid: number | undefined;
  /**
   * How long the oldest write that the replica may lack has waited, in ms; 0 where it has all.
   * Undefined where this process does not know: while it stands by, and once it has stopped.
   */
  lagMs: number | undefined;
  /** How often Litestream ended by itself and was started again. */
  restarts: number;
  /** Errors that it told, its ends included. */
  errors: number;
  /** The size of the file that was restored at the start; undefined where none was. */
  restoredBytes: number | undefined;
  /** The last error; `''` where there was none. */
  lastError: string;
}

/** How long something took, in milliseconds. */
export interface LatencyStats {
  /** How many were measured. */
  count: number;
  /** The mean. */
  mean: number;
  /** The median: half of them took no longer. */
  p50: number;
  /** 99 of 100 took no longer. */
  p99: number;
  /** The longest. */
  max: number;
}

/** What was done to keep the WAL small. */
export interface CheckpointStats {
  /** Checkpoints that ran. */
  count: number;
  /** Pages that they moved to the database file. */
  pages: number;
  /** Of those checkpoints, how many emptied the WAL. */
  resets: number;
  /** How often it was reported who keeps the WAL from being emptied: the event `walPinned`. */
  pinned: number;
  /** Checkpoints that failed: the event `upkeepError`. */
  failed: number;
  /** How long each took, on its thread. */
  latency: LatencyStats;
  /** How long was held for them what would have begun. */
  holds: {
    /** Reads that may be slow, snapshots, streams. */
    slowReads: LatencyStats;
    /** All reads. */
    reads: LatencyStats;
    /** Writes. */
    writes: LatencyStats;
  };
}

/** Backups since the pool was opened: by hand, and by the option `backups`. */
export interface BackupStats {
  /** Threads that make one, or look whether one is due, or list them. */
  running: number;
  /** Backups that were made. */
  made: number;
  /** Backups that failed: the event `upkeepError`, or the error of `pool.backup`. */
  failed: number;
  /** Given up: by a signal, or since the pool was closed. */
  givenUp: number;
  /** Looks that found another process at it. */
  skipped: number;
  /** Old ones that were removed. */
  removed: number;
  /** Backups that were sent to the destination. */
  stored: number;
  /** Old ones that were removed there. */
  storedRemoved: number;
  /** How far the one is that is being sent; undefined while none is. */
  sending:
    | {
        /** Its size, in bytes. */
        totalBytes: number;
        /** Bytes of it that were sent. */
        doneBytes: number;
      }
    | undefined;
  /** When the last was made, in ms since 1970; 0: none was. */
  lastAt: number;
  /** How long the last took, in ms. */
  lastDuration: number;
  /** The size of the last, in bytes. */
  lastBytes: number;
  /** When it is looked next whether one is due, in ms since 1970; 0: never. */
  nextAt: number;
}

/** What this machine's replica has done since the pool was opened, where there is a store. */
export interface ReplicaStats {
  /** The last entry of the log that is in the file. */
  position: number;
  /** Entries of its own that were committed. */
  committed: number;
  /** Entries of others that were applied. */
  applied: number;
  /** Times that another was first. */
  conflicts: number;
  /** When the log's end was seen last, in ms since 1970; 0: never. */
  seenAt: number;
  /** What went wrong last, until it goes well again: the log could not be read, a snapshot not be made. */
  error: string | undefined;
}

/** Who writes, and what this process is in it. */
export interface WriterStats {
  /** `'own'`: this pool has a writer of its own. Otherwise as the event `writer` has it. */
  role: 'own' | 'writer' | 'client' | 'seeking';
  /** The process that writes; undefined while nobody knows. */
  pid: number | undefined;
  /** Other processes that have their writes done here. */
  clients: number;
  /** How often this process took the place of one that wrote before. */
  takeovers: number;
}

/** What a pool has done since it was opened, and what it is doing. */
export interface PoolStats {
  /** Whether the pool is open, opening, closing or closed. */
  state: 'opening' | 'open' | 'closing' | 'closed' | 'failed';
  /** Reader threads. */
  readers: number;
  /** Statements whose text is remembered. */
  statements: number;
  /** Reads that stand alone: those of transactions, snapshots and leases are not counted. */
  reads: {
    /** On the calling thread. */
    inline: number;
    /** Sent to reader threads. */
    threaded: number;
    /** Of those, taken by an idle thread from a busy one. */
    stolen: number;
    /** Sent on to the writer, since SQLite said that they write. */
    rerouted: number;
    /** Waiting for a thread. */
    queued: number;
    /** With a thread. */
    running: number;
    /** Waiting for writes that were issued before them. */
    held: number;
  };
  /** One-shot writes, and the groups that they were committed in. */
  writes: {
    /** One-shot writes that were committed or failed. */
    count: number;
    /** Commits that they took. */
    groups: number;
    /** Writes of the largest group. */
    largestGroup: number;
    /** Writes of the usual group: `count / groups`. */
    meanGroup: number;
    /** Waiting for a group. */
    queued: number;
  };
  /** Transactions, and who waits for the writer. */
  transactions: {
    /** Begun on the writer. */
    count: number;
    /** Of those, committed together with the one that followed. */
    sharedCommits: number;
    /** Waiting for the writer, leases and scripts included. */
    waiting: number;
    /** How long the writer has been held, in ms; 0 while nobody holds it. */
    heldMs: number;
  };
  /** From the call to the answer. Reads on the calling thread are sampled. */
  latency: {
    /** Reads on the calling thread. */
    inline: LatencyStats;
    /** Reads that were sent to a thread. */
    read: LatencyStats;
    /** One a group: its oldest write. */
    write: LatencyStats;
  };
  /** How often another process's lock was found taken. */
  busyRetries: number;
  /** Threads that died and were replaced. */
  threadsLost: number;
  /** Threads that went on with a statement that was given up, and were replaced. */
  threadsRetired: number;
  /** The extension of `@poolite/hooks`, which interrupts statements and tells changes. */
  hooks: {
    /** Whether the connections have it. */
    loaded: boolean;
    /** Why not; `''` where they have it. */
    reason: string;
  };
  /** The size of the WAL file, in bytes; 0 where there is none. */
  walBytes: number;
  /** Who writes. */
  writer: WriterStats;
  /** What keeps it small; all zero where nothing does. */
  checkpoints: CheckpointStats;
  /** What became of backups. */
  backups: BackupStats;
  /** Replication; undefined without the option `replicate`. */
  replication: ReplicationStats | undefined;
  /** Undefined without the option `store`. */
  replica: ReplicaStats | undefined;
}

const NONE: LatencyStats = { count: 0, mean: 0, p50: 0, p99: 0, max: 0 };

/** Of a pool that makes no checkpoints. */
export function noCheckpoints(): CheckpointStats {
  const none = () => ({ ...NONE });
  const counts = { count: 0, pages: 0, resets: 0, pinned: 0, failed: 0 };
  return {
    ...counts,
    latency: none(),
    holds: { slowReads: none(), reads: none(), writes: none() },
  };
}

/** Node's own histogram, in nanoseconds. */
export class Latency {
  readonly #histogram: RecordableHistogram = createHistogram();

  /** @param ms milliseconds */
  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * 1e6)));
  }

  read(): LatencyStats {
    const histogram = this.#histogram;
    const { count } = histogram;
    if (count === 0) return { ...NONE };
    return {
      count,
      mean: histogram.mean / 1e6,
      p50: histogram.percentile(50) / 1e6,
      p99: histogram.percentile(99) / 1e6,
      max: histogram.max / 1e6,
    };
  }
}
