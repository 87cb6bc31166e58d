import type { BeginBehavior } from './statements/classify.js';
import type { Params } from './statements/params.js';
import type { RunResult } from './threads/engine.js';
import type { StatementResult } from './threads/result.js';

/** A row as an object, where the caller does not say what it holds. */
export type AnyRow = Record<string, unknown>;

/** What every call may be given. */
export interface CallOptions {
  /**
   * Stops the call: it rejects with POOL_ABORTED, at once, or, where it is a write that runs, as soon
   * as nothing of it can be stored; with POOL_OUTCOME_UNKNOWN where that is not known in time.
   */
  signal?: AbortSignal | undefined;
  /**
   * How long the call may take, in ms, waits included; then it is stopped, and rejects with
   * POOL_TIMEOUT, or POOL_OUTCOME_UNKNOWN as above. Default: `statementTimeout`.
   */
  timeout?: number | undefined;
  /** Where the caller knows it better than the SQL text tells: a write goes to the writer. */
  access?: 'read' | 'write' | undefined;
  /**
   * Whether a read sees everything that other machines had committed before the call: the store is asked first,
   * which takes a trip to it. Only with the option `store`; without one every read does. Default: false.
   */
  linearizable?: boolean | undefined;
}

/** Options of a write that may be asked for twice. */
export interface OnceOptions {
  /**
   * A name of this one request, 1 to 200 characters. It is stored with what the write does, in the same
   * transaction: whoever asks again with it gets the result that it had, on any machine, and nothing is done. It is
   * remembered for seven days. Only with the option `store`.
   */
  idempotencyKey?: string | undefined;
}

/** Options of a write that stands alone. */
export interface WriteOptions extends CallOptions, OnceOptions {}

/** Options of `get`. */
export interface GetOptions extends CallOptions {
  /** The row as an object or as an array: `get<unknown[]>(…)` then says so. Default: `'object'`. */
  rows?: 'object' | 'array' | undefined;
}

/** Options of a stream. Its `timeout` is for each trip to the thread, not for the whole of it. */
export interface IterateOptions extends CallOptions {
  /** Rows fetched at a time, 1 to 65536. Default: 256. */
  chunkSize?: number | undefined;
  /** Rows as objects or as arrays. Default: `'object'`. */
  rows?: 'object' | 'array' | undefined;
}

/** Options of `pool.live`. Its `timeout` is for each time that the rows are read. */
export type LiveOptions = Pick<CallOptions, 'signal' | 'timeout'>;

/** Options of `pool.transaction`. */
export interface TransactionOptions {
  /** Gives up waiting for the writer, or rolls the transaction back. */
  signal?: AbortSignal | undefined;
  /** How long it may last, in ms, from when it has the writer; 0: for ever. Default: `transactionTimeout`. */
  timeout?: number | undefined;
  /** How long to wait for the writer, in ms; 0: for ever. Default: `acquireTimeout`. */
  acquireTimeout?: number | undefined;
  /**
   * How it begins. Default: `'immediate'`, which takes the lock at once: a deferred transaction
   * that reads first may find, at its first write, that another process wrote in between
   * (SQLITE_BUSY_SNAPSHOT). https://sqlite.org/lang_transaction.html
   */
  behavior?: BeginBehavior | undefined;
  /**
   * How often the callback is run again where another machine committed first; 0: never, its caller hears
   * POOL_CONFLICT. What it does beside the database it does each time. Only with the option `store`. Default: the
   * pool's `retries`.
   */
  retries?: number | undefined;
  /**
   * A name of this one request, 1 to 200 characters: whoever asks again with it gets what the callback has returned, on any
   * machine, and nothing is done. That is stored for seven days: null, numbers, texts, blobs, booleans, and arrays and
   * plain objects of them. Only with the option `store`.
   */
  idempotencyKey?: string | undefined;
  /** Whether it begins with everything that other machines had committed before the call. Default: false. */
  linearizable?: boolean | undefined;
}

/** Options of `pool.snapshot`. */
export type SnapshotOptions = Omit<TransactionOptions, 'behavior' | 'retries' | 'idempotencyKey'>;

/** Options of `pool.lease`. */
export interface LeaseOptions extends SnapshotOptions {
  /**
   * Calls `enter()` of the lease in the context of this very call, before the first `await`; it
   * counts once the lease is there. For callers whose callers would not see a context that is
   * entered later. Default: false.
   */
  enter?: boolean | undefined;
  /**
   * Hands out a lease of the writer at once, which has asked for the writer and may still wait for it:
   * a BEGIN is done at once then, and the first other statement waits, begins, and runs. So the
   * statement is ready when the writer is. Where the writer is not to be had, that statement fails,
   * and the next one asks again. Default: false.
   *
   * Where such a lease is held for too long, its first statement is told in place of the stack of whoever
   * opened it: to take a stack costs as much as to run a statement.
   */
  early?: boolean | undefined;
}

/** One statement of a batch. */
export interface BatchStatement {
  /** Its text: one statement. */
  sql: string;
  /** What is bound to its placeholders. Default: nothing. */
  params?: Params | undefined;
  /** Rows as objects or as arrays. Default: `'object'`. */
  rows?: 'object' | 'array' | undefined;
}

/** The ways to run statements that a pool, a transaction, a snapshot and a lease have in common. */
export interface Statements {
  /** All rows, as objects. */
  all<Row = AnyRow>(sql: string, params?: Params, options?: CallOptions): Promise<Row[]>;
  /** The first row, as an object; undefined where there is none. No other row is fetched. */
  get<Row = AnyRow>(sql: string, params?: Params, options?: GetOptions): Promise<Row | undefined>;
  /** All rows, as arrays. */
  values<Row extends unknown[] = unknown[]>(
    sql: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<Row[]>;
  /** Runs a statement for its effect. */
  run(sql: string, params?: Params, options?: CallOptions): Promise<RunResult>;
  /**
   * Runs a statement of which the caller does not know whether it returns rows: its rows, which
   * are none where it returns none, and its changes.
   */
  query<Row = AnyRow>(
    sql: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<StatementResult<Row>>;
  /** Runs a script of several statements, without parameters. */
  exec(script: string, options?: CallOptions): Promise<void>;
  /** The rows one by one, fetched in chunks as they are read. */
  iterate<Row = AnyRow>(
    sql: string,
    params?: Params,
    options?: IterateOptions,
  ): AsyncIterableIterator<Row>;
}

/** A transaction, or a snapshot: all its statements see one state. */
export interface Transaction extends Statements {
  /**
   * Runs `work` in a savepoint: where it throws, what it did is undone, and the transaction goes
   * on. https://sqlite.org/lang_savepoint.html
   */
  savepoint<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
}

/** One connection, until it is released: what adapters build sessions on. */
export interface Lease extends Statements, AsyncDisposable {
  /** Whether the connection is the writer's, or one that only reads. */
  readonly access: 'read' | 'write';
  /** Whether a transaction is open on the connection, as far as its last answer told. */
  readonly inTransaction: boolean;
  /**
   * Says that the asynchronous context of the caller runs inside this lease from here on: a write
   * through the pool then fails at once with POOL_DEADLOCK, not after a timeout.
   */
  enter(): void;
  /**
   * Gives the connection back; an open transaction is rolled back. A second call is POOL_MISUSE.
   */
  release(): Promise<void>;
}

/** What a checkpoint did: https://sqlite.org/pragma.html#pragma_wal_checkpoint */
export interface CheckpointResult {
  /** 1 where a reader or writer kept it from finishing, else 0. */
  busy: number;
  /** Pages in the WAL. */
  log: number;
  /** Pages of them that are in the database file now. */
  checkpointed: number;
}

/** How much a checkpoint waits for: https://sqlite.org/pragma.html#pragma_wal_checkpoint */
export type CheckpointMode = 'PASSIVE' | 'FULL' | 'RESTART' | 'TRUNCATE';

/** Options of `pool.close`. */
export interface CloseOptions {
  /**
   * How long work under way may take to end, in ms; then it is rolled back, and its callers get
   * POOL_CLOSED. Default: 10000.
   */
  timeout?: number | undefined;
  /** Interrupts it, and does not wait at all. Default: false. */
  force?: boolean | undefined;
}
