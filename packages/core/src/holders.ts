import { againOnConflict } from './conflicts.js';
import {
  contextHere,
  enterHolding,
  granted,
  type Holding,
  newHolding,
  runHolding,
} from './context.js';
import type { Database } from './database.js';
import { PoolError } from './errors.js';
import { TransactionHandle } from './held.js';
import { WriteLease } from './lease.js';
import { checkLimits, checkRetries } from './option-checks.js';
import { openerHere, type Revocable, Sessions } from './sessions.js';
import type {
  CallOptions,
  Lease,
  LeaseOptions,
  Transaction,
  TransactionOptions,
} from './surface.js';
import type { CheckpointOutcome } from './threads/protocol.js';
import { BulkWrite, checkBulk } from './writing/bulk.js';
import { WriterHolder } from './writing/holder.js';
import type { Turn, TurnKind } from './writing/turn.js';

type Work<T> = (tx: Transaction) => Promise<T>;

/** Gives connections to those who hold them: transactions, snapshots, leases, scripts, bulks. */
export class Holders {
  readonly #database: Database;
  readonly #refuseSelfWait: (sql: string) => void;
  readonly sessions: Sessions;

  constructor(
    database: Database,
    refuseSelfWait: (sql: string) => void,
    writesBefore: () => Promise<void>,
  ) {
    this.#database = database;
    this.#refuseSelfWait = refuseSelfWait;
    this.sessions = new Sessions(database, writesBefore);
    database.onFailed = (error) => this.revokeAll(error);
  }

  /** Takes every connection back. */
  revokeAll(error: Error): void {
    this.sessions.revokeAll(error);
    this.#database.writer.revoke(error);
  }

  /** On the writer: committed when `work` returns, rolled back when it throws. */
  transaction<T>(work: Work<T>, options: TransactionOptions = {}): Promise<T> {
    const { behavior = 'immediate' } = options;
    if (!['deferred', 'immediate', 'exclusive'].includes(behavior)) {
      throw new PoolError(
        'POOL_OPTIONS',
        `option 'behavior' must be 'deferred', 'immediate' or 'exclusive', not ${String(behavior)}`,
      );
    }
    checkRetries(options.retries);
    const run = () =>
      this.#onWriter('transaction', work, options, (holder) => holder.begin(behavior));
    const { store } = this.#database.options;
    return store === undefined ? run() : againOnConflict(options.retries ?? store.retries, run);
  }

  /** One state for every statement, on a reader; in memory, on the only connection there is. */
  snapshot<T>(work: Work<T>, options: TransactionOptions = {}): Promise<T> {
    checkWork(work, 'snapshot');
    if (this.#database.readers === undefined) {
      return this.#onWriter('snapshot', work, options, (holder) => holder.begin('deferred', true));
    }
    return this.sessions.snapshot(work, options);
  }

  async lease(access: 'read' | 'write', options: LeaseOptions = {}): Promise<Lease> {
    if (access !== 'read' && access !== 'write') {
      throw new PoolError('POOL_MISUSE', `lease needs 'read' or 'write', not ${String(access)}`);
    }
    if (access === 'write' || this.#database.readers === undefined) {
      return this.#writeLease(options);
    }
    return this.sessions.lease(options);
  }

  /**
   * Runs `work` with the writer to itself, outside any transaction. Where its caller gives up
   * before it has the writer, it never begins.
   *
   * @param partly whether some of it may be stored where it is interrupted.
   */
  alone<T>(
    kind: TurnKind,
    sql: string,
    work: (holder: WriterHolder) => Promise<T>,
    options?: CallOptions,
    partly = false,
  ): Promise<T> {
    const waiting = new AbortController();
    const { signal } = waiting;
    /** Who runs it, once it has begun. */
    let running: WriterHolder | undefined;
    const start = async () => {
      this.#refuseSelfWait(sql);
      const holder = await this.#acquire(kind, { signal }, { limit: 0, opener: undefined });
      try {
        if (signal.aborted) throw this.#database.limits.aborted(signal, sql);
        running = holder;
        return await work(holder);
      } finally {
        holder.leave();
      }
    };
    const giveUp = () => {
      waiting.abort();
      return running === undefined ? 'nothing' : running.giveUp();
    };
    return this.#database.limits.keep(options, sql, start, giveUp, partly);
  }

  /** Checkpoints on the writer, in a turn of its own; `begun` is called when it has the turn. */
  async checkpoint(
    mode: string,
    patience: number,
    acquireTimeout = this.#database.options.acquireTimeout,
    begun = () => {},
  ): Promise<CheckpointOutcome> {
    const holder = await this.#acquire(
      'checkpoint',
      { acquireTimeout },
      { limit: 0, opener: undefined },
    );
    try {
      begun();
      return await holder.checkpoint(mode, patience);
    } finally {
      holder.leave();
    }
  }

  runMany(sql: string, sets: unknown, options?: CallOptions): Promise<{ changes: number }> {
    const { store } = this.#database.options;
    const run = () => this.#runMany(sql, sets, options);
    // What a generator gave once it does not give again.
    return store !== undefined && Array.isArray(sets) ? againOnConflict(store.retries, run) : run();
  }

  async #runMany(sql: string, sets: unknown, options?: CallOptions): Promise<{ changes: number }> {
    const database = this.#database;
    const statement = database.statement(sql);
    checkBulk(statement, sets);
    this.#refuseSelfWait(sql);
    const bulk = new BulkWrite(database.writer, statement, database.options.connection.driver);
    const waiting = new AbortController();
    const start = async () => {
      const holder = await this.#acquire(
        'bulk',
        { signal: waiting.signal },
        { limit: 0, opener: undefined },
        { revoke: (error) => bulk.lose(error) },
      );
      try {
        await bulk.run(sets);
        return { changes: bulk.changes };
      } finally {
        holder.leave();
      }
    };
    const giveUp = () => {
      waiting.abort();
      return bulk.abort();
    };
    return database.limits.keep(options, sql, start, giveUp);
  }

  /** The writer for a lease: at first, and again where its last commit gave it up. */
  writerFor(lease: WriteLease, options: LeaseOptions): void {
    const isEarly = options.early === true;
    const opener = isEarly ? () => lease.openedFor() : openerHere();
    const asked = { limit: this.#limitOf(options), opener };
    const refused = (error: unknown) => lease.refused(error);
    this.#request('lease', options, asked, lease, (holder) => lease.arrived(holder), refused);
  }

  async #writeLease(options: LeaseOptions): Promise<Lease> {
    this.#refuseSelfWait("lease('write')");
    checkLimits(options);
    const holding = newHolding(this.#database, 'write lease');
    if (options.enter === true) enterHolding(holding);
    const lease = new WriteLease(this.#database, this, options, holding);
    if (options.early === true) lease.ask();
    else await granted(holding, lease.acquire());
    return lease;
  }

  #limitOf(options: LeaseOptions): number {
    checkLimits(options);
    return options.timeout ?? this.#database.options.transactionTimeout;
  }

  /** Resolves when the writer is there; what is sent in the same tick travels at once. */
  #acquire(
    kind: TurnKind,
    options: LeaseOptions,
    { limit, opener }: { limit: number; opener: (() => Error) | undefined },
    revocable: Revocable = { revoke: () => {} },
  ): Promise<WriterHolder> {
    return new Promise((resolve, reject) => {
      this.#request(kind, options, { limit, opener }, revocable, resolve, reject);
    });
  }

  #request(
    kind: TurnKind,
    options: LeaseOptions,
    { limit, opener }: { limit: number; opener: (() => Error) | undefined },
    revocable: Revocable,
    granted: (holder: WriterHolder) => void,
    refused: (error: unknown) => void,
  ): void {
    const database = this.#database;
    if (database.refusal !== undefined) return refused(database.refusal);
    const { signal } = options;
    if (signal?.aborted === true) return refused(database.limits.aborted(signal, kind));
    const { writer } = database;
    const { driver } = database.options.connection;
    let holder: WriterHolder | undefined;
    const stopWaiting = () => {
      if (writer.withdraw(turn)) refused(database.limits.aborted(signal as AbortSignal, kind));
    };
    signal?.addEventListener('abort', stopWaiting, { once: true });
    const turn: Turn = writer.acquire({
      kind,
      // A script or lease may do anything; whether a transaction can share is known then.
      shares: kind === 'transaction' || kind === 'lease',
      acquireTimeout: options.acquireTimeout ?? database.options.acquireTimeout,
      limit,
      opener,
      first: () => revocable.first?.(),
      granted: (mine, first) => {
        signal?.removeEventListener('abort', stopWaiting);
        holder = new WriterHolder(writer, mine, driver, first);
        granted(holder);
      },
      refused: (error) => {
        signal?.removeEventListener('abort', stopWaiting);
        refused(error);
      },
      expired: (mine, error) => {
        holder?.end(error);
        revocable.revoke(error);
        this.sessions.leaked(kind, performance.now() - mine.since, opener?.());
      },
      revoked: (error) => {
        holder?.end(error);
        revocable.revoke(error);
      },
      lost: (error) => {
        holder?.end(error);
        revocable.revoke(error);
      },
    });
  }

  #onWriter<T>(
    kind: 'transaction' | 'snapshot',
    work: Work<T>,
    options: TransactionOptions,
    begin: (holder: WriterHolder) => void,
  ): Promise<T> {
    checkWork(work, kind);
    this.#refuseSelfWait(kind);
    const limit = this.#limitOf(options);
    const opener = openerHere();
    const holding = newHolding(this.#database, kind);
    const inContext = contextHere();
    const workInContext: Work<T> = (tx) => inContext(() => runHolding(holding, () => work(tx)));
    return new Promise<T>((resolve, reject) => {
      const revocable = {
        revoke: (error: Error) => {
          holding.live = false;
          reject(error);
        },
      };
      this.#request(
        'transaction',
        options,
        { limit, opener },
        revocable,
        (holder) => {
          begin(holder);
          this.#runTransaction(holding, workInContext, options, holder).then(resolve, reject);
        },
        reject,
      );
    });
  }

  async #runTransaction<T>(
    holding: Holding,
    work: Work<T>,
    options: TransactionOptions,
    holder: WriterHolder,
  ): Promise<T> {
    const { what } = holding;
    const tx = new TransactionHandle(this.#database, holder, what);
    const { signal } = options;
    let result: T;
    try {
      const working = work(tx);
      result =
        signal === undefined ? await working : await this.sessions.orAborted(working, signal, what);
    } catch (error) {
      holding.live = false;
      tx.end('rolled back');
      if (signal?.aborted === true) holder.stop(error as Error);
      await rolledBack(holder, error);
      throw error;
    }
    holding.live = false;
    tx.end('committed');
    await holder.commit(true);
    return result;
  }
}

function checkWork(work: unknown, kind: string): void {
  if (typeof work === 'function') return;
  throw new PoolError('POOL_MISUSE', `${kind} needs a function to run, not ${typeof work}`);
}

/** The error of the work is what its caller must hear, whatever became of the rollback. */
async function rolledBack(holder: WriterHolder, cause: unknown): Promise<void> {
  try {
    await holder.rollback(true);
  } catch {
    throw cause;
  }
}
