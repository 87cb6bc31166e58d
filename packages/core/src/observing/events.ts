import { EventEmitter } from 'node:events';

/** Who keeps the WAL from being emptied. */
export interface Pin {
  /**
   * A snapshot, a lease with an open transaction or stream, a stream, a read that runs, whoever
   * holds the writer, a backup, another process; `'unknown'`: another process, or another connection of this
   * one, where the system does not tell which.
   */
  kind: 'snapshot' | 'lease' | 'stream' | 'read' | 'writer' | 'backup' | 'process' | 'unknown';
  /** How long it has been so, in ms; of another process: since the pool has seen it. */
  ageMs: number;
  /** The stack of whoever opened it; `''` where it is not known. */
  openedAt: string;
  /** The statement of a read. */
  sql?: string;
  /** The process, where it is another. */
  pid?: number;
}

/** A checkpoint was made. */
export interface CheckpointMessage {
  /** The path of the database file. */
  file: string;
  /** Its mode: https://sqlite.org/pragma.html#pragma_wal_checkpoint */
  mode: string;
  /** 1 where somebody kept it from finishing. */
  busy: number;
  /** Pages in the WAL. */
  log: number;
  /** Those of them that are in the database file. */
  checkpointed: number;
  /** Pages that it moved. */
  pages: number;
  /** How long it took, in ms. */
  ms: number;
  /** For how long, in ms, it was held what would have begun. */
  held: {
    /** Reads that may be slow. */
    slowReads: number;
    /** All reads. */
    reads: number;
    /** Writes. */
    writes: number;
  };
}

/** The WAL is larger than `walLimit`, or was not empty at closing, and why. */
export interface WalPinnedMessage {
  /** The path of the database file. */
  file: string;
  /** When: the WAL grew over `walLimit`, or the pool was being closed. */
  at: 'limit' | 'close';
  /** The size of the WAL, in bytes. */
  walBytes: number;
  /** Who keeps it. */
  pins: Pin[];
}

/** A backup was made. */
export interface BackupMessage {
  /** The path of the database file. */
  file: string;
  /** Whether it is one of the option `backups`, not of `pool.backup`. */
  scheduled: boolean;
  /** The path of the backup. */
  path: string;
  /** Its size, in bytes. */
  bytes: number;
  /** What its check said, as `pool.backup` returns it. */
  verdict: string;
  /** How long it took, in ms. */
  ms: number;
}

/** A backup is being sent to its destination. */
export interface BackupSendingMessage {
  /** The path of the database file. */
  file: string;
  /** The name of the backup. */
  name: string;
  /** Where it goes: a path, or a URL that `restoreBackup` takes. */
  location: string;
  /** The size of the backup, in bytes. */
  totalBytes: number;
  /** Bytes of it that were sent. */
  doneBytes: number;
}

/** A backup is at its destination, and has been compared there. */
export interface BackupSentMessage {
  /** The path of the database file. */
  file: string;
  /** The name of the backup. */
  name: string;
  /** Where it is: a path, or a URL that `restoreBackup` takes. */
  location: string;
  /** Its size, in bytes. */
  bytes: number;
  /** How long it took, in ms. */
  ms: number;
}

/** What Litestream, beside a pool with the option `replicate`, is doing. */
export type ReplicationState =
  /** Makes the missing file from its replica. */
  | 'restoring'
  /** Another process replicates the file; this one takes over when that ends. */
  | 'standby'
  | 'starting'
  | 'running'
  /** It ended by itself, and will be started again. */
  | 'waiting'
  /** The pool is being closed: the last writes are sent. */
  | 'stopping'
  | 'stopped';

/** Replication has changed its state, or has met an error. */
export interface ReplicationMessage {
  /** The path of the database file. */
  file: string;
  /** Where the replica is, without names and passwords. */
  url: string;
  /** What Litestream is doing now. */
  state: ReplicationState;
  /** What went wrong, where something did: replication goes on, or is tried again. */
  error: string | undefined;
}

/** What this process is among those that share a writer. */
export interface WriterMessage {
  /** It writes for all; another does; nobody does at this moment, as far as it knows. */
  role: 'writer' | 'client' | 'seeking';
  /** The process that writes. */
  pid: number | undefined;
}

/** What a commit changed. */
export interface ChangeMessage {
  /**
   * The names of the tables, those of an attached database behind its name and a dot. Empty where it is
   * not known which: any may have changed.
   */
  tables: string[];
  /**
   * The rowids that were inserted, updated or deleted, by table, where the option `changes.rowids` asks
   * for them. A table is missing where there are more, or its rows have none, or not all are known:
   * SQLite does not tell of those that REPLACE or a DELETE of a whole table removes, nor which script did.
   */
  rowids?: Record<string, (number | bigint)[]>;
}

/** What a pool tells through `pool.on`. */
export interface PoolEvents {
  /** The file is open, and all threads are up. */
  ready: [];
  /** Another process held the lock: so many times it was found taken. */
  busy: [
    {
      /** How often, since it was told last. */
      retries: number;
    },
  ];
  /** A transaction or lease lasted longer than its limit and was rolled back. */
  leak: [
    {
      /** What it is: `'transaction'`, `'snapshot'` or `'lease'`. */
      kind: string;
      /** How long it held its connection, in ms. */
      heldMs: number;
      /** The stack of whoever opened it. */
      openedAt: string;
    },
  ];
  /** A thread died, of this cause, and was replaced. */
  threadLost: [
    {
      /** What the thread was for. */
      role: 'reader' | 'writer' | 'upkeep';
      /** The error that ended it. */
      cause: unknown;
    },
  ];
  /** A checkpoint moved pages, or emptied the WAL. */
  checkpoint: [CheckpointMessage];
  /** The WAL is larger than `walLimit`, or was not empty at closing: who keeps it so. */
  walPinned: [WalPinnedMessage];
  /** Upkeep failed; it will be tried again. */
  upkeepError: [
    {
      /** What failed. */
      task: 'checkpoint' | 'backup';
      /** Why. */
      error: unknown;
    },
  ];
  /** A backup was made. */
  backup: [BackupMessage];
  /** How much of a backup was sent: at the beginning, about every 50 ms, when all has been. */
  backupSending: [BackupSendingMessage];
  /** A backup is at its destination. */
  backupSent: [BackupSentMessage];
  /** Replication has changed its state, or has met an error. */
  replication: [ReplicationMessage];
  /** Another process writes now, or this one does, or who will is not known yet: see `writer`. */
  writer: [WriterMessage];
  /**
   * A commit of this pool was made, or, with a shared writer, of any process that shares it: which
   * tables it changed, and more than those where a savepoint was rolled back. Other programs' commits
   * are noticed within `changes.interval`, without tables.
   */
  change: [ChangeMessage];
  /** The pool is closed. */
  close: [];
}

/** The events of one pool: nothing is made where nobody listens. */
export class Events {
  readonly #emitter = new EventEmitter<PoolEvents>();

  on<Name extends keyof PoolEvents>(name: Name, listener: (...args: PoolEvents[Name]) => void) {
    this.#emitter.on(name, listener as never);
  }

  off<Name extends keyof PoolEvents>(name: Name, listener: (...args: PoolEvents[Name]) => void) {
    this.#emitter.off(name, listener as never);
  }

  /** Whether somebody listens. */
  has(name: keyof PoolEvents): boolean {
    return this.#emitter.listenerCount(name) > 0;
  }

  emit<Name extends keyof PoolEvents>(name: Name, make: () => PoolEvents[Name]): void {
    if (!this.has(name)) return;
    const listeners = this.#emitter.listeners(name) as ((...args: PoolEvents[Name]) => void)[];
    const args = make();
    for (const listener of listeners) {
      try {
        listener(...args);
      } catch (error) {
        // It is the listener's fault and nobody's else: the pool is in the middle of its work.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}

/** Tells what happens to a database to all pools that share it. */
export class EventHub {
  readonly #pools = new Set<Events>();

  join(pool: Events): void {
    this.#pools.add(pool);
  }

  leave(pool: Events): void {
    this.#pools.delete(pool);
  }

  emit<Name extends keyof PoolEvents>(name: Name, make: () => PoolEvents[Name]): void {
    for (const pool of this.#pools) pool.emit(name, make);
  }
}
