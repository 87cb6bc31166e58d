import type { ReplicaStats } from './observing/stats.js';
import type { BackupOptions, BackupResult } from './upkeep/backups/options.js';

/**
 * What the option `store` takes: where the truth of a database is kept of which each machine has a replica.
 * `@poolite/store` makes one.
 */
export interface PoolStore {
  /** Tells it from other objects. */
  readonly poolite: 'store';
  /** Where it is, as messages show it; two pools on one file share it where theirs are the same. */
  readonly where: string;
  /** The replica of one open file. */
  replica(host: ReplicaHost): Replica;
}

/** What a replica needs of the pool whose file it is. */
export interface ReplicaHost {
  /** The absolute path of the file. */
  readonly file: string;
  /** How often a write may be beaten by others and run again: the option `retries`. */
  readonly retries: number;
  /** How often others' writes are looked for, in ms; 0: never by itself. */
  readonly interval: number;
  /** Gives the gate a message, in a turn of the writer of its own; resolves once it has been handled. */
  turn(message: unknown): Promise<void>;
  /** A checked copy of the file as it is now, made off the calling thread. */
  backup(target: string, options?: BackupOptions): Promise<BackupResult>;
}

/** One file's part of a store. */
export interface Replica {
  /** What decides on the writer thread. */
  readonly gate: {
    /** The URL of its module, which exports an `OpenGate` by default. */
    readonly module: string;
    /** What that is given; it is copied as structured clone does. */
    readonly data: unknown;
  };
  /** Makes the file ready to be opened. */
  prepare(): Promise<void>;
  /** Answers the gate's questions; the writer waits meanwhile. */
  answer(question: unknown): Promise<unknown>;
  /** The pool is open. */
  start(): void;
  /** Resolves once everything that others had committed before the call is in the file. */
  refresh(): Promise<void>;
  /** What it has done, for `pool.stats()`. */
  stats(): ReplicaStats;
  /** Nothing more is begun. With `hurry`, questions are answered at once: their outcome may be unknown. */
  stop(hurry: boolean): void;
  /** The file is closed. */
  close(): Promise<void>;
}
