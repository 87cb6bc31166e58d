import { listenForChanges } from './change-events.js';
import { checkpointByHand } from './checkpointing.js';
import { closeDatabase } from './closing.js';
import type { Database } from './database.js';
import { PoolError } from './errors.js';
import { firstRow } from './first-row.js';
import type { Holders } from './holders.js';
import { LiveQuery } from './live.js';
import { Events, type PoolEvents } from './observing/events.js';
import type { PoolStats } from './observing/stats.js';
import type { OneShot } from './one-shot.js';
import { poolStream } from './pool-stream.js';
import { readStats } from './read-stats.js';
import type { Share } from './registry.js';
import { onceOnly } from './requests.js';
import type { Params } from './statements/params.js';
import type {
  AnyRow,
  BatchStatement,
  CallOptions,
  CheckpointMode,
  CheckpointResult,
  CloseOptions,
  GetOptions,
  IterateOptions,
  Lease,
  LeaseOptions,
  LiveOptions,
  SnapshotOptions,
  Statements,
  Transaction,
  TransactionOptions,
  WriteOptions,
} from './surface.js';
import type { RunResult } from './threads/engine.js';
import { Method } from './threads/protocol.js';
import type { StatementResult } from './threads/result.js';
import type { Backups, PoolBackups } from './upkeep/backups/backups.js';
import type { BackupOptions, BackupResult } from './upkeep/backups/options.js';
import type { Listening } from './writing/changes.js';
import type { WriterHolder } from './writing/holder.js';

/**
 * A pool of connections to one SQLite database file: writes go to one writer thread, which commits
 * them in groups; reads to reader threads, or, once they have proved quick, to a connection on the
 * calling thread.
 */
export class Pool implements Statements, AsyncDisposable {
  readonly #share: Share;
  readonly #database: Database;
  readonly #oneShot: OneShot;
  readonly #holders: Holders;
  readonly #events = new Events();
  /** Live queries that are not over. */
  readonly #live = new Set<{ end(): void }>();
  /** Where somebody listens to the event `change`. */
  #listening: Listening | undefined;
  #closed: Promise<void> | undefined;

  /** Use `createPool`. */
  constructor(share: Share) {
    this.#share = share;
    this.#database = share.database;
    this.#oneShot = share.oneShot;
    this.#holders = share.holders;
    if (this.#database.state === 'open') {
      // Another pool opened it: listeners come after the constructor all the same.
      process.nextTick(() => this.#events.emit('ready', () => []));
    }
    this.#database.events.join(this.#events);
  }

  /** The path that the pool was opened with. */
  get file(): string {
    return this.#database.options.file;
  }

  /**
   * Resolves once the threads are up and the file is open in WAL mode; rejects with the reason
   * where it cannot be opened. Statements need not wait for it: they do so by themselves.
   */
  ready(): Promise<void> {
    return this.#database.ready;
  }

  /** {@inheritDoc Statements.all} */
  all<Row = AnyRow>(sql: string, params?: Params, options?: CallOptions): Promise<Row[]> {
    return this.#rows(Method.all, sql, params, options) as Promise<Row[]>;
  }

  /** {@inheritDoc Statements.get} */
  get<Row = AnyRow>(sql: string, params?: Params, options?: GetOptions): Promise<Row | undefined> {
    if (options === undefined) {
      return this.#rows(Method.get, sql, params, undefined) as Promise<Row | undefined>;
    }
    return firstRow(options, (method, limits) =>
      this.#rows(method, sql, params, limits),
    ) as Promise<Row | undefined>;
  }

  /** {@inheritDoc Statements.values} */
  values<Row extends unknown[] = unknown[]>(
    sql: string,
    params?: Params,
    options?: CallOptions,
  ): Promise<Row[]> {
    return this.#rows(Method.values, sql, params, options) as Promise<Row[]>;
  }

  /** Runs a statement for its effect, on the writer; resolves once its commit, which others may share, is done. */
  run(sql: string, params?: Params, options?: WriteOptions): Promise<RunResult> {
    if (this.#closed !== undefined) return this.#refuse();
    if (options?.idempotencyKey !== undefined)
      return this.#once(options, (tx) => tx.run(sql, params));
    return this.#oneShot.run(Method.run, sql, params, options) as Promise<RunResult>;
  }

  /** {@inheritDoc Statements.query} */
  query<Row = AnyRow>(
    sql: string,
    params?: Params,
    options?: WriteOptions,
  ): Promise<StatementResult<Row>> {
    if (options?.idempotencyKey !== undefined) {
      return this.#once(options, (tx) => tx.query<Row>(sql, params));
    }
    return this.#rows(Method.query, sql, params, options) as Promise<StatementResult<Row>>;
  }

  /**
   * Runs one statement over many sets of parameters, in one transaction and in bounded memory: the
   * sets may come from a generator. Rejects, with nothing stored, where one of them fails; `index`
   * of the error tells which.
   */
  async runMany(
    sql: string,
    paramSets: Iterable<Params> | AsyncIterable<Params>,
    options?: CallOptions,
  ): Promise<Pick<RunResult, 'changes'>> {
    if (this.#closed !== undefined) return this.#refuse();
    return this.#holders.runMany(sql, paramSets, options);
  }

  /**
   * Runs a script of several statements, without parameters, on the writer, while nothing else
   * writes. What it leaves open, it must not: a transaction is rolled back and reported.
   */
  async exec(script: string, options?: CallOptions): Promise<void> {
    if (this.#closed !== undefined) return this.#refuse();
    this.#database.checkScript(script);
    const run = (holder: WriterHolder) => holder.exec(script, true);
    await this.#holders.alone('script', script, run, options, true);
  }

  /**
   * The rows of a statement one by one, fetched in chunks as they are read, on a reader's
   * connection of their own: the stream sees one state, however long it is read. A statement that
   * writes runs to its end first.
   */
  iterate<Row = AnyRow>(
    sql: string,
    params?: Params,
    options: IterateOptions = {},
  ): AsyncIterableIterator<Row> {
    if (this.#closed !== undefined) throw this.#closedError();
    return poolStream<Row>(this.#database, this.#oneShot, this.#holders, sql, params, options);
  }

  /**
   * The rows of a query, now, and again after each commit that changed a table it reads: of this pool,
   * of the processes that share its writer, and of other programs. Commits that come while the rows are
   * read, or while the loop's body runs, lead to one more look, not to one each; the last state is
   * always seen. The loop ends when the pool is closed; `return()` or `break` ends it too.
   *
   * Without the extension of `@poolite/hooks` it looks again after every commit.
   *
   * @throws PoolError POOL_MISUSE for a statement that writes; POOL_ABORTED by its signal; POOL_TIMEOUT;
   * and whatever the query fails with.
   *
   * @example
   * ```ts
   * import { createPool } from '@poolite/core';
   *
   * await using pool = createPool(':memory:');
   * await pool.exec('CREATE TABLE todo (id INTEGER PRIMARY KEY, text TEXT)');
   * for await (const rows of pool.live('SELECT text FROM todo')) {
   *   console.log(rows.length); // 0
   *   if (rows.length === 1) break;
   *   await pool.run('INSERT INTO todo (text) VALUES (?)', ['listen']);
   * }
   * ```
   */
  live<Row = AnyRow>(
    sql: string,
    params?: Params,
    options: LiveOptions = {},
  ): AsyncIterableIterator<Row[], undefined> & AsyncDisposable {
    if (this.#closed !== undefined) throw this.#closedError();
    const query = new LiveQuery<Row>(this.#database, this.#oneShot, sql, params, options, (over) =>
      this.#live.delete(over),
    );
    this.#live.add(query);
    return query;
  }

  /**
   * Runs statements in one transaction and one trip: all of them take effect, or none. Rejects
   * with the error of the first that fails; its `index` tells which.
   */
  batch(statements: readonly BatchStatement[], options?: CallOptions): Promise<StatementResult[]> {
    if (this.#closed !== undefined) return this.#refuse();
    return this.#oneShot.batch(statements, options) as Promise<StatementResult[]>;
  }

  /**
   * Runs `work` in a transaction on the writer: committed when it returns, rolled back when it
   * throws. One at a time has the writer, first come first served.
   *
   * @example
   * ```ts
   * import { createPool } from '@poolite/core';
   *
   * await using pool = createPool(':memory:');
   * await pool.exec('CREATE TABLE account (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL)');
   * await pool.transaction(async (tx) => {
   *   await tx.run('INSERT INTO account (cents) VALUES (?)', [100]);
   *   await tx.run('UPDATE account SET cents = cents - ? WHERE id = ?', [25, 1]);
   * });
   * ```
   */
  async transaction<T>(
    work: (tx: Transaction) => Promise<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    if (this.#closed !== undefined) return this.#refuse();
    if (options?.linearizable === true) await this.refresh();
    if (options?.idempotencyKey !== undefined) return this.#once(options, work);
    return this.#holders.transaction(work, options);
  }

  /** Runs `work` on a reader, where all its statements see one state; it cannot write. */
  async snapshot<T>(work: (tx: Transaction) => Promise<T>, options?: SnapshotOptions): Promise<T> {
    if (this.#closed !== undefined) return this.#refuse();
    if (options?.linearizable === true) await this.refresh();
    return this.#holders.snapshot(work, options);
  }

  /** One connection until it is released. Meant for adapters; applications want `transaction`. */
  async lease(access: 'read' | 'write', options?: LeaseOptions): Promise<Lease> {
    if (this.#closed !== undefined) return this.#refuse();
    if (options?.linearizable === true) await this.refresh();
    return this.#holders.lease(access, options);
  }

  /**
   * Resolves once everything that other machines had committed before the call can be read here. Without the option
   * `store` there are no others: it resolves once the pool is open.
   *
   * @throws PoolError POOL_STORE where the store cannot be read.
   */
  async refresh(): Promise<void> {
    if (this.#closed !== undefined) return this.#refuse();
    await this.#database.ready;
    await this.#database.replica?.refresh();
  }

  /**
   * Moves pages from the WAL to the database file; the pool does so by itself as the WAL grows.
   * `'PASSIVE'` holds up nobody. The other modes wait for reads under way, at most `busyTimeout`
   * ms; meanwhile new reads that may be slow wait, and all reads and writes for the last moment.
   * What came of it is in the result: `busy` is 1 where somebody was in the way.
   * https://sqlite.org/wal.html#ckpt
   *
   * @throws PoolError POOL_MISUSE for another mode, a `readonly` pool, and `'hands-off'`.
   */
  async checkpoint(mode: CheckpointMode = 'PASSIVE'): Promise<CheckpointResult> {
    if (this.#closed !== undefined) return this.#refuse();
    return checkpointByHand(this.#database, this.#holders, this.#oneShot, mode);
  }

  /**
   * Copies the database to a file, while it is read and written: the state of one moment, with every
   * write that was answered, or issued by this pool, before the call. The file appears under its name
   * once it is verified and flushed, all at once; one that is there is replaced. Where it fails,
   * nothing is left behind.
   *
   * A database in memory is copied by its only connection: its statements wait meanwhile.
   *
   * @throws PoolError POOL_BACKUP where it cannot be written (a full disk, a folder that is missing)
   * or the copy is damaged; POOL_MISUSE where the target is the database itself, a folder, or a
   * database in use; POOL_ABORTED; POOL_CLOSED.
   *
   * @example
   * ```ts
   * import { createPool } from '@poolite/core';
   *
   * await using pool = createPool('app.db');
   * await pool.exec('CREATE TABLE note (text TEXT)');
   * const { verdict, pages } = await pool.backup('app-backup.sqlite', { compress: 'gzip' });
   * console.log(verdict, pages); // ok 2
   * ```
   */
  async backup(target: string, options?: BackupOptions): Promise<BackupResult> {
    if (this.#closed !== undefined) return this.#refuse();
    return (this.#database.backups as Backups).backup(target, options);
  }

  /** The backups by schedule, of the option `backups`. */
  get backups(): PoolBackups {
    if (this.#closed !== undefined) throw this.#closedError();
    return this.#database.backups as Backups;
  }

  /** What the pool has done, and what it is doing. */
  stats(): PoolStats {
    return readStats(this.#database, this.#oneShot);
  }

  /** Calls `listener` with each event of this name: see `PoolEvents`. Nobody catches what it throws. */
  on<Name extends keyof PoolEvents>(
    event: Name,
    listener: (...args: PoolEvents[Name]) => void,
  ): this {
    this.#events.on(event, listener);
    if (event === 'change') this.#listen();
    return this;
  }

  /** Takes away a listener that `on` was given. */
  off<Name extends keyof PoolEvents>(
    event: Name,
    listener: (...args: PoolEvents[Name]) => void,
  ): this {
    this.#events.off(event, listener);
    if (event === 'change') this.#listen();
    return this;
  }

  /** Has the writer tell of changes, for as long as somebody wants to know. */
  #listen(): void {
    const isWanted = this.#closed === undefined && this.#events.has('change');
    if (isWanted === (this.#listening !== undefined)) return;
    this.#listening?.stop();
    this.#listening = isWanted ? listenForChanges(this.#database, this.#events) : undefined;
  }

  /**
   * Refuses new calls from now on, waits for those under way, and ends the threads, unless another
   * pool of the same process shares them. The WAL is empty then. May be called again.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  /** Closes the pool at the end of the block of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(options: CloseOptions): Promise<void> {
    for (const query of this.#live) query.end();
    if (this.#share.release()) {
      try {
        await closeDatabase(this.#database, this.#holders, this.#oneShot, options);
      } finally {
        await this.#share.statsSocket?.close();
      }
    }
    this.#listening?.stop();
    this.#database.events.leave(this.#events);
    this.#events.emit('close', () => []);
  }

  #rows(method: Method, sql: string, params: unknown, options: CallOptions | undefined) {
    if (this.#closed !== undefined) return this.#refuse();
    if (options?.linearizable !== true) return this.#oneShot.rows(method, sql, params, options);
    return this.refresh().then(() => this.#oneShot.rows(method, sql, params, options));
  }

  async #once<T>(
    { idempotencyKey, signal, timeout, ...rest }: WriteOptions & TransactionOptions,
    work: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    if (this.#closed !== undefined) return this.#refuse();
    const hasStore = this.#database.replica !== undefined;
    return onceOnly(this.#holders, hasStore, { ...rest, idempotencyKey, signal, timeout }, work);
  }

  #closedError(): PoolError {
    return new PoolError('POOL_CLOSED', 'the pool is closed: it was used after close()');
  }

  #refuse(): Promise<never> {
    return Promise.reject(this.#closedError());
  }
}
